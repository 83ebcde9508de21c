with bli_ranks as (
    select * from {{ ref('stg_bli_ranks') }}
),

study_jobs as (
    select * from {{ ref('stg_study_jobs') }}
),

-- A row is told by its words and how often they stood before: its number need not mean the same row in each run, where
-- a seed decides the test dictionary, or where rows were imported.
covered as (
    select
        study_jobs.study,
        bli_ranks.*,
        split_part(bli_ranks.vectors, '@', 1) as vector_set,
        row_number() over (
            partition by
                study_jobs.study, bli_ranks.job_key, bli_ranks.retrieval, bli_ranks.query, bli_ranks.gold
            order by bli_ranks.pair_number, bli_ranks.concept_id, bli_ranks.rank
        ) as occurrence
    from bli_ranks
    inner join study_jobs on bli_ranks.job_key = study_jobs.job_key
    where bli_ranks.rank is not null
),

-- A row without a concept is one of its own.
final as (
    select
        study,
        job_key,
        variant,
        vectors,
        vector_set,
        retrieval,
        method,
        dictionary_size,
        seed,
        source_language,
        target_language,
        query,
        gold,
        occurrence,
        coalesce(concept_id, concat_ws('/', source_language, target_language, query, gold, occurrence)) as concept_id,
        1 / rank as reciprocal_rank
    from covered
)

select * from final
