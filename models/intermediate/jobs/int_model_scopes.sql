with models as (
    select * from {{ ref('stg_models') }}
),

transfer_cells as (
    select * from {{ ref('int_transfer_cells') }}
),

study_jobs as (
    select * from {{ ref('stg_study_jobs') }}
),

known as (
    select model from models
    union
    select model from transfer_cells
    union
    select model from study_jobs
    where model is not null
),

-- Size classes end at 1 and 3 times a power of ten; parameters are counted, so the length of the number is its power.
sized as (
    select
        known.model,
        models.family,
        length(cast(models.parameters as varchar)) - 1 as power,
        models.parameters // pow(10, power) >= 3 as is_upper,
        case when is_upper then 3 else 1 end * pow(10, power) as lower_bound,
        case when is_upper then 10 else 3 end * pow(10, power) as upper_bound
    from known
    left join models on known.model = models.model
),

scopes as (
    select
        model,
        unnest([
            'all',
            family,
            {{ parameter_count('lower_bound') }} || '-' || {{ parameter_count('upper_bound') }} || ' parameters',
            model
        ]) as scope
    from sized
),

final as (
    select distinct
        model,
        scope
    from scopes
    where scope is not null
)

select * from final
