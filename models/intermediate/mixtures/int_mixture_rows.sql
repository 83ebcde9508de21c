{{ config(materialized='table') }}

{%- set keys = "study, variant, prompt_pool, source, scope" %}

with mixture_parts as (
    select * from {{ ref('int_mixture_parts') }}
),

transfer_cells as (
    select * from {{ ref('int_transfer_cells') }}
),

cells as (
    select * from transfer_cells
    where control is null and delta_pp is not null and cell_number is not null
),

parts as (
    select
        *,
        task || '/' || language as part,
        items / items_alone as dose
    from mixture_parts
),

-- A mixture's cell beside the cells of its parts alone, on one target; only where all parts were tuned alone.
pairs as (
    select
        mixtures.study,
        mixtures.origin,
        mixtures.variant,
        mixtures.prompt_pool,
        mixtures.source,
        mixtures.model,
        mixtures.target_task,
        mixtures.target_language,
        mixtures.regime,
        coalesce(mixtures.regime = 'MT-ML', false) as is_trained_cell,
        mixtures.cell_number as mixture_cell_number,
        mixtures.delta_pp,
        mixtures.n_items,
        parts.part,
        parts.dose,
        alone.cell_number as part_cell_number,
        alone.delta_pp as part_pp
    from cells as mixtures
    inner join parts on mixtures.study = parts.study and mixtures.source = parts.source
    left join cells as alone
        on mixtures.study = alone.study
        and mixtures.variant = alone.variant
        and mixtures.prompt is not distinct from alone.prompt
        and mixtures.model = alone.model
        and mixtures.target_task = alone.target_task
        and mixtures.target_language = alone.target_language
        and parts.part = alone.source
    where mixtures.is_mixture
    qualify bool_and(alone.cell_number is not null) over (partition by mixtures.cell_number)
),

-- Each target, and all of a mixture's targets together, its trained cells apart; of each model, and of all.
scoped as (
    select
        *,
        unnest([model, 'all']) as scope
    from pairs
),

listed as (
    select
        *,
        unnest([true, false]) as is_one_target
    from scoped
),

final as (
    select
        {{ target_row_number(keys) }} as mixture_row,
        *
    from listed
    qualify {{ says_no_target_twice(keys) }}
)

select * from final -- noqa: AM04
