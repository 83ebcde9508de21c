{%- set keys = "study, variant, prompt_pool, scope, axis, within_block, entity" %}

with role_cells as (
    select * from {{ ref('int_role_cells') }}
),

role_grid as (
    select * from {{ ref('int_role_grid') }}
),

role_statistics as (
    select * from {{ ref('int_role_statistics') }}
),

donor_tops as (
    select * from {{ ref('int_donor_tops') }}
),

recipient_harms as (
    select * from {{ ref('int_recipient_harms') }}
),

learned_sources as (
    select * from {{ ref('int_learned_sources') }}
),

studies as (
    select * from {{ ref('stg_studies') }}
),

{%- set statistics = {
    "donor": "donor mean", "recipient": "recipient mean", "donor_effect": "donor effect",
    "recipient_effect": "recipient effect", "gain": "gain over placebo",
} %}

entities as (
    select
        {{ keys }},
    {%- for name, statistic in statistics.items() %}
    any_value(value_pp) filter (where statistic = '{{ statistic }}') as {{ name }}_pp,
    any_value(ci_low) filter (where statistic = '{{ statistic }}') as {{ name }}_low,
    any_value(ci_high) filter (where statistic = '{{ statistic }}') as {{ name }}_high{{ "," if not loop.last }}
    {%- endfor %}
    from role_statistics
    group by all
),

-- Whoever a cell counts for, complete or not: what was planned.
parts as (
    select
        study,
        variant,
        prompt_pool,
        scope,
        is_planned,
        unnest({{ role_axes() }}) as part
    from role_grid
),

members as (
    select
        study,
        variant,
        prompt_pool,
        scope,
        is_planned,
        part.axis,
        unnest([null, part.block, null, part.block]) as within_block,
        unnest([part.donor, part.donor, part.recipient, part.recipient]) as entity
    from parts
    where part.counts
),

planned as (
    select
        study,
        variant,
        prompt_pool,
        scope,
        axis,
        within_block,
        entity,
        count_if(is_planned) as n_planned
    from members
    group by all
),

counted as (
    select
        study,
        variant,
        prompt_pool,
        scope,
        axis,
        within_block,
        entity,
        count(*) as n_cells,
        count_if(is_donor) as n_donor_cells,
        -- Of exactly the cells of donor_pp, which are as many for each model.
        case
            when count(placebo_pp) filter (where is_donor) = n_donor_cells
                then {{ in_order('avg', 'placebo_pp', 'is_donor') }}
        end as placebo_pp
    from (
        select
            study,
            variant,
            prompt_pool,
            scope,
            axis,
            placebo_pp,
            unnest([null, block, null, block]) as within_block,
            unnest([donor, donor, recipient, recipient]) as entity,
            unnest([true, true, false, false]) as is_donor
        from role_cells
        where arm = 'tuned'
    ) as cells
    group by all
),

{%- set contest = "study, variant, prompt_pool, scope, axis, within_block" %}

-- Who has no cell in the complete sub-grid is listed too.
listed as (
    select * from entities
    union all by name
    select {{ keys }}
    from planned
    anti join entities
        on planned.study = entities.study
        and planned.variant = entities.variant
        and planned.prompt_pool is not distinct from entities.prompt_pool
        and planned.scope = entities.scope
        and planned.axis = entities.axis
        and planned.entity = entities.entity
    where planned.within_block is null
),

with_learned as (
    select
        listed.*,
        learned_sources.learned
    from listed
    left join learned_sources
        on listed.study = learned_sources.study
        and listed.variant = learned_sources.variant
        and listed.prompt_pool is not distinct from learned_sources.prompt_pool
        and listed.scope = learned_sources.scope
        and listed.axis = learned_sources.axis
        and listed.within_block is not distinct from learned_sources.within_block
        and listed.entity = learned_sources.entity
),

-- Of many donors the best looks better than it is. Half an interval is about 1.96 standard errors.
donors as (
    select
        *,
        donor_effect_pp is not null as is_compared,
        greatest(pow((donor_effect_high - donor_effect_low) / 3.92, 2), 1e-6) as donor_variance
    from with_learned
),

