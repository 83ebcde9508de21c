{{ config(materialized='table') }}

with role_cells as (
    select * from {{ ref('int_role_cells') }}
),

parallel_items as (
    select * from {{ ref('int_parallel_items') }}
),

contests as (
    select
        study,
        count(distinct recipient) as n_recipients
    from role_cells
    where arm = 'paired'
    group by study, variant, prompt_pool, scope, axis
),

contested as (
    select
        study,
        max(n_recipients) as n_recipients
    from contests
    where n_recipients <= {{ max_tested_recipients() }}
    group by study
),

-- Enough that the least possible p, 1 / (1 + 2 n_signs), survives Holm's correction for all recipients at .05.
final as (
    select distinct
        parallel_items.study,
        parallel_items.target_task,
        parallel_items.n_parallels,
        cast(500 * ceil(coalesce(contested.n_recipients, 1) / 50) as integer) as n_signs
    from parallel_items
    left join contested on parallel_items.study = contested.study
)

select * from final
