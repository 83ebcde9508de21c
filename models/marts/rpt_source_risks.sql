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
        avg(mean_pp) filter (where regime != 'MT-ML') as mean_pp,
        100 * sum(n_harms) / sum(n_models) as harm_pct,
        case when count(n_null_harms) = count(*) then 100 * sum(n_null_harms) / sum(n_models) end as null_harm_pct,
        case when count(n_harm_verdicts) = count(*) then 100 * sum(n_harm_verdicts) / sum(n_models) end
            as verdict_harm_pct,
        min(mean_pp) as worst_pp,
        arg_min(ci_low, mean_pp) as worst_low,
        arg_min(ci_high, mean_pp) as worst_high,
        -- arg_min would pass over NULL, which stands where a cell is of no advice.
        arg_min({'value': expected_gain_pp}, mean_pp).value as worst_shrunk_pp,
        arg_min(target_task, mean_pp) as worst_task,
        arg_min(target_language, mean_pp) as worst_language,
        arg_min({'value': verdict}, mean_pp).value as worst_verdict
    from effects
    group by study, variant, prompt, source_task, source_language
)

select * from final
