{%- set pool = "study, variant, prompt_pool" %}

with grid_errors as (
    select * from {{ ref('int_grid_errors') }}
),

advice_items as (
    select * from {{ ref('int_advice_items') }}
),

models as (
    select * from {{ ref('stg_models') }}
),

cells as (
    select
        grid_errors.* replace (coalesce(grid_errors.runs_pp2, 0) as runs_pp2), -- noqa: RF02
        models.family,
        case when grid_errors.covariance_pp2 is not null then greatest(0, grid_errors.covariance_pp2) end as shared_pp2,
        advice_items.study is not null as has_items,
        advice_items.inflation
    from grid_errors
    left join models on grid_errors.model = models.model
    left join advice_items
        on grid_errors.study = advice_items.study
        and grid_errors.variant = advice_items.variant
        and grid_errors.prompt_pool is not distinct from advice_items.prompt_pool
        and grid_errors.source_task = advice_items.source_task
        and grid_errors.source_language = advice_items.source_language
        and grid_errors.target_task = advice_items.target_task
        and grid_errors.target_language = advice_items.target_language
),

-- Who may be left out: nobody, a model, a family.
folds as (
    select distinct
        {{ pool }},
        unnest(['none', 'model', 'family']) as held_out_kind,
        unnest([null, model, family]) as held_out
    from cells
),

final as (
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
)

select * from final -- noqa: AM04
