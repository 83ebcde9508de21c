{{ config(materialized='table') }}

{%- set block = "study, variant, prompt_pool, scope, arm, axis, block" %}

with role_grid as (
    select * from {{ ref('int_role_grid') }}
),

-- One cell makes its source a donor and its target a recipient: of languages within a task, of tasks within a language,
-- and of cells.
parts as (
    select
        *,
        unnest({{ role_axes() }}) as part
    from role_grid
),

-- What tuning does; and, over a grid that has all placebos too, what it does beyond its placebo.
arms as (
    select
        study,
        variant,
        prompt_pool,
        scope,
        unnest(['tuned', 'paired']) as arm,
        unnest([is_in_complete_grid, is_in_placebo_grid]) as is_in_grid,
        part.axis,
        part.block,
        part.donor,
        part.recipient,
        model,
        source_task,
        source_language,
        target_task,
        target_language,
        cell_number,
        placebo_cell_number,
        unnest([delta_pp, delta_pp - placebo_pp]) as value_pp,
        delta_pp,
        placebo_pp
    from parts
    where part.counts
),

cells as (
    select * exclude (is_in_grid)
    from arms
    where is_in_grid
),

donors as (
    select distinct
        {{ block }},
        donor as entity
    from cells
),

recipients as (
    select distinct
        {{ block }},
        recipient as entity
    from cells
),

sizes as (
    select
        {{ block }},
        count(distinct model) as n_models,
        count(distinct donor) as n_donors,
        count(distinct recipient) as n_recipients
    from cells
    group by all
),

final as (
    select
        cells.*,
        sizes.n_models,
        sizes.n_donors,
        sizes.n_recipients,
    {%- for role, others in {"donor": "recipients", "recipient": "donors"}.items() %}
    {{ others }}.entity is not null as {{ role }}_is_{{ others[:-1] }}{{ "," if not loop.last }}
    {%- endfor %}
    from cells
    inner join sizes
        on cells.study = sizes.study
        and cells.variant = sizes.variant
        and cells.prompt_pool is not distinct from sizes.prompt_pool
        and cells.scope = sizes.scope
        and cells.arm = sizes.arm
        and cells.axis = sizes.axis
        and cells.block = sizes.block
    {%- for role, others in {"donor": "recipients", "recipient": "donors"}.items() %}
    left join {{ others }}
        on cells.study = {{ others }}.study
        and cells.variant = {{ others }}.variant
        and cells.prompt_pool is not distinct from {{ others }}.prompt_pool
        and cells.scope = {{ others }}.scope
        and cells.arm = {{ others }}.arm
        and cells.axis = {{ others }}.axis
        and cells.block = {{ others }}.block
        and cells.{{ role }} = {{ others }}.entity
    {%- endfor %}
)

select * from final
