{{ config(materialized='table') }}

with contrasts as (
    select * from {{ ref('stg_contrasts') }}
),

-- What sets the arms apart; in all else a pair's cells agree.
set_apart as (
    select
        *,
        coalesce(a_variant != b_variant, false) as by_variant,
        coalesce(a_model != b_model, false) as by_model,
        coalesce(a_source != b_source, false) as by_source,
        coalesce(a_prompt != b_prompt, false) as by_prompt
    from contrasts
),

transfer_cells as (
    select * from {{ ref('int_transfer_cells') }}
),

-- A given source's name is its variant too, unless it was given another: who says the one has said the other.
cells as (
    select
        study,
        origin,
        cell_number,
        model,
        regexp_replace(model, '@[^@]*$', '') as model_name,
        variant,
        source,
        source_name,
        coalesce(control, 'tuned') as arm_control,
        target_task,
        target_language,
        prompt,
        prompt_pool,
        split_part(prompt, '@', 1) as prompt_name,
        variant = source_name and source_name != source as is_named,
        coalesce(regime = 'MT-ML', false) as is_trained_cell,
        baseline_score,
        score,
        delta_pp,
        n_items,
        n_seeds
    from transfer_cells
    where delta_pp is not null
),
{% for arm in ("a", "b") %}
arm_{{ arm }} as (
    select
        set_apart.contrast,
        set_apart.by_variant,
        set_apart.by_model,
        set_apart.by_source,
        set_apart.by_prompt,
        cells.*
    from set_apart
    inner join cells
        on set_apart.study = cells.study
        and set_apart.{{ arm }}_control = cells.arm_control
        and coalesce(set_apart.{{ arm }}_variant, cells.variant) = cells.variant
        and (
            set_apart.{{ arm }}_model is null
            or set_apart.{{ arm }}_model = cells.model
            or set_apart.{{ arm }}_model = cells.model_name
        )
        and (
            set_apart.{{ arm }}_source is null
            or set_apart.{{ arm }}_source = cells.source
            or set_apart.{{ arm }}_source = cells.source_name
        )
        and (
            set_apart.{{ arm }}_prompt is null
            or set_apart.{{ arm }}_prompt = cells.prompt
            or set_apart.{{ arm }}_prompt = cells.prompt_name
        )
        and (
            len(set_apart.targets) = 0
            or list_contains(set_apart.targets, cells.target_task || '/' || cells.target_language)
        )
),
{% endfor %}
final as (
    select
        arm_a.study,
        arm_a.origin,
        arm_a.contrast,
        arm_a.target_task,
        arm_a.target_language,
        arm_a.is_trained_cell or arm_b.is_trained_cell as is_trained_cell,
        {%- for arm in ("a", "b") %}
        arm_{{ arm }}.cell_number as {{ arm }}_cell_number,
        arm_{{ arm }}.variant as {{ arm }}_variant,
        arm_{{ arm }}.prompt_pool as {{ arm }}_prompt,
        arm_{{ arm }}.model as {{ arm }}_model,
        arm_{{ arm }}.source as {{ arm }}_source,
        arm_{{ arm }}.arm_control as {{ arm }}_control,
        arm_{{ arm }}.score as {{ arm }}_score,
        arm_{{ arm }}.delta_pp as {{ arm }}_delta_pp,
        {%- endfor %}
        least(arm_a.n_items, arm_b.n_items) as n_items
    from arm_a
    inner join arm_b
        on arm_a.study = arm_b.study
        and arm_a.contrast = arm_b.contrast
        and arm_a.target_task = arm_b.target_task
        and arm_a.target_language = arm_b.target_language
        and (
            arm_a.by_variant
            or arm_a.variant = arm_b.variant
            or (arm_a.by_source and (arm_a.is_named or arm_b.is_named))
        )
        and (arm_a.by_model or arm_a.model = arm_b.model)
        and (
            arm_a.by_source
            or arm_a.source = arm_b.source
            or (arm_a.by_variant and arm_a.is_named and arm_b.is_named)
        )
        and (arm_a.by_prompt or arm_a.prompt is not distinct from arm_b.prompt)
)

select * from final
