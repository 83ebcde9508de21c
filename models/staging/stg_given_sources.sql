with studies as (
    select * from {{ source('raw', 'studies') }}
),

models as (
    select
        study,
        unnest(cast(config -> '$.models' as json[])) as model
    from studies
    where json_type(config -> '$.models') = 'ARRAY'
),

sources as (
    select
        study,
        model ->> '$.name' as model_name,
        unnest(cast(model -> '$.sources' as json[])) as entry
    from models
    where json_type(model -> '$.sources') = 'ARRAY'
),

-- Several seeds of one name are one source.
final as (
    select distinct
        study,
        model_name,
        coalesce(entry ->> '$.variant', entry ->> '$.name') as variant,
        coalesce(entry ->> '$.task', 'und') as source_task,
        coalesce(entry ->> '$.language', 'und') as source_language,
        entry ->> '$.name' as name -- noqa: RF04
    from sources
)

select * from final
