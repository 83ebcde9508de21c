{{ config(materialized='table') }}

with mean_cells as (
    select * from {{ ref('int_mean_cells') }}
),

cell_groups as (
    select * from {{ ref('int_cell_groups') }}
),

cell_items as (
    select * from {{ ref('int_cell_items') }}
),

computed_cells as (
    select * from {{ ref('int_computed_cells') }}
),

sign_designs as (
    select * from {{ ref('int_sign_designs') }}
),

random_signs as (
    select * from {{ ref('int_random_signs') }}
),

role_cells as (
    select * from {{ ref('int_role_cells') }}
),

studies as (
    select * from {{ ref('stg_studies') }}
),

{%- set contest = "study, variant, prompt_pool, scope, axis" %}

-- No recipient is called brittle without a placebo: what nobody asks for is not drawn, half a build's time.
placebo_studies as (
    select distinct study
    from role_cells
    where placebo_is_harm is not null
),

cells as (
    select
        cell_groups.cell_number,
        cell_groups.group_number,
        computed_cells.study,
        computed_cells.target_task,
        computed_cells.n_items * computed_cells.n_seeds as n_answers,
        studies.harm_threshold_pp,
        sign_designs.n_parallels,
        sign_designs.n_signs
    from cell_groups
    inner join computed_cells on cell_groups.cell_number = computed_cells.cell_number
    inner join placebo_studies on computed_cells.study = placebo_studies.study
    inner join studies on computed_cells.study = studies.study
    inner join sign_designs
        on computed_cells.study = sign_designs.study
        and computed_cells.target_task = sign_designs.target_task
    where cell_groups.side = 'target'
),

-- A parallel item that a cell lacks is one that does not differ.
present as (
    select
        cells.cell_number,
        cell_items.parallel_number,
        cast(cell_items.n_correct - cell_items.n_seeds * cell_items.baseline_correct as float) as difference
    from cells
    inner join cell_items on cells.cell_number = cell_items.cell_number
),

counted as (
    select
        cell_number,
        count(*) as n_present
    from present
    group by cell_number
),

lacking as (
    select
        cells.cell_number,
        unnest(range(1, cells.n_parallels + 1)) as parallel_number,
        cast(0 as float) as difference
    from cells
    inner join counted on cells.cell_number = counted.cell_number
    where counted.n_present < cells.n_parallels
),

slots as (
    select * from present
    union all
    select lacking.*
    from lacking
    anti join present
        on lacking.cell_number = present.cell_number
        and lacking.parallel_number = present.parallel_number
),

differences as (
    select
        cell_number,
        list(difference order by parallel_number) as differences
    from slots
    group by cell_number
),

flipped as (
    select
        cells.group_number,
        cells.harm_threshold_pp,
        random_signs.sign_number,
        100 * list_inner_product(differences.differences, random_signs.signs) / cells.n_answers as delta_pp
    from cells
    inner join differences on cells.cell_number = differences.cell_number
    inner join random_signs
        on cells.target_task = random_signs.target_task
        and cells.n_parallels = random_signs.n_parallels
        and cells.n_signs >= random_signs.sign_number
),

-- Each vector of signs, and its opposite.
flipped_harms as (
    select
        group_number,
        sign_number,
        count(*) filter (where delta_pp <= -harm_threshold_pp) as n_harms,
        count(*) filter (where -delta_pp <= -harm_threshold_pp) as n_opposite_harms,
        sum(delta_pp) as sum_delta_pp
    from flipped
    group by group_number, sign_number
),

recipients as (
    select
        {{ contest }},
        entity,
        sum(weight * cast(is_harm as integer)) as harm_share,
        sum(weight * delta_pp) as mean_pp,
        sum(weight_with_placebo * cast(is_harm as integer)) as harm_share_with_placebo,
        sum(weight_with_placebo * cast(placebo_is_harm as integer)) as placebo_harm_share
    from role_cells
    where role = 'recipient' and weight is not null
    group by all
),

-- Weights of a group's one cell stand for the group's; see int_cell_groups.
null_shares as (
    select
        mean_cells.mean_number,
        flipped_harms.sign_number,
        sum(mean_cells.weight * flipped_harms.n_harms) as harm_share,
        sum(mean_cells.weight * flipped_harms.n_opposite_harms) as opposite_harm_share,
        sum(mean_cells.weight * flipped_harms.sum_delta_pp) as mean_pp
    from flipped_harms
    inner join mean_cells on flipped_harms.group_number = mean_cells.cell_number
    where mean_cells.role = 'recipient'
    group by mean_cells.mean_number, flipped_harms.sign_number
),

means as (
    select distinct
        mean_number,
        {{ contest }},
        entity
    from mean_cells
    where role = 'recipient'
),

observed as (
    select
        means.mean_number,
        recipients.*
    from recipients
    left join means
        on recipients.study = means.study
        and recipients.variant = means.variant
        and recipients.prompt_pool is not distinct from means.prompt_pool
        and recipients.scope = means.scope
        and recipients.axis = means.axis
        and recipients.entity = means.entity
),

-- Where as many cells are harms, the lower mean is the stronger.
tests as (
    select
        observed.mean_number,
        (
            1
            + count(*) filter (
                where round(null_shares.harm_share, 9) > round(observed.harm_share, 9)
                or (
                    round(null_shares.harm_share, 9) = round(observed.harm_share, 9)
                    and round(null_shares.mean_pp, 9) <= round(observed.mean_pp, 9)
                )
            )
            + count(*) filter (
                where round(null_shares.opposite_harm_share, 9) > round(observed.harm_share, 9)
                or (
                    round(null_shares.opposite_harm_share, 9) = round(observed.harm_share, 9)
                    and -round(null_shares.mean_pp, 9) <= round(observed.mean_pp, 9)
                )
            )
        ) / (1 + 2 * count(*)) as p_value
    from null_shares
    inner join observed on null_shares.mean_number = observed.mean_number
    group by observed.mean_number
),

tested as (
    select
        observed.*,
        tests.p_value
    from observed
    left join tests on observed.mean_number = tests.mean_number
),

-- Holm: p times the tests not yet passed, and no less than any smaller p's.
stepped as (
    select
        *,
        p_value * (
            count(p_value) over (partition by {{ contest }})
            + 1 - row_number() over (partition by {{ contest }} order by p_value, entity)
        ) as stepped_p_value
    from tested
),

final as (
    select
        {{ contest }},
        entity,
        harm_share,
        harm_share_with_placebo,
        placebo_harm_share,
        p_value,
        case
            when p_value is not null
                then least(1, max(stepped_p_value) over (
                    partition by {{ contest }}
                    order by p_value, entity
                ))
        end as holm_p_value
    from stepped
)

select * from final
