-- Which tuning breaks what?
select
    model,
    variant,
    source,
    target_task || '/' || target_language as target,
    round(delta_pp, 1) as delta_pp
from marts.fct_transfer
where study = $study and control is null and is_harm
order by fct_transfer.delta_pp, model, source, target
limit 3
