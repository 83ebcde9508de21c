{{ config(materialized='table') }}

with pair_measures as (
    select * from {{ ref('int_pair_measures') }}
),

{%- set side = "study, origin, embedding_study, variant, prompt_pool, embedding_variant, vector_set" %}

both_directions as (
    select
        {{ side }},
        measure,
        least(source_language, target_language) as language,
        greatest(source_language, target_language) as other_language,
        max(value) filter (where source_language < target_language) as forward_value,
        max(value) filter (where source_language > target_language) as backward_value
    from pair_measures
    where source_language != target_language and value is not null
    group by all
),

-- Rounded, so that equal means tie whatever the order in which they were added up. Where a measure is known in one
-- direction only, that is all there is to its symmetric part; of transfer both are needed.
parts as (
    select
        {{ side }},
        measure,
        language,
        other_language,
        unnest(['symmetric', 'antisymmetric']) as part,
        unnest([
            round((
                coalesce(forward_value, case when measure != 'transfer_pp' then backward_value end)
                + coalesce(backward_value, case when measure != 'transfer_pp' then forward_value end)
            ) / 2, 12),
            round((forward_value - backward_value) / 2, 12)
        ]) as value
    from both_directions
),

-- Both orientations of every two languages: the antisymmetric part turns its sign with them.
oriented as (
    select
        {{ side }},
        measure,
        part,
        unnest([language, other_language]) as language,
        unnest([other_language, language]) as other_language,
        unnest([value, case part when 'symmetric' then value else -value end]) as value
    from parts
    where value is not null
),

final as (
    select
        measures.* exclude (value), -- noqa: RF02
        measures.value as measure_value,
        transfer.value as transfer_value
    from oriented as measures
    inner join oriented as transfer
        on measures.study = transfer.study
        and measures.variant = transfer.variant
        and measures.prompt_pool is not distinct from transfer.prompt_pool
        and measures.embedding_variant is not distinct from transfer.embedding_variant
        and measures.vector_set is not distinct from transfer.vector_set
        and measures.part = transfer.part
        and measures.language = transfer.language
        and measures.other_language = transfer.other_language
    where measures.measure != 'transfer_pp' and transfer.measure = 'transfer_pp'
)

select * from final
