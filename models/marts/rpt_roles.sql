with role_cells as (
    select * from {{ ref('int_role_cells') }}
),

mean_errors as (
    select * from {{ ref('int_mean_errors') }}
),

donor_tops as (
    select * from {{ ref('int_donor_tops') }}
),

recipient_harms as (
    select * from {{ ref('int_recipient_harms') }}
),

studies as (
    select * from {{ ref('stg_studies') }}
),

by_model as (
    select
        study,
        variant,
        prompt_pool,
        scope,
        axis,
        entity,
        avg(delta_pp) filter (where is_in_complete_grid and role = 'donor') as donor_pp,
        avg(delta_pp) filter (where is_in_complete_grid and role = 'recipient') as recipient_pp,
        avg(placebo_pp) filter (where is_in_complete_grid and role = 'donor') as placebo_pp,
        count_if(is_in_complete_grid) as n_cells,
        count_if(is_planned) as n_planned
    from role_cells
    group by study, variant, prompt_pool, scope, model, axis, entity
),

over_models as (
    select
        study,
        variant,
        prompt_pool,
        scope,
        axis,
        entity,
        avg(donor_pp) as donor_pp,
        avg(recipient_pp) as recipient_pp,
        avg(placebo_pp) as placebo_pp,
        sum(n_cells) as n_cells,
        sum(n_planned) as n_planned
    from by_model
    group by all
),

half_widths as (
    select
        study,
        variant,
        prompt_pool,
        scope,
        axis,
        entity,
        any_value(half_width) filter (where role = 'donor') as donor,
        any_value(half_width) filter (where role = 'recipient') as recipient,
        any_value(half_width) filter (where role = 'gain') as gain
    from mean_errors
    where role != 'regime'
    group by all
),

gains as (
    select
        study,
        variant,
        prompt_pool,
        scope,
        axis,
        entity,
        sum(weight_with_placebo * (delta_pp - placebo_pp)) as gain_pp
    from role_cells
    where role = 'donor' and weight_with_placebo is not null
    group by all
),

-- Ranks see nine decimals: equal means may differ in their last bit, by the order in which they were added up.
ranked as (
    select
        *,
        count(donor_pp) over (partition by study, variant, prompt_pool, scope, axis) as n_donors,
        case
            when donor_pp is not null
                then rank() over (
                    partition by study, variant, prompt_pool, scope, axis
                    order by round(donor_pp, 9) desc nulls last
                )
        end as donor_rank,
        case
            when recipient_pp is not null
                then rank() over (
                    partition by study, variant, prompt_pool, scope, axis
                    order by round(recipient_pp, 9) desc nulls last
                )
        end as recipient_rank
    from over_models
),

final as (
    select
        ranked.study,
        studies.origin,
        ranked.variant,
        ranked.prompt_pool as prompt,
        ranked.scope,
        ranked.axis,
        ranked.entity,
        ranked.donor_pp,
        ranked.donor_pp - half_widths.donor as donor_ci_low,
        ranked.donor_pp + half_widths.donor as donor_ci_high,
        ranked.donor_rank,
        ranked.recipient_pp,
        ranked.recipient_pp - half_widths.recipient as recipient_ci_low,
        ranked.recipient_pp + half_widths.recipient as recipient_ci_high,
        ranked.recipient_rank,
        ranked.placebo_pp,
        donor_tops.p_top,
        case
            when ranked.n_donors >= 8 and gains.gain_pp is not null
                then
                    ranked.donor_pp - half_widths.donor > 0
                    and gains.gain_pp - half_widths.gain > 0
                    and donor_tops.p_top >= 0.9
        end as is_hub,
        case
            when recipient_harms.placebo_harm_share is not null
                then
                    recipient_harms.holm_p_value <= 0.05
                    and recipient_harms.harm_share_with_placebo > recipient_harms.placebo_harm_share
        end as is_brittle,
        cast(ranked.n_cells as bigint) as n_cells,
        cast(nullif(ranked.n_planned, 0) as bigint) as n_planned
    from ranked
    inner join studies on ranked.study = studies.study
    {%- for errors in ("half_widths", "gains", "donor_tops", "recipient_harms") %}
    left join {{ errors }}
        on ranked.study = {{ errors }}.study
        and ranked.variant = {{ errors }}.variant
        and ranked.prompt_pool is not distinct from {{ errors }}.prompt_pool
        and ranked.scope = {{ errors }}.scope
        and ranked.axis = {{ errors }}.axis
        and ranked.entity = {{ errors }}.entity
    {%- endfor %}
)

select * from final
