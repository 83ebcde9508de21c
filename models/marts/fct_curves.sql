with curves as (
    select * from {{ ref('int_curves') }}
),

statistics as (
    select * from {{ ref('int_curve_statistics') }}
),

curve_errors as (
    select * from {{ ref('int_curve_errors') }}
),

curve_jobs as (
    select * from {{ ref('int_curve_jobs') }}
),

curve_items as (
    select * from {{ ref('int_curve_items') }}
),

computed_cells as (
    select * from {{ ref('int_computed_cells') }}
),

measured as (
    select
        statistics.curve_number,
        statistics.fraction,
        statistics.is_on_task,
        statistics.question,
        curve_errors.n_seeds,
        curve_errors.error_of,
        curve_errors.value_pp,
        curve_errors.value_pp
        - curve_errors.standard_error * {{ t_quantile_975('curve_errors.degrees_of_freedom') }} as low,
        curve_errors.value_pp
        + curve_errors.standard_error * {{ t_quantile_975('curve_errors.degrees_of_freedom') }} as high
    from statistics
    inner join curve_errors on statistics.statistic_number = curve_errors.statistic_number
),

{%- set asked = {
    'gain': "is_on_task and question = 'at'",
    'off_task': "not is_on_task and question = 'at'",
    'spared': "not is_on_task and question = 'beside'",
} %}

points as (
    select
        curve_number,
        fraction,
        max(n_seeds) as n_seeds,
        any_value(error_of) as error_of,
    {%- for name, condition in asked.items() %}
    any_value(value_pp) filter (where {{ condition }}) as {{ name }}_pp,
    any_value(low) filter (where {{ condition }}) as {{ name }}_low,
    any_value(high) filter (where {{ condition }}) as {{ name }}_high{{ "," if not loop.last }}
    {%- endfor %}
    from measured
    group by curve_number, fraction
),

off_task as (
    select distinct
        curve_number,
        cell_number
    from curve_jobs
    where not is_on_task
),

off_task_cells as (
    select
        off_task.curve_number,
        curve_items.fraction,
        curve_items.cell_number,
        100 * sum(curve_items.sum_difference) / sum(curve_items.n_items) as delta_pp
    from curve_items
    inner join off_task on curve_items.cell_number = off_task.cell_number
    group by off_task.curve_number, curve_items.fraction, curve_items.cell_number
),

harms as (
    select
        off_task_cells.curve_number,
        off_task_cells.fraction,
        cast(count_if(off_task_cells.delta_pp <= -curves.harm_threshold_pp) as bigint) as n_harms,
        min(off_task_cells.delta_pp) as worst_pp,
        arg_min(
            computed_cells.target_task || '/' || computed_cells.target_language,
            row(off_task_cells.delta_pp, computed_cells.target_task, computed_cells.target_language)
        ) as worst_target
    from off_task_cells
    inner join curves on off_task_cells.curve_number = curves.curve_number
    inner join computed_cells on off_task_cells.cell_number = computed_cells.cell_number
    group by off_task_cells.curve_number, off_task_cells.fraction
),

final as (
    select
        curves.study,
        curves.origin,
        curves.variant,
        curves.prompt_pool as prompt,
        curves.model,
        curves.source_task,
        curves.source_language,
        curves.source,
        curves.control,
        points.fraction,
        points.n_seeds,
        curves.n_on_task,
        curves.n_off_task,
        points.gain_pp,
        points.gain_low,
        points.gain_high,
        case when wholes.gain_pp > 0 then 100 * points.gain_pp / wholes.gain_pp end as kept_pct,
        points.off_task_pp,
        points.off_task_low,
        points.off_task_high,
        harms.n_harms,
        harms.worst_pp,
        harms.worst_target,
        points.spared_pp,
        points.spared_low,
        points.spared_high,
        points.error_of
    from points
    inner join curves on points.curve_number = curves.curve_number
    left join points as wholes on points.curve_number = wholes.curve_number and wholes.fraction = 1
    left join harms on points.curve_number = harms.curve_number and points.fraction = harms.fraction
)

select * from final
