{{ config(materialized='table') }}

with statistic_cells as (
    select * from {{ ref('int_statistic_cells') }}
),

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

{{ statistic_runs() }}

select * from statistic_runs
