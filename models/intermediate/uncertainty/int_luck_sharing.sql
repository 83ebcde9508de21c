{{ config(materialized='table') }}

{%- set adapter = "outcome, study, variant, prompt_pool, model, source, control" %}

with luck_cells as (
    select * from {{ ref('int_luck_cells') }}
),

cell_seeds as (
    select * from {{ ref('int_cell_seeds') }}
),

computed_cells as (
    select * from {{ ref('int_computed_cells') }}
),

probability_mean_squares as (
    select * from {{ ref('int_probability_mean_squares') }}
),

-- One seed's difference from its cell's mean: in units of what is expected of it, and as it tells most of luck.
deviations as (
    select
        luck_cells.* exclude (between_seeds), -- noqa: RF02
        cell_seeds.seed,
        case luck_cells.outcome
            when 'accuracy' then cell_seeds.n_correct / cell_seeds.n_items - computed_cells.score
            when 'probability' then cell_seeds.sum_probability / cell_seeds.n_items - probability_mean_squares.score
        end as deviation,
        deviation / sqrt(luck_cells.expected_variance) as standardized,
        deviation * sqrt(luck_cells.luck_scale) / luck_cells.expected_variance as weighted,
        luck_cells.luck_scale / luck_cells.expected_variance as information
    from luck_cells
    inner join cell_seeds on luck_cells.cell_number = cell_seeds.cell_number
    inner join computed_cells on luck_cells.cell_number = computed_cells.cell_number
    left join probability_mean_squares on luck_cells.cell_number = probability_mean_squares.cell_number
    where luck_cells.n_seeds > 1 and luck_cells.expected_variance > 0 and not luck_cells.is_trained_cell
),

summed as (
    select
        {{ adapter }},
        seed,
        case grouping(target_task, target_language) when 3 then 'all' when 2 then 'language' when 1 then 'task' end
            as agreement,
        max((n_seeds - 1) / n_seeds) as degrees,
        pow({{ in_order('sum', 'standardized') }}, 2) - {{ in_order('sum', 'pow(standardized, 2)') }} as products,
        (count(*) - 1) * {{ in_order('sum', 'pow(standardized, 2)') }} as squares,
        pow({{ in_order('sum', 'weighted') }}, 2) - {{ in_order('sum', 'pow(weighted, 2)') }} as covariance,
        pow({{ in_order('sum', 'information') }}, 2) - {{ in_order('sum', 'pow(information, 2)') }} as weight
    from deviations
    group by grouping sets (
        ({{ adapter }}, seed),
        ({{ adapter }}, seed, target_task),
        ({{ adapter }}, seed, target_language)
    )
),

by_study as (
    select
        outcome,
        study,
        {{ in_order('sum', 'products', "agreement = 'all'") }} as products,
        {{ in_order('sum', 'squares', "agreement = 'all'") }} as squares,
        {{ in_order('sum', 'degrees', "agreement = 'all'") }} as degrees_of_freedom,
    {%- for agreement in ("all", "task", "language") %}
    coalesce({{ in_order('sum', 'covariance', "agreement = '" ~ agreement ~ "'") }}, 0) as covariance_{{ agreement }},
    coalesce({{ in_order('sum', 'degrees * weight', "agreement = '" ~ agreement ~ "'") }}, 0) as weight_{{ agreement }}
    {{- "," if not loop.last }}
    {%- endfor %}
    from summed
    group by outcome, study
),

study_luck as (
    select
        outcome,
        study,
        any_value(rough_luck) as rough_luck
    from luck_cells
    where not is_trained_cell
    group by outcome, study
),

with_luck as (
    select
        by_study.*,
        study_luck.rough_luck
    from by_study
    inner join study_luck on by_study.outcome = study_luck.outcome and by_study.study = study_luck.study
),

-- Of two targets of one adapter: that agree in the task, in the language, in neither.
agreeing as (
    select
        *,
        covariance_task / nullif(weight_task, 0) as of_one_task,
        covariance_language / nullif(weight_language, 0) as of_one_language,
        (covariance_all - covariance_task - covariance_language)
        / nullif(round(weight_all - weight_task - weight_language, 6), 0) as of_others
    from with_luck
),

final as (
    select
        outcome,
        study,
        degrees_of_freedom,
        greatest(0, least(1, coalesce(products / nullif(squares, 0), 0))) as correlation, -- noqa: RF04
        greatest(0, least(1, coalesce(of_others, least(of_one_task, of_one_language), 0) / rough_luck)) as of_all,
        greatest(0, least(1 - of_all, coalesce(of_one_task, 0) / rough_luck - of_all)) as of_task,
        greatest(0, least(1 - of_all - of_task, coalesce(of_one_language, 0) / rough_luck - of_all)) as of_language,
        1 - of_all - of_task - of_language as of_own
    from agreeing
)

select * from final
