{{ config(materialized='table') }}

with predictor_values as (
    select * from {{ ref('stg_predictor_values') }}
),

cells as (
    select * from {{ ref('int_prediction_cells') }}
),

cell_halves as (
    select * from {{ ref('int_cell_halves') }}
),

{%- set unit = "study, variant, prompt, predictor, model, target_task, target_language" %}

valued as (
    select
        predictor_values.* exclude (fitted_to), -- noqa: RF02
        cells.delta_pp,
        cell_halves.first_delta_pp,
        cell_halves.second_delta_pp,
        -- Ties of outcomes are broken by a digest, which favours no predictor.
        md5_number_lower(predictor_values.source_task || '/' || predictor_values.source_language) as source_digest
    from predictor_values
    inner join cells
        on predictor_values.study = cells.study
        and predictor_values.variant = cells.variant
        and predictor_values.prompt is not distinct from cells.prompt_pool
        and predictor_values.model = cells.model
        and predictor_values.source_task = cells.source_task
        and predictor_values.source_language = cells.source_language
        and predictor_values.target_task = cells.target_task
        and predictor_values.target_language = cells.target_language
    left join cell_halves on cells.cell_number = cell_halves.cell_number
    where cells.delta_pp is not null
),

-- Sources of equal value are tried in random order, those without a value last.
ranked as (
    select
        *,
        rank() over (partition by {{ unit }} order by value desc nulls last) - 1 as n_preferred,
        count(*) over (partition by {{ unit }}, value) as n_equal,
        row_number() over (partition by {{ unit }} order by delta_pp desc, source_digest asc) as place,
        rank() over (partition by {{ unit }} order by delta_pp) as delta_rank,
        count(*) over (partition by {{ unit }}, delta_pp) as n_equal_deltas
    from valued
),

{#- Summed over the first 0, 1, 2 and 3 places. #}
{%- set discounts = "[0, 1, 1 + 1 / log2(3), 1 + 1 / log2(3) + 1 / log2(4)]" %}

placed as (
    select
        *,
        delta_rank + (n_equal_deltas - 1) / 2 as mean_delta_rank,
        n_preferred + (n_equal - 1) / 2 as mean_place,
        {{ discounts }}[least(n_preferred + n_equal, 3) + 1] - {{ discounts }}[least(n_preferred, 3) + 1] as discount
    from ranked
),

units as (
    select
        {{ unit }},
        count(*) as n_sources,
        {{ in_order('avg', 'delta_pp', 'n_preferred = 0') }} as picked_pp,
        max(delta_pp) as best_pp,
        -- Either half of the items chooses, and the other tells what was chosen.
        case
            when count(first_delta_pp) = count(*) and count(second_delta_pp) = count(*)
                then (
                    max_by(second_delta_pp, (first_delta_pp, source_digest))
                    + max_by(first_delta_pp, (second_delta_pp, source_digest))
                ) / 2
        end as best_of_half_pp,
        {{ in_order('sum', 'greatest(delta_pp, 0) / n_equal * discount') }} as gain,
        {{ in_order('sum', 'greatest(delta_pp, 0) / log2(place + 1)', 'place <= 3') }} as ideal_gain,
        corr(mean_delta_rank, -mean_place order by mean_delta_rank, mean_place) as rank_correlation
    from placed
    group by all
    having count(value) > 0 and count(*) > 1
),

final as (
    select
        {{ unit }},
        cast(n_sources as bigint) as n_sources,
        gain / nullif(ideal_gain, 0) as ndcg_3,
        coalesce(best_of_half_pp, best_pp) - picked_pp as regret_1,
        case when isfinite(rank_correlation) then rank_correlation end as rank_correlation
    from units
)

select * from final
