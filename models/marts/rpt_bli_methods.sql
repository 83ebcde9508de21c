with bli_means as (
    select * from {{ ref('int_bli_means') }}
),

concept_pulls as (
    select * from {{ ref('int_concept_pulls') }}
),

failed_mappings as (
    select * from {{ ref('stg_failed_mappings') }}
),

{%- set table_of = "study, variant, vector_set, retrieval" %}

-- A run that ended in an error has no ranks, and is a failure all the same.
runs as (
    select
        {{ table_of }},
        method,
        dictionary_size,
        source_language,
        target_language,
        origin,
        map,
        coalesce(is_failure, map is null) as is_failure
    from bli_means
    union all
    select distinct
        study,
        variant,
        split_part(vectors, '@', 1) as vector_set,
        unnest(['cosine', 'csls']) as retrieval,
        method,
        dictionary_size,
        source_language,
        target_language,
        'computed' as origin,
        cast(null as double) as map,
        true as is_failure
    from failed_mappings
),

attempted as (
    select
        {{ table_of }},
        method,
        dictionary_size,
        source_language,
        target_language,
        any_value(origin) as origin,
        any_value(map) as map,
        bool_or(is_failure) as is_failure
    from runs
    group by all
),

-- A method without a dictionary competes at every size, and its own row stands beside the largest.
compared as (
    select
        *,
        max(dictionary_size) over (partition by {{ table_of }}) as largest_size
    from attempted
),

sizes as (
    select distinct
        {{ table_of }},
        dictionary_size as size
    from compared
    where dictionary_size > 0 or largest_size = 0
),

entrants as (
    select
        compared.study,
        compared.variant,
        compared.vector_set,
        compared.retrieval,
        sizes.size,
        compared.method,
        compared.dictionary_size,
        compared.source_language,
        compared.target_language,
        compared.is_failure,
        count(distinct row(compared.method, compared.dictionary_size)) over (
            partition by compared.study, compared.variant, compared.vector_set, compared.retrieval, sizes.size
        ) as n_entrants
    from compared
    inner join sizes
        on compared.study = sizes.study
        and compared.variant = sizes.variant
        and compared.vector_set = sizes.vector_set
        and compared.retrieval = sizes.retrieval
        and compared.dictionary_size in (0, sizes.size)
),

common_pairs as (
    select
        {{ table_of }},
        size,
        source_language,
        target_language
    from entrants
    group by all
    having count(*) = max(n_entrants) and not bool_or(is_failure)
),

scoped as (
    select
        compared.*,
        unnest(case when common_pairs.study is not null then ['all', 'common'] else ['all'] end) as scope
    from compared
    left join common_pairs
        on compared.study = common_pairs.study
        and compared.variant = common_pairs.variant
        and compared.vector_set = common_pairs.vector_set
        and compared.retrieval = common_pairs.retrieval
        and compared.source_language = common_pairs.source_language
        and compared.target_language = common_pairs.target_language
        and common_pairs.size
        = case when compared.dictionary_size = 0 then compared.largest_size else compared.dictionary_size end
),

{%- set mean_of = "study, variant, vector_set, retrieval, method, dictionary_size, scope" %}

means as (
    select
        {{ mean_of }},
        origin,
        {{ in_order('avg', 'map') }} as mean_map,
        count(map) as n_pairs,
        count(*) filter (where is_failure) as n_failures
    from scoped
    group by all
),

-- Concepts are drawn with replacement, each with its rows in all pairs at once. Where all rows are alike, nothing tells
-- how far others would be.
by_concept as (
    select
        {%- for name in mean_of.split(", ") %}
        scoped.{{ name }},
        {%- endfor %}
        concept_pulls.concept_id,
        {{ exact_sum('concept_pulls.pull') }} as pull
    from scoped
    inner join concept_pulls
        on scoped.source_language = concept_pulls.source_language
        and scoped.target_language = concept_pulls.target_language
        {%- for name in mean_of.split(", ") if name != "scope" %}
        and scoped.{{ name }} = concept_pulls.{{ name }}
        {%- endfor %}
    group by all
),

spreads as (
    select
        {{ mean_of }},
        sqrt(nullif({{ exact_sum('pow(pull, 2)') }}, 0) * count(*) / nullif(count(*) - 1, 0)) as standard_error_of_sum
    from by_concept
    group by all
),

with_width as (
    select
        means.*,
        1.959963984540054 * spreads.standard_error_of_sum / means.n_pairs as half_width
    from means
    left join spreads
        on means.study = spreads.study
        {%- for name in mean_of.split(", ") if name != "study" %}
        and means.{{ name }} = spreads.{{ name }}
        {%- endfor %}
),

final as (
    select
        study,
        origin,
        variant,
        vector_set as vectors,
        method,
        dictionary_size,
        retrieval,
        scope,
        mean_map,
        case when half_width is not null then greatest(0, mean_map - half_width) end as map_low,
        case when half_width is not null then least(1, mean_map + half_width) end as map_high,
        n_pairs,
        n_failures
    from with_width
)

select * from final
