{{ config(materialized='table') }}

{%- set block = "study, variant, prompt_pool, scope, arm, axis, block" %}

with role_cells as (
    select * from {{ ref('int_role_cells') }}
),

-- Every cell is part of its donor's row, its recipient's column and its class of cells.
parted as (
    select
        *,
        unnest([
            { 'part': 'row', 'entity': donor },
            { 'part': 'column', 'entity': recipient },
            {
                'part': cast(cast(donor_is_recipient as integer) as varchar)
                || cast(cast(recipient_is_donor as integer) as varchar),
                'entity': ''
            }
        ]) as member
    from role_cells
),

final as (
    select
        {{ block }},
        member.part,
        member.entity,
        1 / any_value(n_models) as weight,
        {{ in_order('sum', 'value_pp') }} / any_value(n_models) as sum_pp,
        list(cell_number order by model, donor, recipient) as cell_numbers,
        list(placebo_cell_number order by model, donor, recipient) as placebo_cell_numbers
    from parted
    group by all
)

select * from final
