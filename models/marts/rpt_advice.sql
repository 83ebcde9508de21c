{%- set source = "study, variant, prompt, source_task, source_language" %}

with effects as (
    select * from {{ ref('rpt_source_effects') }}
),

{%- set counts = ("n_harms", "n_null_harms", "n_harm_verdicts") %}

asked as (
    select
        {{ source }},
        list({
            'target_task': target_task,
            'target_language': target_language,
            'mean_pp': mean_pp
        } order by mean_pp, target_task, target_language)[:2] as lowest,
        {%- for counted in counts %}
        {{ in_order('sum', counted) }} as {{ counted }},
        count(*) - count({{ counted }}) as n_without_{{ counted }},
        {%- endfor %}
        sum(n_models) as n_cells
    from effects
    group by {{ source }}
),

-- Harm is looked for on every other target, the own cell too.
advised as (
    select
        effects.*,
        nullif(asked.n_cells - effects.n_models, 0) as n_other_cells,
        {%- for counted in counts %}
        case
            when asked.n_without_{{ counted }} = if(effects.{{ counted }} is null, 1, 0)
                then (asked.{{ counted }} - coalesce(effects.{{ counted }}, 0)) / n_other_cells
        end as share_of_{{ counted }},
        {%- endfor %}
        list_filter( -- noqa: PRS
            asked.lowest,
            lambda other: other.target_task != effects.target_task -- noqa: RF01
            or other.target_language != effects.target_language -- noqa: RF01
        )[1] as worst
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
        prompt as prompt_pool,
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
        case when worst is not null then least(0, worst.mean_pp) end as worst_harm_pp,
        case when worst.mean_pp < 0 then worst.target_task end as worst_harm_task,
        case when worst.mean_pp < 0 then worst.target_language end as worst_harm_language,
        share_of_n_harms as p_harm,
        share_of_n_null_harms as p_null_harm,
        share_of_n_harm_verdicts as p_shown_harm,
        rank,
        n_advising as n_models
    from advised
)

select * from final
