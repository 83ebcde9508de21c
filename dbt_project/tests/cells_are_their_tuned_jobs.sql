-- Every tuned model's score in fct_scores belongs to a cell of fct_transfer. Returns the scores that do not.
with scores as (
    select * from {{ ref('fct_scores') }}
),

transfer as (
    select * from {{ ref('fct_transfer') }}
),

final as (
    select
        scores.study,
        scores.variant,
        scores.model,
        scores.source,
        scores.target_task,
        scores.target_language,
        scores.prompt
    from scores
    anti join transfer
        on scores.study = transfer.study
        and scores.variant = transfer.variant
        and scores.model = transfer.model
        and scores.source = transfer.source
        and scores.control is not distinct from transfer.control
        and scores.target_task = transfer.target_task
        and scores.target_language = transfer.target_language
        and scores.prompt is not distinct from transfer.prompt
    where scores.source_task is not null
)

select * from final
