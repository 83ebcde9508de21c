{%- set source = "study, variant, prompt, source_task, source_language" %}

with effects as (
    select * from {{ ref('rpt_source_effects') }}
),

asked as (
    select
        {{ source }},
        list({
            'target_task': target_task,
            'target_language': target_language,
            'mean_pp': mean_pp,
            'n_harms': n_harms,
            'n_null_harms': n_null_harms,
            'n_harm_verdicts': n_harm_verdicts,
            'n_models': n_models
        } order by mean_pp, target_task, target_language) as targets
    from effects
    group by {{ source }}
),

-- Harm is looked for on every other target, the own cell too.
advised as (
    select
        effects.*,
        list_filter( -- noqa: PRS
            asked.targets,
            lambda other: other.target_task != effects.target_task -- noqa: RF01
            or other.target_language != effects.target_language -- noqa: RF01
        ) as other_targets,
        list_sum(list_transform(other_targets, lambda other: other.n_models)) as n_other_cells -- noqa: RF01
    from effects
    inner join asked
        on effects.study = asked.study
        and effects.variant = asked.variant
        and effects.prompt is not distinct from asked.prompt
        and effects.source_task = asked.source_task
        and effects.source_language = asked.source_language
    where effects.expected_gain_pp is not null
),

final as (
    select
        study,
        origin,
        variant,
        prompt,
        target_task,
        target_language,
        source_task,
        source_language,
        mean_pp,
        expected_gain_pp,
        gain_low as ci_low,
        gain_high as ci_high,
        new_model_low,
        new_model_high,
        case when len(other_targets) > 0 then least(0, other_targets[1].mean_pp) end as worst_harm_pp,
        case when other_targets[1].mean_pp < 0 then other_targets[1].target_task end as worst_harm_task,
        case when other_targets[1].mean_pp < 0 then other_targets[1].target_language end as worst_harm_language,
        list_sum(list_transform(other_targets, lambda other: other.n_harms)) -- noqa: PRS
        / n_other_cells as p_harm,
        case
            when list_bool_and(list_transform(other_targets, lambda other: other.n_null_harms is not null))
                then list_sum(list_transform(other_targets, lambda other: other.n_null_harms)) / n_other_cells
        end as p_null_harm,
        case
            when list_bool_and(list_transform(other_targets, lambda other: other.n_harm_verdicts is not null))
                then list_sum(list_transform(other_targets, lambda other: other.n_harm_verdicts)) / n_other_cells
        end as p_shown_harm,
        rank,
        n_advising as n_models
    from advised
)

select * from final
