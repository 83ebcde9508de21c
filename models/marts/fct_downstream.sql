with downstream_items as (
    select * from {{ ref('stg_downstream_items') }}
),

study_jobs as (
    select * from {{ ref('stg_study_jobs') }}
),

studies as (
    select * from {{ ref('stg_studies') }}
),

-- A job scores one mapping, so any of its rows tells its keys.
runs as (
    select
        job_key,
        task,
        classifier,
        any_value(variant) as variant,
        any_value(method) as method, -- noqa: RF04
        any_value(vectors) as vectors,
        any_value(source_language) as source_language,
        any_value(target_language) as target_language,
        any_value(dictionary_size) as dictionary_size,
        any_value(collection) as collection, -- noqa: RF04
        {{ in_order('avg', 'score') }} as mean_score,
        count(*) as n_items,
        count(*) filter (where known_words = 0) as n_oov
    from downstream_items
    group by job_key, task, classifier
),

-- Every label that is somewhere the right one or the predicted one; no prediction is a label of none.
labelled as (
    select
        job_key,
        task,
        classifier,
        unnest([gold, prediction]) as item_label,
        unnest([1, 0]) as is_gold,
        unnest([cast(prediction = gold as integer), 0]) as is_right
    from downstream_items
),

by_label as (
    select
        job_key,
        task,
        classifier,
        item_label,
        sum(is_gold) as n_gold,
        count(*) - sum(is_gold) as n_predicted,
        coalesce(sum(is_right), 0) as n_right
    from labelled
    where item_label is not null
    group by job_key, task, classifier, item_label
),

label_scores as (
    select
        job_key,
        task,
        classifier,
        sum(n_right) / nullif(sum(n_gold), 0) as accuracy,
        2 * sum(n_right) / nullif(sum(n_gold) + sum(n_predicted), 0) as micro_f1,
        {{ in_order('avg', '2 * n_right / (n_gold + n_predicted)') }} as macro_f1
    from by_label
    group by job_key, task, classifier
),

by_run as (
    select
        runs.*,
        unnest(case runs.task
            when 'clir' then ['map']
            when 'cldc' then ['micro_f1', 'macro_f1']
            else ['accuracy']
        end) as metric,
        unnest(case runs.task
            when 'clir' then [runs.mean_score]
            when 'cldc' then [label_scores.micro_f1, label_scores.macro_f1]
            else [label_scores.accuracy]
        end) as score
    from runs
    left join label_scores
        on runs.job_key = label_scores.job_key
        and runs.task = label_scores.task
        and runs.classifier is not distinct from label_scores.classifier
),

-- Mean over seeds.
final as (
    select
        study_jobs.study,
        studies.origin,
        by_run.variant,
        by_run.method,
        by_run.vectors,
        by_run.source_language,
        by_run.target_language,
        by_run.dictionary_size,
        by_run.task,
        by_run.collection,
        by_run.classifier,
        by_run.metric,
        {{ in_order('avg', 'by_run.score') }} as score,
        max(by_run.n_items) as n_items,
        max(by_run.n_oov) as n_oov
    from by_run
    inner join study_jobs on by_run.job_key = study_jobs.job_key
    inner join studies on study_jobs.study = studies.study
    group by all
)

select * from final
