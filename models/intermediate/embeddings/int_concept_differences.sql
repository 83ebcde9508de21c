{{ config(materialized='table') }}

with bli_ranks as (
    select * from {{ ref('stg_bli_ranks') }}
),

study_jobs as (
    select * from {{ ref('stg_study_jobs') }}
),

-- A row is told by its words and how often they stood before: its number need not mean the same row in each run, where
-- a seed decides the test dictionary, or where rows were imported.
occurrences as (
    select
        study_jobs.study,
        bli_ranks.*,
        row_number() over (
            partition by
                study_jobs.study, bli_ranks.job_key, bli_ranks.retrieval, bli_ranks.query, bli_ranks.gold
            order by bli_ranks.pair_number, bli_ranks.concept_id, bli_ranks.rank
        ) as occurrence
    from bli_ranks
    inner join study_jobs on bli_ranks.job_key = study_jobs.job_key
    where bli_ranks.rank is not null
),

-- Mean over seeds. A row without a concept is one of its own.
test_rows as (
    select
        study,
        variant,
        split_part(vectors, '@', 1) as vector_set,
        retrieval,
        method,
        dictionary_size,
        source_language,
        target_language,
        query,
        gold,
        occurrence,
        min(coalesce(
            concept_id, concat_ws('/', source_language, target_language, query, gold, occurrence)
        )) as concept_id,
        {{ exact_avg('1 / rank') }} as reciprocal_rank,
        count(*) as n_rows
    from occurrences
    group by
        study, variant, vector_set, retrieval, method, dictionary_size, source_language, target_language, query, gold,
        occurrence
),

{%- set comparison = "study, variant, vector_set, retrieval, method, other_method, dictionary_size" %}

-- Two methods of one size, or one of that size and one that takes no dictionary.
differences as (
    select
        one.study,
        one.variant,
        one.vector_set,
        one.retrieval,
        one.method,
        other.method as other_method,
        greatest(one.dictionary_size, other.dictionary_size) as dictionary_size,
        one.source_language,
        one.target_language,
        one.concept_id,
        one.n_rows,
        one.reciprocal_rank - other.reciprocal_rank as difference
    from test_rows as one
    inner join test_rows as other
        on one.study = other.study
        and one.variant = other.variant
        and one.vector_set = other.vector_set
        and one.retrieval = other.retrieval
        and one.source_language = other.source_language
        and one.target_language = other.target_language
        and one.query = other.query
        and one.gold = other.gold
        and one.occurrence = other.occurrence
        and one.method < other.method
        and (one.dictionary_size = other.dictionary_size or least(one.dictionary_size, other.dictionary_size) = 0)
),

-- Every language pair weighs the same, and within it every test row.
on_pairs as (
    select
        {{ comparison }},
        source_language,
        target_language,
        sum(n_rows) as n_rows
    from differences
    group by all
),

weighted as (
    select
        *,
        1 / n_rows / count(*) over (partition by {{ comparison }}) as weight
    from on_pairs
),

final as (
    select
        {% for name in comparison.split(", ") -%}
        differences.{{ name }},
        {% endfor -%}
        differences.concept_id,
        {{ exact_sum('differences.difference * differences.n_rows * weighted.weight') }} as difference
    from differences
    inner join weighted
        on differences.source_language = weighted.source_language
        and differences.target_language = weighted.target_language
        {%- for name in comparison.split(", ") %}
        and differences.{{ name }} = weighted.{{ name }}
        {%- endfor %}
    group by all
)

select * from final
