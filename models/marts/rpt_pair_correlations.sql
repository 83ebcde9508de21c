with pair_measures as (
    select * from {{ ref('int_pair_measures') }}
),

-- Both directions of two languages, or neither: their mean is the symmetric part. Rounded, so that equal means tie
-- whatever the order in which they were added up.
symmetric_part as (
    select
        study,
        origin,
        embedding_study,
        variant,
        prompt_pool,
        embedding_variant,
        vector_set,
        measure,
        least(source_language, target_language) as language,
        greatest(source_language, target_language) as other_language,
        round(avg(value), 12) as value
    from pair_measures
    where source_language != target_language
    group by all
    having count(value) = 2
),

paired as (
    select
        measures.* exclude (value), -- noqa: RF02
        measures.value as measure_value,
        transfer.value as transfer_value
    from symmetric_part as measures
    inner join symmetric_part as transfer
        on measures.study = transfer.study
        and measures.variant = transfer.variant
        and measures.prompt_pool is not distinct from transfer.prompt_pool
        and measures.embedding_variant is not distinct from transfer.embedding_variant
        and measures.vector_set is not distinct from transfer.vector_set
        and measures.language = transfer.language
        and measures.other_language = transfer.other_language
        and transfer.measure = 'transfer_pp'
    where measures.measure != 'transfer_pp'
),

{%- set series = "study, variant, prompt_pool, embedding_variant, vector_set, measure" %}

-- Tied values share their mean rank.
ranked as (
    select
        *,
        rank() over (partition by {{ series }} order by measure_value)
        + (count(*) over (partition by {{ series }}, measure_value) - 1) / 2 as measure_rank,
        rank() over (partition by {{ series }} order by transfer_value)
        + (count(*) over (partition by {{ series }}, transfer_value) - 1) / 2 as transfer_rank
    from paired
),

correlated as (
    select
        study,
        origin,
        embedding_study,
        variant,
        prompt_pool,
        embedding_variant,
        vector_set,
        measure,
        case
            when count(distinct measure_rank) > 1 and count(distinct transfer_rank) > 1
                then corr(measure_rank, transfer_rank)
        end as spearman,
        len(list_distinct(list(language) || list(other_language))) as n_languages
    from ranked
    group by all
),

final as (
    select
        study,
        origin,
        embedding_study,
        variant,
        prompt_pool as prompt,
        embedding_variant,
        vector_set as vectors,
        measure,
        case when n_languages >= 5 then spearman end as spearman,
        cast(null as double) as p_value,
        cast(n_languages as bigint) as n_languages
    from correlated
)

select * from final
