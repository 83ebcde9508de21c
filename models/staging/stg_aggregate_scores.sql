with aggregate_scores as (
    select * from {{ source('raw', 'aggregate_scores') }}
),

final as (
    select
        job_key,
        model,
        coalesce(variant, 'default') as variant,
        source_task,
        source_language,
        control,
        seed,
        target_task,
        target_language,
        prompt,
        metric,
        score,
        baseline_score,
        delta_pp,
        delta_stderr as delta_se,
        n_items,
        n_seeds
    from aggregate_scores
)

select * from final
