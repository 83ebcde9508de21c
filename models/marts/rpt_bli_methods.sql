with bli_means as (
    select * from {{ ref('int_bli_means') }}
),

compared as (
    select
        *,
        count(distinct method) over (
            partition by study, variant, vector_set, dictionary_size, retrieval
        ) as n_methods,
        count(*) over (
            partition by study, variant, vector_set, dictionary_size, retrieval, source_language, target_language
        ) as n_methods_on_pair,
        bool_or(coalesce(is_failure, map is null)) over (
            partition by study, variant, vector_set, dictionary_size, retrieval, source_language, target_language
        ) as fails_somewhere
    from bli_means
),

-- A pair is common when every method of that size ran on it and none failed.
scoped as (
    select
        *,
        unnest(
            case when n_methods_on_pair = n_methods and not fails_somewhere then ['all', 'common'] else ['all'] end
        ) as scope
    from compared
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
        avg(map) as mean_map,
        count(*) as n_pairs,
        count(*) filter (where is_failure) as n_failures
    from scoped
    group by all
)

select * from final
