{{ config(materialized='table') }}

with role_weights as (
    select * from {{ ref('int_role_weights') }}
),

role_sums as (
    select * from {{ ref('int_role_sums') }}
),

terms as (
    select
        role_weights.* exclude (of_row, of_column, of_11, of_10, of_01, of_00), -- noqa: RF02
        unnest(['row', 'column', '11', '10', '01', '00']) as part,
        unnest([entity, entity, '', '', '', '']) as part_entity,
        unnest([of_row, of_column, of_11, of_10, of_01, of_00]) as coefficient
    from role_weights
),

final as (
    select
        terms.*,
        role_sums.sum_pp
    from terms
    inner join role_sums
        on terms.study = role_sums.study
        and terms.variant = role_sums.variant
        and terms.prompt_pool is not distinct from role_sums.prompt_pool
        and terms.scope = role_sums.scope
        and terms.arm = role_sums.arm
        and terms.axis = role_sums.axis
        and terms.block = role_sums.block
        and terms.part = role_sums.part
        and terms.part_entity = role_sums.entity
    where terms.coefficient != 0
)

select * from final -- noqa: AM04