drawn_together as (
    {{ empirical_bayes('donors', contest ~ ', is_compared', 'donor_effect_pp', 'donor_variance') }}
),

-- Ranks see nine decimals: equal effects may differ in their last bit, by the order in which they were added up.
ranked as (
    select
        *,
        count(donor_effect_pp) over (partition by {{ contest }}) as n_donors,
        {%- for name, (value, condition) in {
            "donor_rank": ("donor_effect_pp", "true"),
            "learned_donor_rank": ("donor_effect_pp", "learned"),
            "recipient_rank": ("recipient_effect_pp", "true"),
        }.items() %}
    case
        when {{ value }} is not null and {{ condition }}
            then rank() over (
                partition by {{ contest }}, {{ value }} is not null and {{ condition }}
                order by round({{ value }}, 9) desc
                )
    end as {{ name }}{{ "," if not loop.last }}
    {%- endfor %}
    from drawn_together
),

final as (
    select
        ranked.study,
        studies.origin,
        ranked.variant,
        ranked.prompt_pool as prompt,
        ranked.prompt_pool,
        ranked.scope,
        ranked.axis,
        ranked.within_block as within, -- noqa: RF04
        ranked.entity,
        ranked.donor_pp,
        ranked.donor_low as donor_ci_low,
        ranked.donor_high as donor_ci_high,
        ranked.donor_effect_pp,
        ranked.donor_effect_low,
        ranked.donor_effect_high,
        case when ranked.has_errors and ranked.k > 3 then ranked.shrunk end as donor_effect_shrunk_pp,
        ranked.donor_rank,
        ranked.learned,
        ranked.learned_donor_rank,
        ranked.recipient_pp,
        ranked.recipient_low as recipient_ci_low,
        ranked.recipient_high as recipient_ci_high,
        ranked.recipient_effect_pp,
        ranked.recipient_effect_low,
        ranked.recipient_effect_high,
        ranked.recipient_rank,
        case when ranked.donor_pp is not null then counted.placebo_pp end as placebo_pp,
        ranked.gain_pp as gain_over_placebo_pp,
        ranked.gain_low as gain_over_placebo_low,
        ranked.gain_high as gain_over_placebo_high,
        donor_tops.p_top,
        case
            when ranked.n_donors >= 8 and ranked.donor_effect_pp is not null and ranked.gain_low is not null
                then ranked.donor_effect_low > 0 and ranked.gain_low > 0 and donor_tops.p_top >= 0.9
        end as is_hub,
        case
            when ranked.recipient_pp is not null
                then
                    recipient_harms.holm_p_value <= 0.05
                    and recipient_harms.harm_depth_pp > recipient_harms.placebo_harm_depth_pp
        end as is_brittle,
        cast(coalesce(counted.n_cells, 0) as bigint) as n_cells,
        cast(nullif(planned.n_planned, 0) as bigint) as n_planned
    from ranked
    inner join studies on ranked.study = studies.study
    {%- for counts in ("counted", "planned", "donor_tops") %}
    left join {{ counts }}
        on ranked.study = {{ counts }}.study
        and ranked.variant = {{ counts }}.variant
        and ranked.prompt_pool is not distinct from {{ counts }}.prompt_pool
        and ranked.scope = {{ counts }}.scope
        and ranked.axis = {{ counts }}.axis
        and ranked.within_block is not distinct from {{ counts }}.within_block
        and ranked.entity = {{ counts }}.entity
    {%- endfor %}
    left join recipient_harms
        on ranked.study = recipient_harms.study
        and ranked.variant = recipient_harms.variant
        and ranked.prompt_pool is not distinct from recipient_harms.prompt_pool
        and ranked.scope = recipient_harms.scope
        and ranked.axis = recipient_harms.axis
        and ranked.entity = recipient_harms.entity
        and ranked.within_block is null
)

select * from final
