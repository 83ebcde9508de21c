{{ config(materialized='table') }}

with role_terms as (
    select * from {{ ref('int_role_terms') }}
),

mean_cells as (
    select * from {{ ref('int_mean_cells') }}
),

means as (
    select distinct
        mean_number,
        study,
        variant,
        prompt_pool,
        scope,
        arm,
        axis,
        block,
        part,
        entity
    from mean_cells
),

regimes as (
    select
        *,
        'mean' as statistic,
        cast(null as varchar) as within_block,
        entity as part_entity,
        1 as coefficient
    from means
    where part = 'regime'
),

terms as (
    select * exclude (mean_number) from regimes
    union all by name
    select * exclude (sum_pp) from role_terms
),

numbered as (
    select
        *,
        cast(dense_rank() over (
            order by study, variant, prompt_pool, scope, axis, statistic, within_block, entity
        ) as integer) as statistic_number
    from terms
),

-- Where some cell came without items, nothing can be said.
final as (
    select
        numbered.*,
        means.mean_number
    from numbered
    left join means
        on numbered.study = means.study
        and numbered.variant = means.variant
        and numbered.prompt_pool is not distinct from means.prompt_pool
        and numbered.scope = means.scope
        and numbered.arm = means.arm
        and numbered.axis = means.axis
        and numbered.block = means.block
        and numbered.part = means.part
        and numbered.part_entity = means.entity
    qualify bool_and(means.mean_number is not null) over (partition by numbered.statistic_number)
)

select * from final -- noqa: AM04
