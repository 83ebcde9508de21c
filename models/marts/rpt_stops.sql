{#- The part of the whole training's gain that is to be kept: that of int_curve_statistics. -#}
{%- set kept_pct = 90 %}

with points as (
    select * from {{ ref('fct_curves') }}
    where control is null
),

curves as (
    select * from {{ ref('int_curves') }}
    where control is null
),

statistics as (
    select * from {{ ref('int_curve_statistics') }}
    where question = 'beside'
),

curve_errors as (
    select * from {{ ref('int_curve_errors') }}
),

wholes as (
    select * from points
    where fraction = 1 and gain_pp > 0
),

-- To nine decimals: equal means may differ in their last bit. Of equals, the first to come.
stops as (
    select points.*
    from points
    where round(points.kept_pct, 9) >= {{ kept_pct }}
    qualify row_number() over (
        partition by points.study, points.variant, points.prompt, points.model, points.source
        order by round(points.off_task_pp, 9) desc nulls last, points.fraction
    ) = 1
),

-- The stop is chosen by the numbers that its intervals are of: they hold for all fractions that it could have been.
measured as (
    select
        curves.study,
        curves.variant,
        curves.prompt_pool,
        curves.model,
        curves.source,
        statistics.is_on_task,
        statistics.fraction,
        curve_errors.value_pp,
        curve_errors.standard_error
        * {{ t_quantile_of('curve_errors.degrees_of_freedom', '(curves.n_fractions - 1)') }} as half_width,
        curve_errors.value_pp / curve_errors.standard_error as t,
        least(1, (curves.n_fractions - 1) * {{ two_sided_p('t', 'curve_errors.degrees_of_freedom') }}) as p_value
    from statistics
    inner join curves on statistics.curve_number = curves.curve_number
    inner join curve_errors on statistics.statistic_number = curve_errors.statistic_number
),

joined as (
    select
        wholes.study,
        wholes.origin,
        wholes.variant,
        wholes.prompt,
        wholes.model,
        wholes.source_task,
        wholes.source_language,
        wholes.source,
        wholes.n_seeds,
        wholes.n_on_task,
        wholes.n_off_task,
        stops.fraction as stop_fraction,
        wholes.gain_pp as whole_gain_pp,
        wholes.gain_low > 0 as is_gain_shown,
        stops.gain_pp as stop_gain_pp,
        stops.kept_pct,
        wholes.off_task_pp as whole_off_task_pp,
        stops.off_task_pp as stop_off_task_pp,
        {%- for name, alias in {"surplus": "keeping", "spared": "sparing"}.items() %}
        {{ alias }}.value_pp as {{ name }}_pp,
        {{ alias }}.value_pp - {{ alias }}.half_width as {{ name }}_low,
        {{ alias }}.value_pp + {{ alias }}.half_width as {{ name }}_high,
        {%- endfor %}
        sparing.p_value as p_spared,
        wholes.error_of
    from wholes
    inner join stops
        on wholes.study = stops.study
        and wholes.variant = stops.variant
        and wholes.prompt is not distinct from stops.prompt
        and wholes.model = stops.model
        and wholes.source = stops.source
    {%- for alias, is_on_task in {"keeping": "", "sparing": "not "}.items() %}
    left join measured as {{ alias }}
        on wholes.study = {{ alias }}.study
        and wholes.variant = {{ alias }}.variant
        and wholes.prompt is not distinct from {{ alias }}.prompt_pool
        and wholes.model = {{ alias }}.model
        and wholes.source = {{ alias }}.source
        and stops.fraction = {{ alias }}.fraction
        and {{ is_on_task }}{{ alias }}.is_on_task
    {%- endfor %}
),

-- The adapters of a study are a family.
adjusted as (
    {{ false_discovery_rates('joined', 'study', {'p_spared': 'q_spared'}) }}
),

final as (
    select
        * exclude (error_of),
        coalesce(spared_low > 0 and q_spared <= 0.05, false) as is_sparing,
        error_of
    from adjusted
)

select * from final
