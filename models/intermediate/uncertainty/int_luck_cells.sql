{{ config(materialized='table') }}

with mean_squares as (
    select * from {{ ref('int_cell_mean_squares') }}
),

probability_mean_squares as (
    select * from {{ ref('int_probability_mean_squares') }}
),

computed_cells as (
    select * from {{ ref('int_computed_cells') }}
),

prompt_pools as (
    select * from {{ ref('int_prompt_pools') }}
),

mixture_regimes as (
    select * from {{ ref('int_mixture_regimes') }}
),

both_outcomes as (
    select
        'accuracy' as outcome,
        cell_number,
        n_seeds,
        between_seeds,
        seed_noise,
        luck_scale
    from mean_squares
    union all by name
    select
        'probability' as outcome,
        cell_number,
        n_seeds,
        between_seeds,
        seed_noise,
        luck_scale
    from probability_mean_squares
),

cells as (
    select
        both_outcomes.outcome,
        computed_cells.study,
        computed_cells.variant,
        prompt_pools.prompt_pool,
        computed_cells.model,
        computed_cells.source_task,
        computed_cells.source_language,
        computed_cells.source,
        computed_cells.control,
        computed_cells.target_task,
        computed_cells.target_language,
        coalesce(
            mixture_regimes.regime = 'MT-ML',
            computed_cells.source_task = computed_cells.target_task
            and computed_cells.source_language = computed_cells.target_language,
            false
        ) as is_trained_cell,
        both_outcomes.cell_number,
        both_outcomes.n_seeds,
        both_outcomes.between_seeds,
        both_outcomes.seed_noise,
        both_outcomes.luck_scale
    from both_outcomes
    inner join computed_cells on both_outcomes.cell_number = computed_cells.cell_number
    inner join prompt_pools
        on computed_cells.study = prompt_pools.study
        and computed_cells.variant = prompt_pools.variant
        and computed_cells.prompt is not distinct from prompt_pools.prompt
    left join mixture_regimes
        on computed_cells.study = mixture_regimes.study
        and computed_cells.source = mixture_regimes.source
        and computed_cells.target_task = mixture_regimes.target_task
        and computed_cells.target_language = mixture_regimes.target_language
),

-- The study's luck, roughly: it weighs cells, and the sources' own is told as a multiple of it. Above 0 wherever seeds
-- differ at all.
rough as (
    select
        outcome,
        study,
        is_trained_cell,
        {{ in_order('sum', '(n_seeds - 1) * luck_scale') }} as sum_scale,
        greatest(
            {{ in_order('sum', '(n_seeds - 1) * (between_seeds - seed_noise)') }} / nullif(sum_scale, 0),
            0.01 * {{ in_order('sum', '(n_seeds - 1) * (between_seeds + seed_noise)') }} / nullif(sum_scale, 0)
        ) as rough_luck
    from cells
    where seed_noise is not null
    group by outcome, study, is_trained_cell
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
        on cells.outcome = rough.outcome
        and cells.study = rough.study
        and cells.is_trained_cell = rough.is_trained_cell
)

select * from final
