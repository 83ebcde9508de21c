{{ config(materialized='table') }}

with bli_rows as (
    select * from {{ ref('int_bli_rows') }}
),

-- Mean over seeds.
test_rows as (
    select
        study,
        variant,
        vector_set,
        retrieval,
        method,
        dictionary_size,
        source_language,
        target_language,
        query,
        gold,
        occurrence,
        min(concept_id) as concept_id,
        {{ exact_avg('reciprocal_rank') }} as reciprocal_rank,
        count(*) as n_rows
    from bli_rows
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
