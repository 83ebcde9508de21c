with curve_jobs as (
    select * from {{ ref('int_curve_jobs') }}
),

transfer_cells as (
    select * from {{ ref('int_transfer_cells') }}
),

final as (
    select
        curve_jobs.curve_number,
        any_value(transfer_cells.study) as study,
        any_value(transfer_cells.origin) as origin,
        any_value(transfer_cells.variant) as variant,
        any_value(transfer_cells.prompt_pool) as prompt_pool,
        any_value(transfer_cells.model) as model,
        any_value(transfer_cells.source_task) as source_task,
        any_value(transfer_cells.source_language) as source_language,
        any_value(transfer_cells.source) as source, -- noqa: RF04
        any_value(transfer_cells.control) as control,
        any_value(transfer_cells.harm_threshold_pp) as harm_threshold_pp,
        count(distinct curve_jobs.fraction) as n_fractions,
        count(distinct curve_jobs.cell_number) filter (where curve_jobs.is_on_task) as n_on_task,
        count(distinct curve_jobs.cell_number) filter (where not curve_jobs.is_on_task) as n_off_task
    from curve_jobs
    inner join transfer_cells on curve_jobs.cell_number = transfer_cells.cell_number
    group by curve_jobs.curve_number
)

select * from final
