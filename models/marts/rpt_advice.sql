with advice as (
    select * from {{ ref('int_advice') }}
),

studies as (
    select * from {{ ref('stg_studies') }}
),

final as (
    select
        advice.study,
        studies.origin,
        advice.variant,
        advice.prompt_pool as prompt,
        advice.target_task,
        advice.target_language,
        advice.source_task,
        advice.source_language,
        advice.mean_pp,
        advice.expected_gain_pp,
        advice.ci_low,
        advice.ci_high,
        advice.new_model_low,
        advice.new_model_high,
        advice.worst_harm_pp,
        advice.worst_harm_task,
        advice.worst_harm_language,
        advice.p_harm,
        advice.rank,
        advice.n_models
    from advice
    inner join studies on advice.study = studies.study
    where advice.held_out_kind = 'none'
)

select * from final
