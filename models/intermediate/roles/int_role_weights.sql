{{ config(materialized='table') }}

{%- set block = "study, variant, prompt_pool, scope, arm, axis, block" %}
{%- set contest = "study, variant, prompt_pool, scope, arm, axis" %}
{#- Classes of cells: whether the donor is a recipient too, and the recipient a donor. -#}
{%- set classes = {"11": (1, 1), "10": (1, 0), "01": (0, 1), "00": (0, 0)} %}

with role_cells as (
    select * from {{ ref('int_role_cells') }}
),

blocks as (
    select
        {{ block }},
        any_value(n_donors) as s,
        any_value(n_recipients) as t,
        count(distinct donor) filter (where donor_is_recipient) as n_both
    from role_cells
    group by all
),

-- The closed form of the least squares of cell = recipient + donor on a complete grid less own cells (a diallel without
-- selfs: Griffing 1956, method 3); see the description. NULL where donors cannot be told from recipients.
solved as (
    select
        *,
        case when n_both > 0 and (t - 1) * (s - 1) > 1 then (t - 1) - 1 / (s - 1) end as own_divisor,
        case
            when n_both = 0 or own_divisor is not null then coalesce(n_both / own_divisor, 0) + (s - n_both) / t
        end as h,
    {%- for name, (is_recipient, is_donor) in classes.items() %}
    (
        {{ "1 / own_divisor" if is_recipient else "1 / t" }}
        {%- if is_donor %} + 1 / (s - 1) / own_divisor{% endif %}
    ) / h as of_total_{{ name }},
    (
        {{ "1 / (s - 1)" if is_donor else "1 / s" }}
        {%- if is_recipient or is_donor %}
        + (
            {{ is_recipient }} + {{ is_donor }} / nullif(s - 1, 0) - n_both * of_total_{{ name }}
        ) / own_divisor / nullif(s - 1, 0)
        {%- else %}
        - coalesce(n_both * of_total_{{ name }} / own_divisor / nullif(s - 1, 0), 0)
        {%- endif %}
    ) / t as of_mean_{{ name }}{{ "," if not loop.last }}
    {%- endfor %}
    from blocks
),

entities as (
    select distinct
        {{ block }},
        'donor' as role,
        donor as entity,
        donor_is_recipient as is_both
    from role_cells
    union all
    select distinct
        {{ block }},
        'recipient' as role,
        recipient as entity,
        recipient_is_donor as is_both
    from role_cells
),

-- An effect is averaged over blocks where the same entities compete in each, and listed by block elsewhere.
competing as (
    select
        *,
        count(*) over (partition by {{ block }}, role) as n_in_block
    from entities
),

contests as (
    select
        {{ contest }},
        role,
        count(distinct block) as n_blocks,
        count(distinct entity) as n_entities
    from competing
    group by all
),

placed as (
    select
        competing.*,
        solved.s,
        solved.t,
        solved.h,
        case when competing.is_both then solved.own_divisor else solved.t end as divisor,
        {%- for name in classes %}
        solved.of_total_{{ name }},
        solved.of_mean_{{ name }},
        {%- endfor %}
        contests.n_blocks,
        bool_and(competing.n_in_block = contests.n_entities and solved.h is not null) over (
            partition by
                competing.study, competing.variant, competing.prompt_pool, competing.scope, competing.arm,
                competing.axis, competing.role
        ) as is_averaged,
        case
            when competing.role = 'donor' then solved.t - cast(competing.is_both as integer)
            else solved.s - cast(competing.is_both as integer)
        end as n_cells_in_block
    from competing
    inner join solved
        on competing.study = solved.study
        and competing.variant = solved.variant
        and competing.prompt_pool is not distinct from solved.prompt_pool
        and competing.scope = solved.scope
        and competing.arm = solved.arm
        and competing.axis = solved.axis
        and competing.block = solved.block
    inner join contests
        on competing.study = contests.study
        and competing.variant = contests.variant
        and competing.prompt_pool is not distinct from contests.prompt_pool
        and competing.scope = contests.scope
        and competing.arm = contests.arm
        and competing.axis = contests.axis
        and competing.role = contests.role
),

-- Over all blocks; and each block for itself where they are not averaged.
listed as (
    select
        *,
        unnest(case when is_averaged or n_blocks = 1 then [null] else [null, block] end) as within_block
    from placed
),

weights as (
    select
        *,
        role || ' mean' as statistic,
        case when role = 'donor' then 1 else 0 end / sum(n_cells_in_block) over (
            partition by {{ contest }}, role, entity, within_block
        ) as of_row,
        case when role = 'recipient' then 1 else 0 end / sum(n_cells_in_block) over (
            partition by {{ contest }}, role, entity, within_block
        ) as of_column,
        {%- for name in classes %}
        cast(0 as double) as of_{{ name }},
        {%- endfor %}
        cast(1 as bigint) as n_averaged
    from listed
    where arm = 'tuned'
    union all
    select
        *,
        case when arm = 'paired' then 'gain over placebo' else 'donor effect' end as statistic,
        1 / divisor as of_row,
        case when is_both then 1 / (s - 1) / divisor else 0 end as of_column,
        {%- for name in classes %}
        of_mean_{{ name }} - of_total_{{ name }} / divisor as of_{{ name }},
        {%- endfor %}
        case when within_block is null then n_blocks else 1 end as n_averaged
    from listed
    where role = 'donor' and h is not null and (within_block is not null or is_averaged)
    union all
    select
        *,
        'recipient effect' as statistic,
        case when is_both then 1 / divisor / (s - 1) else 0 end as of_row,
        case when is_both then (1 + 1 / (s - 1) / divisor) / (s - 1) else 1 / s end as of_column,
        {%- for name in classes %}
        case when is_both then -of_total_{{ name }} / divisor / (s - 1) else 0 end as of_{{ name }},
        {%- endfor %}
        case when within_block is null then n_blocks else 1 end as n_averaged
    from listed
    where
        role = 'recipient'
        and arm = 'tuned'
        and h is not null
        and (within_block is not null or is_averaged)
),

final as (
    select
        {{ block }},
        statistic,
        within_block,
        entity,
        of_row / n_averaged as of_row,
        of_column / n_averaged as of_column,
    {%- for name in classes %}
    of_{{ name }} / n_averaged as of_{{ name }}{{ "," if not loop.last }}
    {%- endfor %}
    from weights
)

select * from final
