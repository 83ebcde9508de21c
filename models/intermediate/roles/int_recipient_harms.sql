{{ config(materialized='table') }}

{%- set contest = "study, variant, prompt_pool, scope, axis" %}

with role_cells as (
    select * from {{ ref('int_role_cells') }}
),

cell_items as (
    select * from {{ ref('int_cell_items') }}
),

computed_cells as (
    select * from {{ ref('int_computed_cells') }}
),

cell_errors as (
    select * from {{ ref('int_cell_errors') }}
),

sign_designs as (
    select * from {{ ref('int_sign_designs') }}
),

random_signs as (
    select * from {{ ref('int_random_signs') }}
),

studies as (
    select * from {{ ref('stg_studies') }}
),

-- Cells with their placebos, and the recipients that they count for.
members as (
    select
        {{ contest }},
        recipient as entity,
        cell_number,
        placebo_cell_number,
        dense_rank() over (order by {{ contest }}, recipient) as recipient_number
    from role_cells
    where arm = 'paired' and cell_number is not null and placebo_cell_number is not null
    qualify count(distinct recipient) over (partition by {{ contest }}) <= {{ max_tested_recipients() }}
),

-- Cells that count for the same recipients are added up first.
groups as (
    select
        cell_number,
        dense_rank() over (order by recipients) as group_number,
        recipients
    from (
        select
            cell_number,
            list(recipient_number order by recipient_number) as recipients
        from members
        group by cell_number
    ) as signatures
),

group_members as (
    select distinct
        group_number,
        unnest(recipients) as recipient_number
    from groups
),

pairs as (
    select distinct
        members.cell_number,
        members.placebo_cell_number,
        groups.group_number,
        tuned.study,
        tuned.target_task,
        tuned.delta_pp,
        placebo.delta_pp as placebo_pp,
        studies.harm_threshold_pp,
        concat_ws(
            '/', tuned.model, tuned.source_task, tuned.source_language, tuned.target_task, tuned.target_language
        ) as digested_text,
        tuned_errors.from_items + coalesce(tuned_errors.from_runs, 0) as tuned_variance,
        placebo_errors.from_items + coalesce(placebo_errors.from_runs, 0) as placebo_variance,
        case
            when tuned_variance + placebo_variance > 0 then tuned_variance / (tuned_variance + placebo_variance)
            else 0.5
        end as tuned_part,
        100 * sqrt(coalesce(tuned_errors.from_runs, 0) + coalesce(placebo_errors.from_runs, 0)) as run_se
    from members
    inner join groups on members.cell_number = groups.cell_number
    inner join computed_cells as tuned on members.cell_number = tuned.cell_number
    inner join computed_cells as placebo on members.placebo_cell_number = placebo.cell_number
    inner join cell_errors as tuned_errors on members.cell_number = tuned_errors.cell_number
    inner join cell_errors as placebo_errors on members.placebo_cell_number = placebo_errors.cell_number
    inner join studies on tuned.study = studies.study
),

arms as (
    select
        cell_number,
        unnest([cell_number, placebo_cell_number]) as arm_cell_number,
        unnest([1, -1]) as direction
    from pairs
),

{%- set change = '(cell_items.n_correct - cell_items.n_seeds * cell_items.baseline_correct)' %}

-- What a parallel item (or all of its questions) adds to the difference between the two arms, percentage points.
differences as (
    select
        arms.cell_number,
        cell_items.parallel_number,
        {{ exact_sum('100 * arms.direction * ' ~ change ~ ' / (computed_cells.n_items * computed_cells.n_seeds)') }}
            as difference_pp
    from arms
    inner join cell_items on arms.arm_cell_number = cell_items.cell_number
    inner join computed_cells on arms.arm_cell_number = computed_cells.cell_number
    group by arms.cell_number, cell_items.parallel_number
),

slots as (
    select
        pairs.cell_number,
        sign_designs.n_parallels,
        sign_designs.n_signs,
        unnest(range(1, sign_designs.n_parallels + 1)) as parallel_number
    from pairs
    inner join sign_designs
        on pairs.study = sign_designs.study
        and pairs.target_task = sign_designs.target_task
),

pulls as (
    select
        slots.cell_number,
        slots.n_parallels,
        slots.n_signs,
        list(cast(coalesce(differences.difference_pp, 0) as float) order by slots.parallel_number) as differences
    from slots
    left join differences
        on slots.cell_number = differences.cell_number
        and slots.parallel_number = differences.parallel_number
    group by slots.cell_number, slots.n_parallels, slots.n_signs
),

