{{ config(materialized='table') }}

with statistic_cells as (
    select * from {{ ref('int_statistic_cells') }}
),

{{ statistic_runs() }}

select * from statistic_runs
