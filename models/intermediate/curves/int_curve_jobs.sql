{{ config(materialized='table') }}

with scoring_jobs as (
    select * from {{ ref('int_scoring_jobs') }}
),

study_jobs as (
    select * from {{ ref('stg_study_jobs') }}
),

transfer_jobs as (
    select * from {{ ref('int_transfer_jobs') }}
),

computed_cells as (
    select * from {{ ref('int_computed_cells') }}
),

transfer_cells as (
    select * from {{ ref('int_transfer_cells') }}
),

on_the_way as (
    select
        study_jobs.study,
        scoring_jobs.*
    from scoring_jobs
    inner join study_jobs on scoring_jobs.job_key = study_jobs.job_key
    where scoring_jobs.fraction is not null
),

-- An adapter on the way, beside the whole training that it is part of.
partial as (
    select
        transfer_jobs.cell_number,
        transfer_jobs.seed,
        transfer_jobs.metric,
        transfer_jobs.baseline_job_number,
        on_the_way.fraction,
        on_the_way.job_number
    from on_the_way
    inner join transfer_jobs
        on on_the_way.study = transfer_jobs.study
        and on_the_way.model = transfer_jobs.model
        and on_the_way.variant = transfer_jobs.variant
        and on_the_way.source = transfer_jobs.source
        and on_the_way.control is not distinct from transfer_jobs.control
        and on_the_way.seed is not distinct from transfer_jobs.seed
        and on_the_way.target_task = transfer_jobs.target_task
        and on_the_way.target_language = transfer_jobs.target_language
        and on_the_way.prompt is not distinct from transfer_jobs.prompt
    where transfer_jobs.baseline_job_number is not null
),

whole as (
    select
        transfer_jobs.cell_number,
        transfer_jobs.seed,
        transfer_jobs.metric,
        transfer_jobs.baseline_job_number,
        1.0 as fraction,
        transfer_jobs.job_number
    from transfer_jobs
    semi join partial on transfer_jobs.cell_number = partial.cell_number
),

jobs as (
    select * from partial
    union all by name
    select * from whole
),

-- An adapter is a model tuned on a source, over its seeds; its targets are of its own task (a mixture's) or off it.
placed as (
    select
        jobs.*,
        transfer_cells.study,
        cast(dense_rank() over (
            order by
                transfer_cells.study, transfer_cells.variant, transfer_cells.prompt_pool, transfer_cells.model,
                transfer_cells.source, transfer_cells.control
        ) as integer) as curve_number,
        transfer_cells.regime like 'MT-%' as is_on_task,
        computed_cells.target_task
    from jobs
    inner join computed_cells on jobs.cell_number = computed_cells.cell_number
    inner join transfer_cells on jobs.cell_number = transfer_cells.cell_number
    where transfer_cells.regime is not null
),

ranked as (
    select
        *,
        dense_rank() over (partition by cell_number order by fraction) as n_fractions,
        dense_rank() over (partition by cell_number order by seed) as n_seeds
    from placed
),

-- Fractions are compared on the same targets and runs: a cell that lacks one of its adapter's counts for none.
counted as (
    select
        *,
        count(*) over (partition by cell_number) as n_jobs,
        max(n_fractions) over (partition by curve_number) as n_fractions_of_curve,
        max(n_seeds) over (partition by curve_number) as n_seeds_of_curve
    from ranked
),

final as (
    select
        study,
        curve_number,
        cell_number,
        is_on_task,
        target_task,
        seed,
        fraction,
        job_number,
        baseline_job_number,
        metric,
        n_jobs
    from counted
    where n_jobs = n_fractions_of_curve * n_seeds_of_curve
)

select * from final