-- Items change arms together over all cells; each run's luck is normal (Box and Muller).
flipped as (
    select
        pairs.*,
        list_inner_product(pulls.differences, random_signs.signs) as from_items_pp,
        concat_ws('/', 'harms', pairs.digested_text, random_signs.sign_number) as digested_draw,
        random_signs.sign_number
    from pairs
    inner join pulls on pairs.cell_number = pulls.cell_number
    inner join random_signs
        on pairs.target_task = random_signs.target_task
        and pulls.n_parallels = random_signs.n_parallels
        and pulls.n_signs >= random_signs.sign_number
),

drawn as (
    select
        *,
        (1 - tuned_part) * delta_pp + tuned_part * placebo_pp as common_pp,
        from_items_pp
        + case
            when run_se > 0
                then
                    run_se
                    * sqrt(-2 * ln((1 + md5_number_lower(digested_draw)) / pow(2, 64)))
                    * cos(2 * pi() * md5_number_upper(digested_draw) / pow(2, 64))
            else 0
        end as difference_pp
    from flipped
),

-- If tuning does what its placebo does, both do what the two of them did on the whole, give or take such a difference.
null_excesses as (
    select
        group_number,
        sign_number,
    {%- for name, sign in {"excess": "+", "opposite_excess": "-"}.items() %}
    {%- set of_tuned = "-(common_pp " ~ sign ~ " tuned_part * difference_pp) - harm_threshold_pp" %}
    {%- set of_placebo = "-(common_pp " ~ sign ~ " (tuned_part - 1) * difference_pp) - harm_threshold_pp" %}
    {{ exact_sum("greatest(0, " ~ of_tuned ~ ") - greatest(0, " ~ of_placebo ~ ")") }} as {{ name }}
    {{- "," if not loop.last }}
    {%- endfor %}
    from drawn
    group by group_number, sign_number
),

recipients as (
    select
        members.recipient_number,
        members.study,
        members.variant,
        members.prompt_pool,
        members.scope,
        members.axis,
        members.entity,
        count(*) as n_pairs,
        {{ exact_avg('greatest(0, -pairs.delta_pp - pairs.harm_threshold_pp)') }} as harm_depth_pp,
        {{ exact_avg('greatest(0, -pairs.placebo_pp - pairs.harm_threshold_pp)') }} as placebo_harm_depth_pp
    from members
    inner join pairs on members.cell_number = pairs.cell_number
    group by all
),

replicates as (
    select
        group_members.recipient_number,
        null_excesses.sign_number,
        {{ exact_sum('null_excesses.excess') }} as excess,
        {{ exact_sum('null_excesses.opposite_excess') }} as opposite_excess
    from group_members
    inner join null_excesses on group_members.group_number = null_excesses.group_number
    group by group_members.recipient_number, null_excesses.sign_number
),

-- Equal up to rounding is equal.
tested as (
    select
        recipients.recipient_number,
        (
            1
            + count_if(
                replicates.excess / recipients.n_pairs
                >= recipients.harm_depth_pp - recipients.placebo_harm_depth_pp - 1e-9
            )
            + count_if(
                replicates.opposite_excess / recipients.n_pairs
                >= recipients.harm_depth_pp - recipients.placebo_harm_depth_pp - 1e-9
            )
        ) / (1 + 2 * count(*)) as p_value
    from recipients
    inner join replicates on recipients.recipient_number = replicates.recipient_number
    group by recipients.recipient_number
),

-- Holm: p times the tests not yet passed, and no less than any smaller p's.
stepped as (
    select
        recipients.*,
        tested.p_value,
        tested.p_value * (
            count(tested.p_value) over (partition by {{ contest }})
            + 1 - row_number() over (partition by {{ contest }} order by tested.p_value, recipients.entity)
        ) as stepped_p_value
    from recipients
    inner join tested on recipients.recipient_number = tested.recipient_number
),

final as (
    select
        {{ contest }},
        entity,
        harm_depth_pp,
        placebo_harm_depth_pp,
        p_value,
        least(1, max(stepped_p_value) over (
            partition by {{ contest }}
            order by p_value, entity
        )) as holm_p_value
    from stepped
)

select * from final
