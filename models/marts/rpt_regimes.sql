with role_grid as (
    select * from {{ ref('int_role_grid') }}
),

transfer_cells as (
    select * from {{ ref('int_transfer_cells') }}
),

mean_errors as (
    select * from {{ ref('int_mean_errors') }}
),

-- Each cell of the complete sub-grid counts for all models and for its own, for its regime and, unless it is the
-- trained cell, for 'transfer'.
expected as (
    select
        study,
        variant,
        prompt_pool,
        scope,
        model,
        source_task,
        source_language,
        target_task,
        target_language,
        is_planned,
        is_in_complete_grid,
        unnest(case when regime = 'MT-ML' then [regime] else [regime, 'transfer'] end) as regime
    from role_grid
    where scope = 'all' or scope = model
),

cells as (
    select
        expected.*,
        transfer_cells.origin,
        transfer_cells.delta_pp,
        transfer_cells.is_positive,
        transfer_cells.is_harm,
        transfer_cells.q_value,
        transfer_cells.verdict,
        transfer_cells.null_harm_probability,
        transfer_cells.delta_se,
        1e4 * transfer_cells.from_runs * transfer_cells.n_seeds as run_pp2,
        1e4 * transfer_cells.from_items * transfer_cells.n_items as item_pp2,
        pow(transfer_cells.harm_threshold_pp / 2, 2) as none_pp2
    from expected
    inner join transfer_cells
        on expected.study = transfer_cells.study
        and expected.variant = transfer_cells.variant
        and expected.prompt_pool is not distinct from transfer_cells.prompt_pool
        and expected.model = transfer_cells.model
        and expected.source_task = transfer_cells.source_task
        and expected.source_language = transfer_cells.source_language
        and expected.target_task = transfer_cells.target_task
        and expected.target_language = transfer_cells.target_language
    where expected.is_in_complete_grid and transfer_cells.control is null and transfer_cells.delta_pp is not null
),

planned as (
    select
        study,
        variant,
        prompt_pool,
        scope,
        regime,
        count_if(is_planned) as n_planned
    from expected
    group by all
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
        {{ in_order('avg', 'delta_pp') }} as mean_pp,
        median(delta_pp) as median_pp,
        100 * count_if(is_positive) / count(*) as positive_pct,
        100 * count_if(is_harm) / count(*) as harm_pct,
        -- NULL where some cell has no q, or no items to flip: a share of the others would be another study's.
        case when count(q_value) = count(*) then 100 * count_if(is_harm and q_value <= 0.05) / count(*) end
            as sig_harm_pct,
        case when count(null_harm_probability) = count(*) then 100 * {{ in_order('avg', 'null_harm_probability') }} end
            as null_harm_pct,
        case when count(delta_se) = count(*) then median(delta_se) end as median_se_pp,
        -- Of no change the interval is within the threshold where the standard error is at most half of it. Seeds and
        -- items may each use up half of that variance. The luck of runs is not known where it is of one run.
        cast(ceil(median(run_pp2 / (none_pp2 / 2))) as bigint) as seeds_for_none,
        cast(ceil(median(item_pp2 / (none_pp2 / 2))) as bigint) as items_for_none,
    {%- for verdict in ("gain", "harm", "none", "undecided") %}
    case when count(verdict) = count(*) then 100 * count_if(verdict = '{{ verdict }}') / count(*) end
        as verdict_{{ verdict }}_pct{{ "," if not loop.last }}
    {%- endfor %}
    from cells
    group by all
),

final as (
    select
        summary.study,
        summary.origin,
        summary.variant,
        summary.prompt_pool as prompt,
        summary.prompt_pool,
        summary.scope,
        summary.regime,
        summary.n_cells,
        cast(nullif(planned.n_planned, 0) as bigint) as n_planned,
        summary.mean_pp,
        summary.median_pp,
        summary.positive_pct,
        summary.harm_pct,
        summary.sig_harm_pct,
        summary.null_harm_pct,
        {%- for verdict in ("gain", "harm", "none", "undecided") %}
        summary.verdict_{{ verdict }}_pct,
        {%- endfor %}
        summary.median_se_pp,
        summary.seeds_for_none,
        summary.items_for_none,
        summary.mean_pp - mean_errors.half_width as ci_low,
        summary.mean_pp + mean_errors.half_width as ci_high
    from summary
    left join planned
        on summary.study = planned.study
        and summary.variant = planned.variant
        and summary.prompt_pool is not distinct from planned.prompt_pool
        and summary.scope = planned.scope
        and summary.regime = planned.regime
    left join mean_errors
        on summary.study = mean_errors.study
        and summary.variant = mean_errors.variant
        and summary.prompt_pool is not distinct from mean_errors.prompt_pool
        and summary.scope = mean_errors.scope
        and summary.regime = mean_errors.entity
        and mean_errors.axis = 'regime'
)

select * from final
