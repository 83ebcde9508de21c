{{ config(materialized='table') }}

{%- set source = "outcome, study, variant, source_task, source_language, source, is_trained_cell" %}

with luck_cells as (
    select * from {{ ref('int_luck_cells') }}
),

luck_sharing as (
    select * from {{ ref('int_luck_sharing') }}
),

sources as (
    select distinct {{ source }} from luck_cells
),

rough as (
    select
        outcome,
        study,
        is_trained_cell,
        any_value(rough_luck) as rough_luck,
        {{ in_order('sum', '(n_seeds - 1) * pow(luck_part, 2)') }}
        / nullif({{ in_order('sum', '(n_seeds - 1) * luck_part') }}, 0) as study_luck_part
    from luck_cells
    group by outcome, study, is_trained_cell
),

-- Cells count as far as luck, and not the items' noise, makes their seeds differ.
by_adapter as (
    select
        {{ source }},
        model,
        control,
        {{ in_order('sum', '(n_seeds - 1) * luck_part * relative_variance') }} as sum_variance,
        {{ in_order('sum', '(n_seeds - 1) * luck_part') }} as sum_part,
        {{ in_order('sum', '(n_seeds - 1) * pow(luck_part, 2)') }} as sum_squared_part,
        pow({{ in_order('sum', 'sqrt(n_seeds - 1) * luck_part') }}, 2) as squared_sum_part
    from luck_cells
    where luck_part is not null
    group by all
),

{%- set together -%}
    by_adapter.sum_squared_part
    + pow(coalesce(luck_sharing.correlation, 0), 2) * (by_adapter.squared_sum_part - by_adapter.sum_squared_part)
{%- endset %}

by_source as (
    select
        by_adapter.outcome,
        by_adapter.study,
        by_adapter.variant,
        by_adapter.source,
        by_adapter.is_trained_cell,
        {{ in_order('sum', 'by_adapter.sum_part') }} as sum_parts,
        {{ in_order('sum', 'by_adapter.sum_variance') }} / nullif(sum_parts, 0) as relative_variance,
        {{ in_order('sum', 'by_adapter.sum_squared_part') }} / nullif(sum_parts, 0) as luck_part,
        -- The targets of one adapter are fewer than they seem: M (S - 1) T / (1 + (T - 1) rho^2) where all weigh alike.
        pow(sum_parts, 2) / nullif({{ in_order('sum', together) }}, 0) as degrees
    from by_adapter
    left join luck_sharing on by_adapter.outcome = luck_sharing.outcome and by_adapter.study = luck_sharing.study
    group by all
    having sum_parts > 0
),

with_median as (
    select
        *,
        median(relative_variance) over (partition by outcome, study, is_trained_cell) as median_variance
    from by_source
),

logarithms as (
    select
        outcome,
        study,
        is_trained_cell,
        degrees,
        relative_variance,
        {{ log_variance('relative_variance', 'median_variance', 'degrees') }} as log_variance,
        {{ trigamma('(degrees / 2)') }} as log_variance_error
    from with_median
),

moments as (
    select
        outcome,
        study,
        is_trained_cell,
        {{ in_order('sum', 'degrees') }} as sum_degrees,
        {{ in_order('sum', 'degrees * relative_variance') }} / sum_degrees as mean_variance,
        {{ in_order('avg', 'log_variance') }} as mean_log,
        {{ in_order('var_samp', 'log_variance') }} - {{ in_order('avg', 'log_variance_error') }} as excess
    from logarithms
    group by outcome, study, is_trained_cell
),

-- Sources that differ no more than chance makes them have one variance, their mean: infinite degrees of freedom.
priors as (
    select
        moments.*,
        rough.rough_luck,
        rough.study_luck_part,
        {{ prior_degrees('excess') }} as prior_degrees, -- noqa: PRS, LT02
        {{ prior_variance('excess', 'mean_log', 'mean_variance', 'prior_degrees') }} as prior_variance
    from moments
    inner join rough
        on moments.outcome = rough.outcome
        and moments.study = rough.study
        and moments.is_trained_cell = rough.is_trained_cell
),

with_prior as (
    select
        sources.*,
        priors.rough_luck,
        priors.sum_degrees,
        priors.prior_variance,
        by_source.relative_variance as own_variance,
        by_source.degrees as own_degrees,
        coalesce(by_source.luck_part, priors.study_luck_part) as luck_part,
        {{ own_prior_degrees(
            'by_source.relative_variance', 'by_source.degrees', 'priors.prior_variance', 'priors.prior_degrees'
        ) }} as prior_degrees
    from sources
    inner join priors
        on sources.outcome = priors.outcome
        and sources.study = priors.study
        and sources.is_trained_cell = priors.is_trained_cell
    left join by_source
        on sources.outcome = by_source.outcome
        and sources.study = by_source.study
        and sources.variant = by_source.variant
        and sources.source = by_source.source
        and sources.is_trained_cell = by_source.is_trained_cell
),

moderated as (
    select
        *,
        {{ moderated_variance('own_variance', 'own_degrees', 'prior_variance', 'prior_degrees') }}
            as relative_variance,
        case
            when prior_degrees is null then sum_degrees
            else least(coalesce(own_degrees, 0) + prior_degrees, sum_degrees)
        end as degrees_of_freedom
    from with_prior
),

-- What was moderated holds the items' noise too, which is taken off again.
final as (
    select
        {{ source }},
        rough_luck * greatest(0, 1 + (relative_variance - 1) / luck_part) as luck_variance,
        rough_luck * relative_variance / luck_part as luck_and_noise,
        degrees_of_freedom
    from moderated
)

select * from final
