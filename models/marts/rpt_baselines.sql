{#- Within two standard errors of a guesser's score, or of a perfect one. -#}
with transfer as (
    select * from {{ ref('fct_transfer') }}
    where control is null and baseline_score is not null and delta_pp is not null
),

constant_answers as (
    select * from {{ ref('rpt_constant_answers') }}
),

baselines as (
    select
        study,
        any_value(origin) as origin,
        variant,
        model,
        target_task,
        target_language,
        prompt,
        any_value(metric) as metric,
        median(baseline_score) as score,
        any_value(chance_score) as chance_score,
        min(n_items) as n_items,
        count(*) as n_cells,
        cast(sum(n_seeds) as bigint) as n_tuned
    from transfer
    group by study, variant, model, target_task, target_language, prompt
),

constant_tuned as (
    select
        study,
        variant,
        model,
        target_task,
        target_language,
        prompt,
        count(*) as n_constant
    from constant_answers
    where source_task is not null and control is null
    group by study, variant, model, target_task, target_language, prompt
),

final as (
    select
        baselines.*,
        case
            when
                baselines.score
                <= baselines.chance_score
                + 2 * sqrt(baselines.chance_score * (1 - baselines.chance_score) / baselines.n_items)
                then 'chance'
            when baselines.score + 2 * sqrt(baselines.score * (1 - baselines.score) / baselines.n_items) >= 1
                then 'ceiling'
        end as stands_at,
        coalesce(constant_tuned.n_constant, 0) as n_constant
    from baselines
    left join constant_tuned
        on baselines.study = constant_tuned.study
        and baselines.variant = constant_tuned.variant
        and baselines.model = constant_tuned.model
        and baselines.target_task = constant_tuned.target_task
        and baselines.target_language = constant_tuned.target_language
        and baselines.prompt is not distinct from constant_tuned.prompt
)

select * from final
