with bli_means as (
    select * from {{ ref('int_bli_means') }}
),

-- A pair is common when every method of that size ran on it and none failed.
judged as (
    select
        *,
        count(*) over (pair) = max(n_methods) over (pair)
        and not bool_or(coalesce(is_failure, map is null)) over (pair) as is_common
    from (
        select
            *,
            count(distinct method) over (
                partition by study, variant, vector_set, dictionary_size, retrieval
            ) as n_methods
        from bli_means
    )
    window pair as (
        partition by study, variant, vector_set, dictionary_size, retrieval, source_language, target_language
    )
),

scoped as (
    select
        *,
        unnest(case when is_common then ['all', 'common'] else ['all'] end) as scope
    from judged
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
        count_if(is_failure) as n_failures
    from scoped
    group by all
)

select * from final
