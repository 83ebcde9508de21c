with studies as (
    select * from {{ source('raw', 'studies') }}
),

declared as (
    select
        study,
        config -> '$.contrasts' as contrasts, -- noqa: RF04
        unnest(json_keys(config -> '$.contrasts')) as contrast
    from studies
    where json_type(config -> '$.contrasts') = 'OBJECT'
),

entries as (
    select
        study,
        contrast,
        contrasts -> ('$."' || contrast || '"') as entry
    from declared
),

-- What one arm says and the other leaves out is at its default there.
final as (
    select
        study,
        contrast,
        {%- for arm, other in (("a", "b"), ("b", "a")) %}
        coalesce(
            entry ->> '$.{{ arm }}.variant', case when entry ->> '$.{{ other }}.variant' is not null then 'default' end
        ) as {{ arm }}_variant,
        coalesce(entry ->> '$.{{ arm }}.control', 'tuned') as {{ arm }}_control,
        entry ->> '$.{{ arm }}.model' as {{ arm }}_model,
        entry ->> '$.{{ arm }}.source' as {{ arm }}_source,
        entry ->> '$.{{ arm }}.prompt' as {{ arm }}_prompt,
        {%- endfor %}
        coalesce(cast(entry -> '$.targets' as varchar[]), []) as targets
    from entries
)

select * from final
