{{ config(materialized='table') }}

{%- set keys = "study, variant, prompt_pool, scope, axis, statistic, within_block, entity" %}

with role_terms as (
    select * from {{ ref('int_role_terms') }}
),

mean_errors as (
    select * from {{ ref('int_mean_errors') }}
),

role_values as (
    select
        {{ keys }},
        -- In a fixed order, so that equal studies have equal sums.
        list_sum(list(coefficient * sum_pp order by block, part)) as value_pp
    from role_terms
    group by all
),

final as (
    select
        role_values.*,
        mean_errors.statistic_number,
        mean_errors.run_se,
        mean_errors.standard_error,
        role_values.value_pp - mean_errors.half_width as ci_low,
        role_values.value_pp + mean_errors.half_width as ci_high
    from role_values
    left join mean_errors
        on role_values.study = mean_errors.study
        and role_values.variant = mean_errors.variant
        and role_values.prompt_pool is not distinct from mean_errors.prompt_pool
        and role_values.scope = mean_errors.scope
        and role_values.axis = mean_errors.axis
        and role_values.statistic = mean_errors.statistic
        and role_values.within_block is not distinct from mean_errors.within_block
        and role_values.entity = mean_errors.entity
)

select * from final
