{%- set lowest = "order by mean_pp, target_task, target_language" %}

with effects as (
    select * from {{ ref('rpt_source_effects') }}
),

final as (
    select
        study,
        any_value(origin) as origin,
        variant,
        prompt,
        source_task,
        source_language,
        count(*) filter (where regime != 'MT-ML') as n_targets,
        cast(sum(n_models) as bigint) as n_cells,
        {{ in_order('avg', 'mean_pp', "regime != 'MT-ML'") }} as mean_pp,
        100 * sum(n_harms) / sum(n_models) as harm_pct,
        case when count(n_null_harms) = count(*) then 100 * {{ in_order('sum', 'n_null_harms') }} / sum(n_models) end
            as null_harm_pct,
        case when count(n_harm_verdicts) = count(*) then 100 * sum(n_harm_verdicts) / sum(n_models) end
            as verdict_harm_pct,
        min(mean_pp) as worst_pp,
        first(ci_low {{ lowest }}) as worst_low,
        first(ci_high {{ lowest }}) as worst_high,
        first(expected_gain_pp {{ lowest }}) as worst_shrunk_pp,
        first(target_task {{ lowest }}) as worst_task,
        first(target_language {{ lowest }}) as worst_language,
        first(verdict {{ lowest }}) as worst_verdict
    from effects
    group by study, variant, prompt, source_task, source_language
)

select * from final
