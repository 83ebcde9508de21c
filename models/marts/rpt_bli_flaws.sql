with bli as (
    select * from {{ ref('fct_bli') }}
),

-- Methods with the same test rows have the same flaws.
final as (
    select
        study,
        any_value(origin) as origin,
        variant,
        split_part(vectors, '@', 1) as vectors,
        source_language,
        target_language,
        dictionary_size,
        max(n_queries) filter (where not clean) as n_rows,
        max(n_leaked) as n_leaked,
        max(n_duplicate) as n_duplicate,
        max(n_identical) as n_identical,
        coalesce(max(n_queries) filter (where clean), 0) as n_clean
    from bli
    group by study, variant, split_part(vectors, '@', 1), source_language, target_language, dictionary_size
)

select * from final
