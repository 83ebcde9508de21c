{{ config(materialized='table') }}

with cells as (
    select * from {{ ref('int_advice_cells') }}
),

advice_items as (
    select * from {{ ref('int_advice_items') }}
),

over_models as (
    select
        study,
        variant,
        prompt_pool,
        held_out_kind,
        held_out,
        source_task,
        source_language,
        target_task,
        target_language,
        regime,
        count(*) as n_models,
        avg(delta_pp) as mean_pp,
        var_samp(delta_pp) as between_models_pp2,
        case when count(items_pp2) = count(*) then avg(items_pp2) end as items_pp2,
        avg(runs_pp2) as runs_pp2,
        case when count(shared_pp2) = count(*) then avg(shared_pp2) else 0 end as shared_pp2,
        sum(coalesce(degrees_of_freedom, 1)) as degrees_of_freedom
    from cells
    where is_in_complete_grid and regime != 'MT-ML'
    group by all
),

-- Errors of the mean. Models that answer the same items err together: as much more, or less, as all of them do.
final as (
    select
        over_models.* exclude (items_pp2, runs_pp2, shared_pp2), -- noqa: RF02
        over_models.items_pp2 + over_models.runs_pp2 as cell_error_pp2,
        coalesce(advice_items.inflation, 1) * over_models.items_pp2 / over_models.n_models as items_pp2,
        over_models.runs_pp2 / over_models.n_models as runs_pp2,
        least(
            coalesce(advice_items.inflation, 1) * over_models.shared_pp2 / over_models.n_models,
            0.999 * coalesce(advice_items.inflation, 1) * over_models.items_pp2 / over_models.n_models
        ) as shared_pp2
    from over_models
    left join advice_items
        on over_models.study = advice_items.study
        and over_models.variant = advice_items.variant
        and over_models.prompt_pool is not distinct from advice_items.prompt_pool
        and over_models.source_task = advice_items.source_task
        and over_models.source_language = advice_items.source_language
        and over_models.target_task = advice_items.target_task
        and over_models.target_language = advice_items.target_language
)

select * from final
