with consistency as (
    select * from {{ ref('rpt_consistency') }}
),

final as (
    select
        study,
        any_value(origin) as origin,
        variant,
        prompt,
        regime,
        count(kendall_tau_b) as n_sources,
        count(*) filter (where p_value <= 0.05) as n_agreeing,
        {{ in_order('avg', 'kendall_tau_b') }} as mean_tau_b,
        100 * count_if(p_value <= 0.05) / nullif(count(p_value), 0) as agreeing_pct,
        {{ in_order('avg', 'specific_tau_b') }} as mean_specific_tau_b,
        100 * count_if(specific_p_value <= 0.05) / nullif(count(specific_p_value), 0) as specifically_agreeing_pct
    from consistency
    where kendall_tau_b is not null
    group by study, variant, prompt, regime
)

select * from final
