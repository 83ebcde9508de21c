with bli_ranks as (
    select * from {{ ref('stg_bli_ranks') }}
),

study_jobs as (
    select * from {{ ref('stg_study_jobs') }}
),

studies as (
    select * from {{ ref('stg_studies') }}
),

test_rows as (
    select
        study_jobs.study,
        studies.origin,
        bli_ranks.*,
        unnest(case
            when bli_ranks.is_leaked or bli_ranks.is_duplicate or bli_ranks.is_identical then [false]
            else [false, true]
        end) as clean
    from bli_ranks
    inner join study_jobs on bli_ranks.job_key = study_jobs.job_key
    inner join studies on study_jobs.study = studies.study
),

-- A source word may stand in several rows; any of its translations counts.
words as (
    select
        study,
        origin,
        variant,
        method,
        vectors,
        source_language,
        target_language,
        dictionary_size,
        seed,
        retrieval,
        clean,
        query,
        min(rank) as best_rank,
        {{ exact_sum('1 / rank') }} as sum_reciprocal_rank,
        count(*) as n_rows,
        count(rank) as n_covered,
        count_if(is_leaked) as n_leaked,
        count_if(is_duplicate) as n_duplicate,
        count_if(is_identical) as n_identical
    from test_rows
    group by all
),

mapped as (
    select
        study,
        origin,
        variant,
        method,
        vectors,
        source_language,
        target_language,
        dictionary_size,
        seed,
        retrieval,
        clean,
        case when dictionary_size = 0 then 'unsupervised' else 'supervised' end as supervision,
        {{ exact_sum('sum_reciprocal_rank') }} / nullif(sum(n_covered), 0) as map,
        coalesce({{ exact_sum('sum_reciprocal_rank') }}, 0) / sum(n_rows) as map_all,
        count_if(best_rank <= 1) / nullif(count(best_rank), 0) as p_at_1,
        count_if(best_rank <= 5) / nullif(count(best_rank), 0) as p_at_5,
        count_if(best_rank <= 10) / nullif(count(best_rank), 0) as p_at_10,
        cast(sum(n_rows) as bigint) as n_queries,
        count(*) as n_words,
        cast(sum(n_rows - n_covered) as bigint) as n_oov,
        sum(n_covered) / sum(n_rows) as coverage,
        cast(sum(n_leaked) as bigint) as n_leaked,
        cast(sum(n_duplicate) as bigint) as n_duplicate,
        cast(sum(n_identical) as bigint) as n_identical
    from words
    group by all
),

final as (
    select
        *,
        max(map) filter (where retrieval = 'cosine') over (
            partition by
                study, variant, method, vectors, source_language, target_language, dictionary_size, seed, clean
        ) < 0.05 as is_failure
    from mapped
)

select * from final
