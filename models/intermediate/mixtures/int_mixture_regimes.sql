with mixture_parts as (
    select * from {{ ref('int_mixture_parts') }}
),

transfer_jobs as (
    select * from {{ ref('int_transfer_jobs') }}
),

targets as (
    select distinct
        study,
        source,
        target_task,
        target_language
    from transfer_jobs
),

final as (
    select
        targets.study,
        targets.source,
        targets.target_task,
        targets.target_language,
        case
            when
                bool_or(
                    mixture_parts.task = targets.target_task and mixture_parts.language = targets.target_language
                )
                then 'MT-ML'
            when bool_or(mixture_parts.task = targets.target_task) then 'MT-CL'
            when bool_or(mixture_parts.language = targets.target_language) then 'CT-ML'
            else 'CT-CL'
        end as regime
    from targets
    inner join mixture_parts on targets.study = mixture_parts.study and targets.source = mixture_parts.source
    group by targets.study, targets.source, targets.target_task, targets.target_language
)

select * from final
