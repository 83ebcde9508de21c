{{ config(materialized='table') }}

with role_statistics as (
    select * from {{ ref('int_role_statistics') }}
),

statistic_parallels as (
    select * from {{ ref('int_statistic_parallels') }}
),

sign_designs as (
    select * from {{ ref('int_sign_designs') }}
),

random_signs as (
    select * from {{ ref('int_random_signs') }}
),

{%- set contest = "study, variant, prompt_pool, scope, axis, within_block" %}

donors as (
    select
        {{ contest }},
        entity,
        statistic_number,
        value_pp as donor_effect_pp,
        standard_error,
        run_se
    from role_statistics
    where statistic = 'donor effect'
),

-- A quarter of fewer than four is nobody, and a donor without an error leaves open who is above it.
contestants as (
    select
        *,
        dense_rank() over (order by {{ contest }}) as contest_number,
        count(*) over (partition by {{ contest }}) // 4 as n_top
    from donors
    qualify
        bool_and(standard_error is not null) over (partition by {{ contest }})
        and n_top > 0
),

-- Tasks that move a donor's effect.
moved as (
    select distinct
        contestants.statistic_number,
        sign_designs.target_task,
        sign_designs.n_parallels
    from contestants
    inner join statistic_parallels on contestants.statistic_number = statistic_parallels.statistic_number
    inner join sign_designs
        on contestants.study = sign_designs.study
        and statistic_parallels.target_task = sign_designs.target_task
),

slots as (
    select
        *,
        unnest(range(1, n_parallels + 1)) as parallel_number
    from moved
),

pulls as (
    select
        slots.statistic_number,
        slots.target_task,
        slots.n_parallels,
        list(cast(coalesce(statistic_parallels.influence, 0) as float) order by slots.parallel_number) as influences
    from slots
    left join statistic_parallels
        on slots.statistic_number = statistic_parallels.statistic_number
        and slots.target_task = statistic_parallels.target_task
        and slots.parallel_number = statistic_parallels.parallel_number
    group by slots.statistic_number, slots.target_task, slots.n_parallels
),

-- With signs of +1 and -1 every parallel item counts twice or not at all.
half_samples as (
    select
        pulls.statistic_number,
        random_signs.sign_number,
        {{ exact_sum('100 * list_inner_product(pulls.influences, random_signs.signs)') }} as shift_pp
    from pulls
    inner join random_signs
        on pulls.target_task = random_signs.target_task
        and pulls.n_parallels = random_signs.n_parallels
        and random_signs.sign_number <= 500
    group by pulls.statistic_number, random_signs.sign_number
),

entities as (
    select distinct
        axis,
        entity
    from contestants
),

digests as (
    select
        donor.axis,
        donor.entity,
        draw.i as sign_number,
        concat_ws('/', 'runs', donor.axis, donor.entity, draw.i) as digested_text
    from entities as donor
    cross join range(1, 501) as draw (i)
),

-- Two or three runs cannot be drawn again in more than a few ways: their part is normal (Box and Muller).
normals as (
    select
        axis,
        entity,
        sign_number,
        sqrt(-2 * ln((1 + md5_number_lower(digested_text)) / pow(2, 64)))
        * cos(2 * pi() * md5_number_upper(digested_text) / pow(2, 64)) as deviate
    from digests
),

shifted as (
    select
        contestants.contest_number,
        contestants.statistic_number,
        contestants.n_top,
        contestants.donor_effect_pp,
        half_samples.sign_number,
        half_samples.shift_pp + contestants.run_se * normals.deviate as total_shift_pp
    from contestants
    inner join half_samples on contestants.statistic_number = half_samples.statistic_number
    inner join normals
        on contestants.axis = normals.axis
        and contestants.entity = normals.entity
        and half_samples.sign_number = normals.sign_number
),

replicates as (
    select
        contest_number,
        statistic_number,
        n_top,
        sign_number,
        unnest([1, 2]) as half,
        -- To six decimals: equal means may differ in their last bits, by the order in which they were added up.
        unnest([round(donor_effect_pp + total_shift_pp, 6), round(donor_effect_pp - total_shift_pp, 6)]) as replicate_pp
    from shifted
),

ranked as (
    select
        *,
        rank() over (
            partition by contest_number, sign_number, half
            order by replicate_pp desc
        ) as place
    from replicates
),

shares as (
    select
        statistic_number,
        avg(cast(place <= n_top as integer)) as p_top
    from ranked
    group by statistic_number
),

final as (
    select
        contestants.study,
        contestants.variant,
        contestants.prompt_pool,
        contestants.scope,
        contestants.axis,
        contestants.within_block,
        contestants.entity,
        shares.p_top
    from shares
    inner join contestants on shares.statistic_number = contestants.statistic_number
)

select * from final
