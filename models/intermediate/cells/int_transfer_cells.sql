{{ config(materialized='table') }}

with computed_cells as (
    select * from {{ ref('int_computed_cells') }}
),

cell_errors as (
    select * from {{ ref('int_cell_errors') }}
),

imported_cells as (
    select * from {{ ref('int_imported_cells') }}
),

studies as (
    select * from {{ ref('stg_studies') }}
),

prompt_pools as (
    select * from {{ ref('int_prompt_pools') }}
),

mixture_regimes as (
    select * from {{ ref('int_mixture_regimes') }}
),

given_sources as (
    select * from {{ ref('stg_given_sources') }}
),

computed as (
    select
        computed_cells.*,
        cell_errors.* exclude (cell_number) -- noqa: RF02
    from computed_cells
    left join cell_errors on computed_cells.cell_number = cell_errors.cell_number
),

with_threshold as (
    select
        imported_cells.*,
        studies.harm_threshold_pp
    from imported_cells
    inner join studies on imported_cells.study = studies.study
),

-- An error over several seeds has as many degrees of freedom as seeds but one; any other is taken as exact.
imported as (
    select
        *,
        delta_pp / nullif(delta_se, 0) as t,
        (delta_pp + harm_threshold_pp) / nullif(delta_se, 0) as t_of_harm,
        nullif(greatest(coalesce(n_seeds, 1), 1) - 1, 0) as degrees_of_freedom,
        delta_se * case when n_seeds > 1 then {{ t_quantile_975('(n_seeds - 1)') }} else 1.959963984540054 end
            as half_width
    from with_threshold
),

imported_with_errors as (
    select
        * exclude (t, t_of_harm, half_width, harm_threshold_pp),
        delta_pp - half_width as ci_low,
        delta_pp + half_width as ci_high,
        {{ two_sided_p('imported.t', 'imported.degrees_of_freedom') }} as p_value,
        {{ harm_p(two_sided_p('imported.t_of_harm', 'imported.degrees_of_freedom'), 't_of_harm') }} as harm_p_value
    from imported
),

all_cells as (
    select * from computed
    union all by name
    select * from imported_with_errors
),

cells as (
    select
        *,
        {{ regime() }} as regime
    from all_cells
),

judged as (
    select
        cells.* exclude (regime), -- noqa: RF02
        studies.origin,
        prompt_pools.prompt_pool,
        mixture_regimes.study is not null as is_mixture,
        coalesce(given_sources.name, cells.source) as source_name,
        coalesce(mixture_regimes.regime, cells.regime) as regime,
        studies.harm_threshold_pp,
        coalesce(
            cells.delta_pp > 0,
            case cells.higher_is_better when true then cells.delta > 0 when false then cells.delta < 0 end
        ) as is_positive,
        cells.delta_pp <= -studies.harm_threshold_pp as is_harm,
        -- The largest total of signed differences that is a harm and, flips moving it by twos, can occur.
        floor(1e-9 - studies.harm_threshold_pp * cells.n_items * cells.n_seeds / 100) as least_harm,
        least_harm - abs(least_harm - cells.sum_difference) % 2 as least_harm_total
    from cells
    inner join studies on cells.study = studies.study
    left join prompt_pools
        on cells.study = prompt_pools.study
        and cells.variant = prompt_pools.variant
        and cells.prompt is not distinct from prompt_pools.prompt
    left join mixture_regimes
        on cells.study = mixture_regimes.study
        and cells.source = mixture_regimes.source
        and cells.target_task = mixture_regimes.target_task
        and cells.target_language = mixture_regimes.target_language
    left join given_sources on {{ is_given_source('cells') }}
),

with_null as (
    select
        *,
        coalesce(regime = 'MT-ML', false) as is_trained_cell,
        -- Flips of the items' signs, by twos; and the runs' luck, which knows no steps of two.
        -case when from_runs > 0 then least_harm + 0.5 else least_harm_total + 1 end
        / nullif(sqrt(sum_squared_difference + pow(n_items * n_seeds, 2) * coalesce(from_runs, 0)), 0) as z_of_harm
    from judged
),

-- Trained cells are a family of their own, and so are placebos.
adjusted as (
    {{ false_discovery_rates(
        'with_null', 'study, control, is_trained_cell', {'p_value': 'q_value', 'harm_p_value': 'q_harm'}
    ) }}
),

final as (
    select
        adjusted.study,
        adjusted.origin,
        adjusted.variant,
        adjusted.cell_number,
        adjusted.model,
        adjusted.source_task,
        adjusted.source_language,
        adjusted.source,
        adjusted.source_name,
        adjusted.is_mixture,
        adjusted.target_task,
        adjusted.target_language,
        adjusted.control,
        adjusted.prompt,
        adjusted.prompt_pool,
        adjusted.regime,
        adjusted.metric,
        adjusted.n_seeds,
        adjusted.n_items,
        adjusted.baseline_score,
        adjusted.score,
        coalesce(adjusted.delta, adjusted.delta_pp) as delta,
        coalesce(adjusted.delta_unit, 'pp') as delta_unit,
        case when adjusted.delta_unit is null then true else adjusted.higher_is_better end as higher_is_better,
        adjusted.delta_pp,
        adjusted.delta_se,
        adjusted.degrees_of_freedom,
        adjusted.error_of,
        adjusted.ci_low,
        adjusted.ci_high,
        adjusted.p_value,
        adjusted.q_value,
        adjusted.q_harm,
        adjusted.is_positive,
        adjusted.is_harm,
        adjusted.harm_threshold_pp,
        {{ verdict('adjusted') }} as verdict,
        case
            when adjusted.sum_squared_difference is null then null
            when adjusted.z_of_harm is null then cast(adjusted.is_harm as integer)
            when adjusted.z_of_harm >= 0 then {{ two_sided_p('adjusted.z_of_harm', 'null') }} / 2
            else 1 - {{ two_sided_p('adjusted.z_of_harm', 'null') }} / 2
        end as null_harm_probability,
        adjusted.gain_pct,
        adjusted.loss_pct,
        adjusted.from_items,
        adjusted.from_items_widened,
        adjusted.from_runs
    from adjusted
)

select * from final
