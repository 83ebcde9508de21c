-- Tasks that the study scored.
select
    task,
    kind,
    primary_metric,
    chance,
    licence,
    source_url,
    sha256
from raw.tasks
where task in (
    select distinct target_task
    from marts.fct_scores
    where study = $study
)
order by task
