{{ config(materialized='table') }}

{%- set fold = "study, variant, prompt_pool, held_out_kind, held_out" %}
{%- set cell = "source_task, source_language, target_task, target_language, regime" %}

with cells as (
    select * from {{ ref('int_advice_cells') }}
),

over_models as (
    select
        {{ fold }},
        {{ cell }},
        count(*) as n_models,
        {{ in_order('avg', 'delta_pp') }} as mean_pp,
        {{ in_order('var_samp', 'delta_pp') }} as between_models_pp2,
        case when count(items_pp2) = count(*) then {{ in_order('avg', 'items_pp2') }} end as items_pp2,
        {{ in_order('avg', 'runs_pp2') }} as runs_pp2,
        case when count(shared_pp2) = count(*) then {{ in_order('avg', 'shared_pp2') }} else 0 end as shared_pp2,
        {{ in_order('sum', 'coalesce(degrees_of_freedom, 1)') }} as degrees_of_freedom,
        coalesce(any_value(inflation), 1) as inflation
    from cells
    where is_in_complete_grid and regime != 'MT-ML'
    group by all
),

-- Errors of the mean. Models that answer the same items err together: as much more, or less, as all of them do.
final as (
    select
        * exclude (items_pp2, runs_pp2, shared_pp2, inflation),
        items_pp2 + runs_pp2 as cell_error_pp2,
        inflation * items_pp2 / n_models as items_pp2,
        runs_pp2 / n_models as runs_pp2,
        least(inflation * shared_pp2 / n_models, 0.999 * inflation * items_pp2 / n_models) as shared_pp2
    from over_models
)

select * from final
