{{ config(materialized='table') }}

with mean_squares as (
    select * from {{ ref('int_cell_mean_squares') }}
),

computed_cells as (
    select * from {{ ref('int_computed_cells') }}
),

prompt_pools as (
    select * from {{ ref('int_prompt_pools') }}
),

cells as (
    select
        computed_cells.study,
        computed_cells.variant,
        prompt_pools.prompt_pool,
        computed_cells.model,
        computed_cells.source_task,
        computed_cells.source_language,
        computed_cells.control,
        computed_cells.target_task,
        computed_cells.target_language,
        coalesce(
            computed_cells.source_task = computed_cells.target_task
            and computed_cells.source_language = computed_cells.target_language,
            false
        ) as is_trained_cell,
        mean_squares.cell_number,
        mean_squares.n_seeds,
        mean_squares.between_seeds,
        mean_squares.seed_noise,
        mean_squares.luck_scale
    from mean_squares
    inner join computed_cells on mean_squares.cell_number = computed_cells.cell_number
    inner join prompt_pools
        on computed_cells.study = prompt_pools.study
        and computed_cells.variant = prompt_pools.variant
        and computed_cells.prompt is not distinct from prompt_pools.prompt
),

-- The study's luck, roughly: it weighs cells, and the sources' own is told as a multiple of it. Above 0 wherever seeds
-- differ at all.
rough as (
    select
        study,
        is_trained_cell,
        sum((n_seeds - 1) * luck_scale) as sum_scale,
        greatest(
            sum((n_seeds - 1) * (between_seeds - seed_noise)) / nullif(sum_scale, 0),
            0.01 * sum((n_seeds - 1) * (between_seeds + seed_noise)) / nullif(sum_scale, 0)
        ) as rough_luck
    from cells
    where seed_noise is not null
    group by study, is_trained_cell
),

final as (
    select
        cells.*,
        rough.rough_luck,
        cells.luck_scale * rough.rough_luck + cells.seed_noise as expected_variance,
        cells.luck_scale * rough.rough_luck / nullif(expected_variance, 0) as luck_part,
        cells.between_seeds / nullif(expected_variance, 0) as relative_variance
    from cells
    left join rough
        on cells.study = rough.study
        and cells.is_trained_cell = rough.is_trained_cell
)

select * from final
