{{ config(materialized='table') }}
-- noqa: disable=LT02

{%- set grid = "study, variant, prompt_pool, scope" %}
{%- set arms = {"tuned": "delta_pp", "paired": "placebo_pp"} %}

with expected_cells as (
    select * from {{ ref('int_expected_cells') }}
),

grid_drops as (
    select * from {{ ref('int_grid_drops') }}
),

model_scopes as (
    select * from {{ ref('int_model_scopes') }}
),

scoped as (
    select
        expected_cells.*,
        model_scopes.scope
    from expected_cells
    inner join model_scopes on expected_cells.model = model_scopes.model
),

-- The grids to choose from: dropping every source, model or target that misses a cell, or one by one (int_grid_drops).
judged as (
    select
        scoped.*,
        {%- for arm, value in arms.items() %}
        {%- for axis in ("source", "model", "target") %}
        bool_and(scoped.{{ value }} is not null) filter (where scoped.regime != 'MT-ML') over (
            partition by
                scoped.study, scoped.variant, scoped.prompt_pool, scoped.scope, scoped.{{ axis }}_unit
        ) as {{ arm }}_by_{{ axis }},
        {%- endfor %}
        not coalesce(
            list_contains({{ arm }}_drops.dropped, scoped.model_unit)
            or list_contains({{ arm }}_drops.dropped, scoped.source_unit)
            or list_contains({{ arm }}_drops.dropped, scoped.target_unit),
            false
        ) as {{ arm }}_by_one{{ "," if not loop.last }}
        {%- endfor %}
    from scoped
    {%- for arm in arms %}
    left join grid_drops as {{ arm }}_drops
        on scoped.study = {{ arm }}_drops.study
        and scoped.variant = {{ arm }}_drops.variant
        and scoped.prompt_pool is not distinct from {{ arm }}_drops.prompt_pool
        and scoped.scope = {{ arm }}_drops.scope
        and {{ arm }}_drops.arm = '{{ arm }}'
    {%- endfor %}
),

-- A grid that still misses a cell counts for nothing. Trained cells are absent by design: none is missed.
sizes as (
    select
        {{ grid }},
        bool_and(regime = 'MT-ML') as has_trained_cells_only,
        {%- for arm, value in arms.items() %}
        {%- for way in ("source", "model", "target", "one") %}
        case
            when bool_and({{ value }} is not null or not {{ arm }}_by_{{ way }}) filter (where regime != 'MT-ML')
                then count(*) filter (where regime != 'MT-ML' and {{ arm }}_by_{{ way }})
            else 0
        end as n_{{ arm }}_by_{{ way }}{{ "," if not (loop.last and arm == "paired") }}
        {%- endfor %}
        {%- endfor %}
    from judged
    group by {{ grid }}
),

sized as (
    select
        judged.*,
        sizes.* exclude ({{ grid }}) -- noqa: RF02
    from judged
    inner join sizes
        on judged.study = sizes.study
        and judged.variant = sizes.variant
        and judged.prompt_pool is not distinct from sizes.prompt_pool
        and judged.scope = sizes.scope
),

final as (
    select
        study,
        variant,
        prompt_pool,
        scope,
        model,
        source_task,
        source_language,
        target_task,
        target_language,
        regime,
        is_planned,
        cell_number,
        delta_pp,
        is_harm,
        placebo_cell_number,
        placebo_pp,
    {%- for arm, value in arms.items() %}
    {%- set n = "n_" ~ arm ~ "_by_" %}
    {{ value }} is not null
    and case greatest({{ n }}source, {{ n }}model, {{ n }}target, {{ n }}one)
        when 0 then has_trained_cells_only
        when {{ n }}source then coalesce({{ arm }}_by_source, false)
        when {{ n }}one then {{ arm }}_by_one
        when {{ n }}model then coalesce({{ arm }}_by_model, false)
        else coalesce({{ arm }}_by_target, false)
    end as is_in_{{ {"tuned": "complete", "paired": "placebo"}[arm] }}_grid{{ "," if not loop.last }}
    {%- endfor %}
    from sized
)

select * from final
