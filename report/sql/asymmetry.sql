-- Each source: its mean effect on its own task in other languages, and on other tasks.
select
    variant,
    prompt,
    model,
    source_task,
    source_language,
    on_task_pp,
    off_task_pp,
    is_pareto,
    n_cells,
    n_planned
from marts.rpt_asymmetry
where study = $study
order by
    variant != 'default',
    variant,
    prompt,
    model,
    source_task,
    source_language
