{{ config(materialized='table') }}

with bli_ranks as (
    select * from {{ ref('stg_bli_ranks') }}
),

study_jobs as (
    select * from {{ ref('stg_study_jobs') }}
),

-- Mean over seeds. A row without a concept is one of its own.
test_rows as (
    select
        study_jobs.study,
        bli_ranks.variant,
        split_part(bli_ranks.vectors, '@', 1) as vector_set,
        bli_ranks.retrieval,
        bli_ranks.method,
        bli_ranks.dictionary_size,
        bli_ranks.source_language,
        bli_ranks.target_language,
        bli_ranks.pair_number,
        coalesce(
            bli_ranks.concept_id,
            concat_ws('/', bli_ranks.source_language, bli_ranks.target_language, bli_ranks.pair_number)
        ) as concept_id,
        avg(1 / bli_ranks.rank) as reciprocal_rank
    from bli_ranks
    inner join study_jobs on bli_ranks.job_key = study_jobs.job_key
    where bli_ranks.rank is not null
    group by all
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
        one.reciprocal_rank - other.reciprocal_rank as difference
    from test_rows as one
    inner join test_rows as other
        on one.study = other.study
        and one.variant = other.variant
        and one.vector_set = other.vector_set
        and one.retrieval = other.retrieval
        and one.source_language = other.source_language
        and one.target_language = other.target_language
        and one.pair_number = other.pair_number
        and one.method < other.method
        and (one.dictionary_size = other.dictionary_size or least(one.dictionary_size, other.dictionary_size) = 0)
),

-- Every language pair weighs the same, and within it every test row.
on_pairs as (
    select
        {{ comparison }},
        source_language,
        target_language,
        count(*) as n_rows
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
        sum(differences.difference * weighted.weight) as difference
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
