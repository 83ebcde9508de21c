-- What a source gives on average over its transfer targets, and what it costs where it harms.
select
    variant,
    prompt,
    source_task,
    source_language,
    avg(expected_gain_pp) as mean_gain_pp,
    avg(p_harm) as harm_share,
    min(expected_gain_pp) as worst_pp,
    arg_min(target_task || '/' || target_language, expected_gain_pp) as worst_target,
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
