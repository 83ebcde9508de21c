-- 'transfer' counts exactly the cells of the three regimes other than MT-ML. Returns the scopes where it does not.
with regimes as (
    select * from {{ ref('rpt_regimes') }}
),

final as (
    select
        study,
        variant,
        prompt,
        scope,
        sum(case when regime = 'transfer' then n_cells when regime != 'MT-ML' then -n_cells end) as n_unaccounted
    from regimes
    group by all
    having n_unaccounted != 0
)

select * from final
