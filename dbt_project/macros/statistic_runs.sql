{#-
    CTEs of what the luck of runs adds to the variance of statistics that are sums of cells.

    Reads the CTE `statistic_cells`: statistic_number, cell_number, weight. Imports what is known of right answers' luck.
    Writes `statistic_runs`: statistic_number, variance and variance_of_variance, as squared proportions; no row where
    nothing tells of luck.
-#}
{% macro statistic_runs() -%}
{%- set adapter = "statistic_number, study, variant, model, source, control" -%}
luck_cells as (
    select * from {{ ref('int_luck_cells') }}
    where outcome = 'accuracy'
),

run_luck as (
    select * from {{ ref('int_run_luck') }}
    where outcome = 'accuracy'
),

luck_sharing as (
    select * from {{ ref('int_luck_sharing') }}
    where outcome = 'accuracy'
),

pulled as (
    select
        statistic_cells.statistic_number,
        luck_cells.study,
        luck_cells.variant,
        luck_cells.model,
        luck_cells.source,
        luck_cells.control,
        luck_cells.is_trained_cell,
        luck_cells.target_task,
        luck_cells.target_language,
        statistic_cells.weight * sqrt(luck_cells.luck_scale / luck_cells.n_seeds) as pull
    from statistic_cells
    inner join luck_cells on statistic_cells.cell_number = luck_cells.cell_number
),

summed as (
    select
        {{ adapter }},
        is_trained_cell,
        grouping(target_task, target_language) as is_over,
        pow({{ exact_sum('pull') }}, 2) as square_of_sum,
        {{ exact_sum('pow(pull, 2)') }} as sum_of_squares
    from pulled
    group by grouping sets (
        ({{ adapter }}, is_trained_cell),
        ({{ adapter }}, is_trained_cell, target_task),
        ({{ adapter }}, is_trained_cell, target_language)
    )
),

-- What an adapter's targets share is one draw for all of them, for those of a task, for those of a language.
by_source as (
    select
        summed.statistic_number,
        summed.study,
        summed.variant,
        summed.source,
        summed.is_trained_cell,
        {%- set shared_part -%}
            case summed.is_over
                when 3 then coalesce(luck_sharing.of_all, 0)
                when 1 then coalesce(luck_sharing.of_task, 0)
                when 2 then coalesce(luck_sharing.of_language, 0)
            end
        {%- endset %}
        {{ in_order('sum', shared_part ~ ' * (summed.square_of_sum - summed.sum_of_squares)') }} as shared_multiple,
        {{ in_order('sum', 'summed.sum_of_squares', 'summed.is_over = 3') }} as own_multiple,
        any_value(luck_sharing.degrees_of_freedom) as shared_degrees
    from summed
    left join luck_sharing on summed.study = luck_sharing.study
    group by all
),

-- Each source's luck is told from all of its targets; what they share of it, from the study's adapters, one by one.
statistic_runs as (
    select
        by_source.statistic_number,
        {{ in_order('sum', '(by_source.own_multiple + by_source.shared_multiple) * run_luck.luck_variance') }}
            as variance,
        {{ in_order('sum', 'pow(by_source.own_multiple * run_luck.luck_and_noise, 2) / run_luck.degrees_of_freedom') }}
        + coalesce(
            pow({{ in_order('sum', 'by_source.shared_multiple * run_luck.luck_variance') }}, 2)
            / any_value(by_source.shared_degrees),
            0
        ) as variance_of_variance
    from by_source
    inner join run_luck
        on by_source.study = run_luck.study
        and by_source.variant = run_luck.variant
        and by_source.source = run_luck.source
        and by_source.is_trained_cell = run_luck.is_trained_cell
    group by by_source.statistic_number
)
{%- endmacro %}
