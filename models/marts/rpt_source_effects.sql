with effects as (
    select * from {{ ref('int_source_effects') }}
    where held_out_kind = 'none'
),

studies as (
    select * from {{ ref('stg_studies') }}
),

tested as (
    select
        effects.*,
        studies.origin,
        studies.harm_threshold_pp,
        effects.regime = 'MT-ML' as is_own_cell,
        effects.mean_pp / nullif(effects.standard_error, 0) as t,
        (effects.mean_pp + studies.harm_threshold_pp) / nullif(effects.standard_error, 0) as t_of_harm,
        {{ two_sided_p('t', 'effects.degrees_of_freedom') }} as p_value,
        {{ harm_p(two_sided_p('t_of_harm', 'effects.degrees_of_freedom'), 't_of_harm') }} as harm_p_value
    from effects
    inner join studies on effects.study = studies.study
),

adjusted as (
    {{ false_discovery_rates('tested', 'study, is_own_cell', {'p_value': 'q_value', 'harm_p_value': 'q_harm'}) }}
),

final as (
    select
        adjusted.study,
        adjusted.origin,
        adjusted.variant,
        adjusted.prompt_pool as prompt,
        adjusted.prompt_pool,
        adjusted.source_task,
        adjusted.source_language,
        adjusted.target_task,
        adjusted.target_language,
        adjusted.regime,
        adjusted.n_models,
        adjusted.mean_pp,
        adjusted.ci_low,
        adjusted.ci_high,
        adjusted.q_value,
        adjusted.q_harm,
        {{ verdict('adjusted') }} as verdict,
        adjusted.n_harms,
        adjusted.n_null_harms,
        adjusted.n_harm_verdicts,
        adjusted.n_advising,
        adjusted.expected_gain_pp,
        adjusted.gain_low,
        adjusted.gain_high,
        adjusted.new_model_low,
        adjusted.new_model_high,
        adjusted.rank
    from adjusted
)

select * from final
