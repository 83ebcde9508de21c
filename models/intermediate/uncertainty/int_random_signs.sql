{{ config(materialized='table') }}

with sign_designs as (
    select * from {{ ref('int_sign_designs') }}
),

designs as (
    select
        target_task,
        n_parallels,
        max(n_signs) as n_signs
    from sign_designs
    group by target_task, n_parallels
),

slots as (
    select
        *,
        unnest(range(1, n_parallels + 1)) as parallel_number
    from designs
),

-- One digest holds the signs of 64 vectors, one in each bit.
blocks as (
    select
        *,
        unnest(range(n_signs // 64 + 1)) as block
    from slots
),

digested as (
    select
        *,
        md5_number_lower(concat_ws('/', 'signs', target_task, n_parallels, parallel_number, block)) as bits
    from blocks
),

signs as (
    select
        digested.target_task,
        digested.n_parallels,
        digested.n_signs,
        digested.parallel_number,
        64 * digested.block + slot.i + 1 as sign_number,
        cast(case when digested.bits >> slot.i & 1 = 1 then 1 else -1 end as float) as direction
    from digested
    cross join range(64) as slot (i)
),

final as (
    select
        target_task,
        n_parallels,
        cast(sign_number as integer) as sign_number,
        list(direction order by parallel_number) as signs
    from signs
    where sign_number <= n_signs
    group by target_task, n_parallels, sign_number
)

select * from final
