-- What a source gives on average over its transfer targets, and what it costs: the largest loss, its own cell too.
select
    variant,
    prompt,
    source_task,
    source_language,
    avg(mean_pp) as mean_gain_pp,
    avg(p_harm) as harm_share,
    min(worst_harm_pp) as worst_pp,
    arg_min(worst_harm_task, worst_harm_pp) as worst_task,
    arg_min(worst_harm_language, worst_harm_pp) as worst_language,
    count(*) as n_targets
from marts.rpt_advice
where study = $study
group by variant, prompt, source_task, source_language
order by
    variant != 'default',
    variant,
    prompt,
    mean_gain_pp desc,
    source_task,
    source_language
