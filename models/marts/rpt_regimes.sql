with transfer_cells as (
    select * from {{ ref('int_transfer_cells') }}
),

mean_errors as (
    select * from {{ ref('int_mean_errors') }}
),

-- Each cell counts for all models and for its own, for its regime and, unless it is the trained cell, for 'transfer'.
cells_by_scope as (
    select
        *,
        unnest(['all', model]) as scope
    from transfer_cells
    where control is null and delta_pp is not null
),

cells as (
    select
        * exclude (regime),
        unnest(case when regime = 'MT-ML' then [regime] else [regime, 'transfer'] end) as regime
    from cells_by_scope
),

summary as (
    select
        study,
        origin,
        variant,
        prompt_pool,
        scope,
        regime,
        count(*) as n_cells,
        avg(delta_pp) as mean_pp,
        median(delta_pp) as median_pp,
        100 * count_if(is_positive) / count(*) as positive_pct,
        100 * count_if(is_harm) / count(*) as harm_pct,
        -- NULL where some cell has no q, or no items to flip: a share of the others would be another study's.
        case when count(q_value) = count(*) then 100 * count_if(is_harm and q_value <= 0.05) / count(*) end
            as sig_harm_pct,
        case when count(null_harm_probability) = count(*) then 100 * avg(null_harm_probability) end as null_harm_pct
    from cells
    group by all
),

final as (
    select
        summary.study,
        summary.origin,
        summary.variant,
        summary.prompt_pool as prompt,
        summary.scope,
        summary.regime,
        summary.n_cells,
        summary.mean_pp,
        summary.median_pp,
        summary.positive_pct,
        summary.harm_pct,
        summary.sig_harm_pct,
        summary.null_harm_pct,
        summary.mean_pp - mean_errors.half_width as ci_low,
        summary.mean_pp + mean_errors.half_width as ci_high
    from summary
    left join mean_errors
        on summary.study = mean_errors.study
        and summary.variant = mean_errors.variant
        and summary.prompt_pool is not distinct from mean_errors.prompt_pool
        and summary.scope = mean_errors.scope
        and summary.regime = mean_errors.entity
        and mean_errors.role = 'regime'
)

select * from final
