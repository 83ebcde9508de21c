-- Every cell: what tuning on the source changes on the target.
select
    variant,
    model,
    prompt,
    source_task,
    source_language,
    target_task,
    target_language,
    regime,
    n_items,
    n_seeds,
    delta_pp,
    is_harm,
    error_of
from marts.fct_transfer
where study = $study and control is null
order by
    variant != 'default',
    variant,
    model,
    prompt,
    source_task,
    source_language,
    target_task,
    target_language
