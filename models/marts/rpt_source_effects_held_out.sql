with effects as (
    select * from {{ ref('int_source_effects') }}
    where held_out_kind = 'model'
),

role_grid as (
    select * from {{ ref('int_role_grid') }}
    where scope = 'all'
),

studies as (
    select * from {{ ref('stg_studies') }}
),

final as (
    select
        effects.study,
        studies.origin,
        effects.variant,
        effects.prompt_pool as prompt,
        effects.prompt_pool,
        effects.held_out as model,
        effects.source_task,
        effects.source_language,
        effects.target_task,
        effects.target_language,
        effects.regime,
        effects.n_models,
        effects.mean_pp,
        effects.ci_low,
        effects.ci_high,
        effects.n_harms,
        effects.n_null_harms,
        effects.n_harm_verdicts,
        effects.n_advising,
        effects.expected_gain_pp,
        effects.gain_low,
        effects.gain_high,
        effects.new_model_low,
        effects.new_model_high,
        effects.rank,
        role_grid.delta_pp as measured_pp
    from effects
    inner join studies on effects.study = studies.study
    left join role_grid
        on effects.study = role_grid.study
        and effects.variant = role_grid.variant
        and effects.prompt_pool is not distinct from role_grid.prompt_pool
        and effects.held_out = role_grid.model
        and effects.source_task = role_grid.source_task
        and effects.source_language = role_grid.source_language
        and effects.target_task = role_grid.target_task
        and effects.target_language = role_grid.target_language
)

select * from final
