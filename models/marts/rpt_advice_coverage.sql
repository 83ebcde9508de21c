with effects as (
    select * from {{ ref('rpt_source_effects_held_out') }}
    where expected_gain_pp is not null and measured_pp is not null
),

final as (
    select
        study,
        any_value(origin) as origin,
        variant,
        prompt,
        count(*) as n_changes,
        100 * avg(cast(measured_pp between gain_low and gain_high as integer)) as in_grid_pct,
        100 * avg(cast(measured_pp between new_model_low and new_model_high as integer)) as in_new_model_pct
    from effects
    group by study, variant, prompt
)

select * from final
