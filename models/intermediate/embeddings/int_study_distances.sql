{{ config(materialized='table') }}

with studies as (
    select * from {{ ref('stg_studies') }}
),

study_jobs as (
    select * from {{ ref('stg_study_jobs') }}
),

language_distances as (
    select * from {{ ref('stg_language_distances') }}
),

distances_of_study as (
    select
        studies.study,
        language_distances.source_language,
        language_distances.target_language,
        language_distances.measure,
        {{ in_order('avg', 'language_distances.value') }} as value
    from language_distances
    inner join study_jobs on language_distances.job_key = study_jobs.job_key
    inner join studies on study_jobs.study = studies.study or study_jobs.study = studies.embedding_study
    group by all
),

final as (
    select * from distances_of_study
    union all
    select
        distances_of_study.study,
        distances_of_study.target_language as source_language,
        distances_of_study.source_language as target_language,
        distances_of_study.measure,
        distances_of_study.value
    from distances_of_study
    anti join distances_of_study as reverse
        on distances_of_study.study = reverse.study
        and distances_of_study.measure = reverse.measure
        and distances_of_study.source_language = reverse.target_language
        and distances_of_study.target_language = reverse.source_language
)

select * from final
