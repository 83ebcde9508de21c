{{ config(materialized='table') }}

with transfer_jobs as (
    select * from {{ ref('int_transfer_jobs') }}
),

job_counts as (
    select * from {{ ref('int_job_counts') }}
),

computed_cells as (
    select * from {{ ref('int_computed_cells') }}
),

cell_items as (
    select * from {{ ref('int_cell_items') }}
),

item_correctness as (
    select * from {{ ref('int_item_correctness') }}
),

job_probabilities as (
    select * from {{ ref('int_job_probabilities') }}
),

seeds as (
    select
        transfer_jobs.cell_number,
        transfer_jobs.job_number,
        transfer_jobs.seed,
        transfer_jobs.metric,
        job_counts.n_correct,
        job_counts.n_items = computed_cells.n_items as has_common_items_only,
        computed_cells.n_items,
        computed_cells.n_baseline_correct,
        case
            when least(job_probabilities.n_items, job_probabilities.n_scored) = job_counts.n_items
                then job_probabilities.sum_probability
        end as sum_probability
    from transfer_jobs
    inner join computed_cells on transfer_jobs.cell_number = computed_cells.cell_number
    inner join job_counts
        on transfer_jobs.job_number = job_counts.job_number
        and transfer_jobs.metric = job_counts.metric
    left join job_probabilities on transfer_jobs.job_number = job_probabilities.job_number
    where computed_cells.n_items > 0
),

-- A job that answered more than what its cell's seeds and baseline have in common is counted again; most did not.
recounted as (
    select
        seeds.cell_number,
        seeds.job_number,
        count_if({{ correct_in_metric('seeds.metric', 'item_correctness') }}) as n_correct,
        case
            when count(item_correctness.gold_probability) = count(*)
                then {{ exact_sum('cast(item_correctness.gold_probability as double)') }}
        end as sum_probability
    from seeds
    inner join item_correctness on seeds.job_number = item_correctness.job_number
    inner join cell_items
        on seeds.cell_number = cell_items.cell_number
        and item_correctness.item_id = cell_items.item_id
    where not seeds.has_common_items_only
    group by seeds.cell_number, seeds.job_number
),

final as (
    select
        seeds.cell_number,
        seeds.job_number,
        seeds.seed,
        seeds.n_items,
        case when seeds.has_common_items_only then seeds.n_correct else recounted.n_correct end as n_correct,
        seeds.n_baseline_correct,
        case when seeds.has_common_items_only then seeds.sum_probability else recounted.sum_probability end
            as sum_probability
    from seeds
    left join recounted
        on seeds.cell_number = recounted.cell_number
        and seeds.job_number = recounted.job_number
)

select * from final
