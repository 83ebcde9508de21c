{{ config(materialized='table') }}

{%- set fold = "study, variant, prompt_pool, held_out_kind, held_out" %}
{%- set cell = "source_task, source_language, target_task, target_language, regime" %}

with cells as (
    select * from {{ ref('int_advice_cells') }}
),

advice as (
    select * from {{ ref('int_advice') }}
),

-- Every target that an adapter was asked counts, its own cell too, and whether or not the complete sub-grid has it.
over_models as (
    select
        {{ fold }},
        {{ cell }},
        count(*) as n_models,
        {{ in_order('avg', 'delta_pp') }} as mean_pp,
        count(*) filter (where is_harm) as n_harms,
        case when count(null_harm_probability) = count(*) then {{ in_order('sum', 'null_harm_probability') }} end
            as n_null_harms,
        case when count(verdict) = count(*) then count(*) filter (where verdict = 'harm') end as n_harm_verdicts,
        case when count(widened_pp2) = count(*) then {{ in_order('avg', 'widened_pp2') }} / count(*) end as items_pp2,
        {{ in_order('avg', 'runs_pp2') }} / count(*) as runs_pp2,
        -- A published error of one run is taken as exact.
        {{ in_order('sum', 'coalesce(degrees_of_freedom, 1e6)') }} as degrees_of_freedom,
        -- Where nothing differs, nothing tells how far models err together: as one.
        case when any_value(has_items) then coalesce(any_value(inflation), count(*)) else 1 end as erring_together
    from cells
    where held_out_kind in ('none', 'model')
    group by all
),

with_errors as (
    select
        *,
        sqrt(erring_together * items_pp2 + runs_pp2) as standard_error,
        standard_error * {{ t_quantile_975('degrees_of_freedom') }} as half_width
    from over_models
),

final as (
    select
        with_errors.study,
        with_errors.variant,
        with_errors.prompt_pool,
        with_errors.held_out_kind,
        with_errors.held_out,
        with_errors.source_task,
        with_errors.source_language,
        with_errors.target_task,
        with_errors.target_language,
        with_errors.regime,
        with_errors.n_models,
        with_errors.mean_pp,
        with_errors.mean_pp - with_errors.half_width as ci_low,
        with_errors.mean_pp + with_errors.half_width as ci_high,
        with_errors.standard_error,
        with_errors.degrees_of_freedom,
        with_errors.n_harms,
        with_errors.n_null_harms,
        with_errors.n_harm_verdicts,
        advice.n_models as n_advising,
        advice.expected_gain_pp,
        advice.ci_low as gain_low,
        advice.ci_high as gain_high,
        advice.new_model_low,
        advice.new_model_high,
        advice.rank
    from with_errors
    left join advice
        on with_errors.study = advice.study
        and with_errors.variant = advice.variant
        and with_errors.prompt_pool is not distinct from advice.prompt_pool
        and with_errors.held_out_kind = advice.held_out_kind
        and with_errors.held_out is not distinct from advice.held_out
        and with_errors.source_task = advice.source_task
        and with_errors.source_language = advice.source_language
        and with_errors.target_task = advice.target_task
        and with_errors.target_language = advice.target_language
)

select * from final
