{{ config(materialized='table') }}

with role_cells as (
    select * from {{ ref('int_role_cells') }}
),

parallel_items as (
    select * from {{ ref('int_parallel_items') }}
),

recipients as (
    select
        study,
        count(distinct recipient) as n_recipients
    from role_cells
    where axis = 'cell'
    group by study
),

-- Enough that the least possible p, 1 / (1 + 2 n_signs), survives Holm's correction for all recipients at .05.
final as (
    select distinct
        parallel_items.study,
        parallel_items.target_task,
        parallel_items.n_parallels,
        cast(500 * ceil(recipients.n_recipients / 50) as integer) as n_signs
    from parallel_items
    inner join recipients on parallel_items.study = recipients.study
)

select * from final
