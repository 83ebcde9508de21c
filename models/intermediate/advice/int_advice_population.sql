{{ config(materialized='table') }}

{%- set pool = "study, variant, prompt_pool, held_out_kind, held_out" %}

with cells as (
    select * from {{ ref('int_advice_cells') }}
    where is_in_complete_grid and regime != 'MT-ML' and held_out_kind in ('none', 'model')
),

-- Models' differences from the mean over models, cell by cell.
deviations as (
    select
        {{ pool }},
        model,
        row(source_task, source_language, target_task, target_language) as cell,
        delta_pp - avg(delta_pp order by delta_pp) over (
            partition by {{ pool }}, source_task, source_language, target_task, target_language
        ) as deviation
    from cells
),

variances as (
    select
        {{ pool }},
        cell,
        count(*) as n_models,
        {{ in_order('sum', 'pow(deviation, 2)') }} / nullif(count(*) - 1, 0) as variance
    from deviations
    group by {{ pool }}, cell
),

with_median as (
    select
        *,
        n_models - 1 as degrees,
        median(variance) over (partition by {{ pool }}) as median_variance
    from variances
    where n_models > 1
),

logarithms as (
    select
        {{ pool }},
        n_models,
        variance,
        {{ log_variance('variance', 'median_variance', 'degrees') }} as log_variance
    from with_median
),

moments as (
    select
        {{ pool }},
        any_value(n_models) as n_models,
        count(*) as n_cells,
        {{ in_order('avg', 'variance') }} as mean_variance,
        {{ in_order('avg', 'log_variance') }} as mean_log,
        coalesce({{ in_order('var_samp', 'log_variance') }}, 0)
        - ({{ trigamma('((any_value(n_models) - 1) / 2)') }}) as excess
    from logarithms
    group by {{ pool }}
),

-- Cells differ together, as far as a model differs in many: how many there are in effect follows from the products of
-- any two models' differences (unbiased under normality: Bai and Saranadasa 1996).
by_model as (
    select
        {{ pool }},
        model,
        list(deviation order by cell) as deviations
    from deviations
    group by {{ pool }}, model
),

{%- set product = 'list_inner_product(one.deviations, other.deviations)' %}

products as (
    select
        one.study,
        one.variant,
        one.prompt_pool,
        one.held_out_kind,
        one.held_out,
        {{ in_order('sum', product, 'one.model = other.model') }} as trace,
        {{ in_order('sum', 'pow(' ~ product ~ ', 2)') }} as squares
    from by_model as one
    inner join by_model as other
        on one.study = other.study
        and one.variant = other.variant
        and one.prompt_pool is not distinct from other.prompt_pool
        and one.held_out_kind = other.held_out_kind
        and one.held_out is not distinct from other.held_out
    group by all
),

traced as (
    select
        moments.*,
        moments.n_models - 1 as d,
        products.trace / d as trace_s,
        products.squares / pow(d, 2) as trace_s2,
        pow(d, 2) / nullif((d - 1) * (d + 2), 0) * (trace_s2 - pow(trace_s, 2) / d) as squares_of_sigma,
        pow(trace_s, 2) - 2 * squares_of_sigma / d as square_of_trace
    from moments
    inner join products
        on moments.study = products.study
        and moments.variant = products.variant
        and moments.prompt_pool is not distinct from products.prompt_pool
        and moments.held_out_kind = products.held_out_kind
        and moments.held_out is not distinct from products.held_out
),

final as (
    select
        {{ pool }},
        n_models,
        {{ prior_degrees('excess') }} as prior_degrees, -- noqa: PRS, LT02
        {{ prior_variance('excess', 'mean_log', 'mean_variance', 'prior_degrees') }} as prior_variance,
        case
            when d = 1 then 1
            when squares_of_sigma <= 0 then d * n_cells
            else greatest(d, least(d * n_cells, d * square_of_trace / squares_of_sigma))
        end as most_degrees
    from traced
)

select * from final
