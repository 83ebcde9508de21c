with aggregate_scores as (
    select * from {{ ref('stg_aggregate_scores') }}
),

study_jobs as (
    select * from {{ ref('stg_study_jobs') }}
),

scoring_jobs as (
    select * from {{ ref('int_scoring_jobs') }}
),

tasks as (
    select * from {{ ref('stg_tasks') }}
),

study_scores as (
    select
        study_jobs.study,
        aggregate_scores.*
    from aggregate_scores
    inner join study_jobs on aggregate_scores.job_key = study_jobs.job_key
),

-- What came with its items is counted from them.
tuned as (
    select study_scores.*
    from study_scores
    anti join scoring_jobs on study_scores.job_key = scoring_jobs.job_key
    where study_scores.source_task is not null
),

baselines as (
    select
        study,
        model,
        variant,
        target_task,
        target_language,
        prompt,
        metric,
        min(score) as score,
        arg_min(score_stderr, row(score, score_stderr)) as score_stderr
    from study_scores
    where source_task is null and source_language is null
    group by all
),

compared as (
    select
        tuned.* exclude (baseline_score, baseline_stderr, delta),
        coalesce(tuned.baseline_score, own_baselines.score, default_baselines.score) as baseline_score,
        coalesce(
            tuned.baseline_stderr, own_baselines.score_stderr, default_baselines.score_stderr
        ) as baseline_stderr,
        coalesce(
            tuned.delta,
            (tuned.score - coalesce(tuned.baseline_score, own_baselines.score, default_baselines.score))
            * case when tuned.delta_unit = 'pp' then 100 else 1 end
        ) as delta
    from tuned
    left join baselines as own_baselines
        on tuned.study = own_baselines.study
        and tuned.model = own_baselines.model
        and tuned.variant = own_baselines.variant
        and tuned.target_task = own_baselines.target_task
        and tuned.target_language = own_baselines.target_language
        and tuned.prompt is not distinct from own_baselines.prompt
        and tuned.metric = own_baselines.metric
    left join baselines as default_baselines
        on tuned.study = default_baselines.study
        and tuned.model = default_baselines.model
        and default_baselines.variant = 'default'
        and tuned.target_task = default_baselines.target_task
        and tuned.target_language = default_baselines.target_language
        and tuned.prompt is not distinct from default_baselines.prompt
        and tuned.metric = default_baselines.metric
),

-- The target task's primary metric; where the import has no such metric, the first by name.
in_one_metric as (
    select compared.*
    from compared
    left join tasks on compared.target_task = tasks.task
    qualify dense_rank() over (
        partition by
            compared.study, compared.model, compared.variant, compared.source_task, compared.source_language,
            compared.control, compared.target_task, compared.target_language, compared.prompt
        order by compared.metric is distinct from tasks.primary_metric, compared.metric
    ) = 1
),

-- Of two scores on the same items without these, as if the items were others: never too small an error where what is
-- right before is likelier right after.
with_errors as (
    select
        *,
        case
            when delta_se is null and delta_unit = 'pp' and coalesce(n_seeds, 1) = 1
                then 100 * sqrt(pow(score_stderr, 2) + pow(baseline_stderr, 2))
        end as unpaired_se
    from in_one_metric
),

-- Most imports have one row a cell, over all seeds, which stays as it is; one row a seed is averaged.
final as (
    select
        study,
        model,
        variant,
        source_task,
        source_language,
        source_task || '/' || source_language as source, -- noqa: RF04
        control,
        target_task,
        target_language,
        prompt,
        metric,
        case when count(*) = 1 then any_value(n_seeds) else sum(coalesce(n_seeds, 1)) end as n_seeds,
        max(n_items) as n_items,
        {{ in_order('avg', 'baseline_score') }} as baseline_score,
        {{ in_order('avg', 'score') }} as score,
        {{ in_order('avg', 'delta') }} as delta,
        min(delta_unit) as delta_unit,
        bool_and(higher_is_better) as higher_is_better,
        -- Means over cells know gains and losses of shares alone.
        case
            when min(delta_unit) = 'pp' and max(delta_unit) = 'pp' and coalesce(bool_and(higher_is_better), true)
                then {{ in_order('avg', 'delta') }}
        end as delta_pp,
        case when count(*) = 1 then coalesce(any_value(delta_se), any_value(unpaired_se)) end as delta_se,
        case when count(*) = 1 and any_value(unpaired_se) is not null then 'this run' end as error_of
    from with_errors
    group by all
)

select * from final
