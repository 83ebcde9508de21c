{{ config(materialized='table') }}

with role_grid as (
    select * from {{ ref('int_role_grid') }}
),

models as (
    select * from {{ ref('stg_models') }}
),

{%- set pool = "study, variant, prompt_pool" %}

cells as (
    select
        role_grid.study,
        role_grid.variant,
        role_grid.prompt_pool,
        role_grid.model,
        models.family,
        role_grid.source_task,
        role_grid.source_language,
        role_grid.target_task,
        role_grid.target_language,
        role_grid.delta_pp,
        role_grid.is_harm
    from role_grid
    left join models on role_grid.model = models.model
    where role_grid.scope = 'all' and role_grid.is_in_complete_grid
),

-- Who may be left out: nobody, a model, a family.
folds as (
    select distinct
        {{ pool }},
        unnest(['none', 'model', 'family']) as held_out_kind,
        unnest([null, model, family]) as held_out
    from cells
),

kept as (
    select
        cells.*,
        folds.held_out_kind,
        folds.held_out
    from cells
    inner join folds
        on cells.study = folds.study
        and cells.variant = folds.variant
        and cells.prompt_pool is not distinct from folds.prompt_pool
        and case folds.held_out_kind
            when 'none' then true
            when 'model' then cells.model != folds.held_out
            when 'family' then folds.held_out is not null and cells.family is distinct from folds.held_out
        end
),

over_models as (
    select
        {{ pool }},
        held_out_kind,
        held_out,
        source_task,
        source_language,
        target_task,
        target_language,
        count(*) as n_models,
        avg(delta_pp) as expected_gain_pp,
        stddev_samp(delta_pp) / sqrt(count(*)) as standard_error_pp,
        cast(count_if(is_harm) as bigint) as n_harms
    from kept
    group by all
),

{%- set others %}
over (
            partition by {{ pool }}, held_out_kind, held_out, source_task, source_language
            order by target_task
            rows between unbounded preceding and unbounded following
            exclude current row
        )
{%- endset %}

with_others as (
    select
        *,
        min(expected_gain_pp) {{ others }} as worst_harm_pp,
        sum(n_harms) {{ others }} / sum(n_models) {{ others }} as p_harm
    from over_models
),

-- Ranks see nine decimals: equal means may differ in their last bit, by the order in which they were added up.
final as (
    select
        *,
        case when n_models > 1 then {{ t_quantile_975('(n_models - 1)') }} * standard_error_pp end as half_width,
        expected_gain_pp - half_width as ci_low,
        expected_gain_pp + half_width as ci_high,
        rank() over (
            partition by {{ pool }}, held_out_kind, held_out, target_task, target_language
            order by round(expected_gain_pp, 9) desc
        ) as rank
    from with_others
)

select * from final
