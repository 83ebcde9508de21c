{{ config(materialized='table') }}

{%- set run = "study, variant, vectors, retrieval, method, dictionary_size, source_language, target_language, seed" %}
{%- set pair = "study, variant, vector_set, retrieval, method, dictionary_size, source_language, target_language" %}

with bli_rows as (
    select * from {{ ref('int_bli_rows') }}
),

runs as (
    select
        {{ run }},
        any_value(vector_set) as vector_set,
        {{ exact_avg('reciprocal_rank') }} as map,
        count(*) as n_rows
    from bli_rows
    group by {{ run }}
),

weighted as (
    select
        *,
        1 / n_rows / count(*) over (partition by {{ pair }}) as weight
    from runs
),

final as (
    select
        {%- for name in pair.split(", ") %}
        bli_rows.{{ name }},
        {%- endfor %}
        bli_rows.concept_id,
        {{ exact_sum('(bli_rows.reciprocal_rank - weighted.map) * weighted.weight') }} as pull
    from bli_rows
    inner join weighted
        on bli_rows.seed is not distinct from weighted.seed
        {%- for name in run.split(", ") if name != "seed" %}
        and bli_rows.{{ name }} = weighted.{{ name }}
        {%- endfor %}
    group by all
)

select * from final
