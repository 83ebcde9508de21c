-- Do methods that translate words better do better downstream?
select
    variant,
    task,
    spearman,
    pearson,
    p_value,
    n
from marts.rpt_bli_downstream
where study = $study
order by variant != 'default', variant, task
