-- Every cell, mean over models.
select
    variant,
    prompt,
    source_task,
    source_language,
    target_task,
    target_language,
    regime,
    avg(delta_pp) as delta_pp,
    count(delta_pp) as n_models,
    count_if(is_harm) as n_harmed
from marts.fct_transfer
where study = $study and control is null and delta_pp is not null
group by variant, prompt, source_task, source_language, target_task, target_language, regime
order by
    variant != 'default',
    variant,
    prompt,
    source_task,
    source_language,
    target_task,
    target_language
