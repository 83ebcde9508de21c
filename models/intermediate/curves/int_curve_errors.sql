{{ config(materialized='table') }}

{%- set family = "study, is_on_task, question, fraction" %}

with statistics as (
    select * from {{ ref('int_curve_statistics') }}
),

curve_jobs as (
    select * from {{ ref('int_curve_jobs') }}
),

curve_items as (
    select * from {{ ref('int_curve_items') }}
),

cells as (
    select distinct
        cell_number,
        curve_number,
        is_on_task,
        target_task
    from curve_jobs
),

weighed as (
    select
        *,
        1 / count(*) over (partition by curve_number, is_on_task) as weight
    from cells
),

terms as (
    select
        statistic_number,
        curve_number,
        is_on_task,
        fraction,
        1.0 as coefficient
    from statistics
    union all
    select
        statistic_number,
        curve_number,
        is_on_task,
        1.0 as fraction,
        weight_of_whole as coefficient
    from statistics
    where weight_of_whole != 0
),

sizes as (
    select
        cell_number,
        seed,
        fraction,
        sum(n_items) as n_items,
        sum(sum_difference) / sum(n_items) as mean_difference
    from curve_items
    group by cell_number, seed, fraction
),

{%- set change = "curve_items.sum_difference - curve_items.n_items * sizes.mean_difference" %}

-- One run's answers to one parallel item, as they move a statistic.
by_parallel as (
    select
        terms.statistic_number,
        weighed.target_task,
        curve_items.seed,
        curve_items.parallel_number,
        {{ exact_sum('terms.coefficient * weighed.weight * curve_items.sum_difference / sizes.n_items') }} as moved,
        {{ exact_sum('terms.coefficient * weighed.weight * (' ~ change ~ ') / sizes.n_items') }} as influence
    from terms
    inner join weighed on terms.curve_number = weighed.curve_number and terms.is_on_task = weighed.is_on_task
    inner join curve_items on weighed.cell_number = curve_items.cell_number and terms.fraction = curve_items.fraction
    inner join sizes
        on curve_items.cell_number = sizes.cell_number
        and curve_items.seed is not distinct from sizes.seed
        and curve_items.fraction = sizes.fraction
    group by terms.statistic_number, weighed.target_task, curve_items.seed, curve_items.parallel_number
),

runs as (
    select
        statistic_number,
        seed,
        {{ exact_sum('moved') }} as value -- noqa: RF04
    from by_parallel
    group by statistic_number, seed
),

by_run as (
    select
        statistic_number,
        count(*) as n_seeds,
        {{ in_order('avg', 'value') }} as value, -- noqa: RF04
        {{ in_order('var_samp', 'value') }} as between_seeds
    from runs
    group by statistic_number
),

over_runs as (
    select
        statistic_number,
        target_task,
        parallel_number,
        {{ in_order('avg', 'influence') }} as influence,
        {{ in_order('var_samp', 'influence') }} as residual
    from by_parallel
    group by statistic_number, target_task, parallel_number
),

floors as (
    select
        terms.statistic_number,
        weighed.target_task,
        {{ exact_sum('pow(terms.coefficient * weighed.weight, 2)') }} as sum_squared_weight
    from terms
    inner join weighed on terms.curve_number = weighed.curve_number and terms.is_on_task = weighed.is_on_task
    group by terms.statistic_number, weighed.target_task
),

-- What comes from items, and what answers differ between runs beyond what the runs have in common.
by_task as (
    select
        over_runs.statistic_number,
        over_runs.target_task,
        count(*) - 1 as degrees,
        {{ item_variance('over_runs.influence', 'floors.sum_squared_weight') }} as variance,
        {{ exact_sum('over_runs.residual') }} * count(*) / nullif(count(*) - 1, 0) as seed_noise
    from over_runs
    inner join floors
        on over_runs.statistic_number = floors.statistic_number
        and over_runs.target_task = floors.target_task
    group by over_runs.statistic_number, over_runs.target_task
),

items as (
    select
        statistic_number,
        case when min(degrees) > 0 then {{ in_order('sum', 'variance') }} end as from_items,
        {{ in_order('sum', 'pow(variance, 2) / nullif(degrees, 0)') }} as variance_of_variance,
        {{ in_order('sum', 'seed_noise') }} as seed_noise
    from by_task
    group by statistic_number
),

measured as (
    select
        statistics.*,
        by_run.value,
        by_run.n_seeds,
        by_run.between_seeds,
        by_run.n_seeds - 1 as degrees,
        items.from_items,
        items.variance_of_variance,
        items.seed_noise
    from statistics
    inner join by_run on statistics.statistic_number = by_run.statistic_number
    inner join items on statistics.statistic_number = items.statistic_number
),

-- How far runs differ is told from all of a study's adapters, each with a few, by empirical Bayes (as int_run_luck).
with_median as (
    select
        *,
        median(between_seeds) over (partition by {{ family }}) as median_variance
    from measured
    where n_seeds > 1
),

logarithms as (
    select
        {{ family }},
        degrees,
        between_seeds,
        {{ log_variance('between_seeds', 'median_variance', 'degrees') }} as log_variance,
        {{ trigamma('(degrees / 2)') }} as log_variance_error
    from with_median
),

moments as (
    select
        {{ family }},
        sum(degrees) as sum_degrees,
        {{ in_order('sum', 'degrees * between_seeds') }} / sum(degrees) as mean_variance,
        {{ in_order('avg', 'log_variance') }} as mean_log,
        {{ in_order('var_samp', 'log_variance') }} - {{ in_order('avg', 'log_variance_error') }} as excess
    from logarithms
    group by {{ family }}
),

priors as (
    select
        *,
        {{ prior_degrees('excess') }} as prior_degrees, -- noqa: PRS, LT02
        {{ prior_variance('excess', 'mean_log', 'mean_variance', 'prior_degrees') }} as prior_variance
    from moments
),

with_prior as (
    select
        measured.*,
        priors.sum_degrees,
        priors.prior_variance,
        case when measured.n_seeds > 1 then measured.between_seeds end as own_variance,
        case when measured.n_seeds > 1 then measured.degrees end as own_degrees,
        {{ own_prior_degrees(
            'measured.between_seeds', 'measured.degrees', 'priors.prior_variance', 'priors.prior_degrees'
        ) }} as prior_degrees
    from measured
    left join priors
        on measured.study = priors.study
        and measured.is_on_task = priors.is_on_task
        and measured.question = priors.question
        and measured.fraction = priors.fraction
),

moderated as (
    select
        *,
        {{ moderated_variance('own_variance', 'own_degrees', 'prior_variance', 'prior_degrees') }} as run_variance,
        case
            when prior_degrees is null then sum_degrees
            else least(coalesce(own_degrees, 0) + prior_degrees, sum_degrees)
        end as run_degrees
    from with_prior
),

-- Runs' means differ by luck, and by the noise of their answers, which is among the items' already.
combined as (
    select
        *,
        greatest(0, run_variance - coalesce(seed_noise, 0)) / n_seeds as from_runs,
        from_items + coalesce(from_runs, 0) as variance
    from moderated
),

-- Satterthwaite's degrees of freedom.
final as (
    select
        statistic_number,
        n_seeds,
        100 * value as value_pp,
        case when run_variance is null then 'this run' else 'tuning' end as error_of,
        100 * sqrt(variance) as standard_error,
        greatest(1, pow(variance, 2) / nullif(
            variance_of_variance + coalesce(pow(run_variance / n_seeds, 2) / run_degrees, 0), 0
        )) as degrees_of_freedom
    from combined
)

select * from final
