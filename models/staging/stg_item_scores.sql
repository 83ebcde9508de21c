with item_scores as (
    select * from {{ source('raw', 'item_scores') }}
),

final as (
    select
        job_key,
        model,
        coalesce(variant, 'default') as variant,
        source_task,
        source_language,
        coalesce(source_name, source_task || '/' || source_language) as source, -- noqa: RF04
        control,
        seed,
        target_task,
        target_language,
        prompt,
        item_id,
        gold,
        logprobs,
        char_counts,
        byte_counts,
        correct,
        fraction
    from item_scores
)

select * from final
