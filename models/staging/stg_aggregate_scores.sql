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
        score_stderr,
        baseline_score,
        baseline_stderr,
        coalesce(delta, delta_pp) as delta,
        coalesce(delta_unit, 'pp') as delta_unit,
        case when delta_unit is null then true else higher_is_better end as higher_is_better,
        delta_pp,
        delta_stderr as delta_se,
        n_items,
        n_seeds
    from aggregate_scores
)

select * from final
