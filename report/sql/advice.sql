-- The three best sources for each target.
select
    variant,
    prompt,
    target_task,
    target_language,
    rank,
    source_task,
    source_language,
    expected_gain_pp,
    ci_low,
    ci_high,
    new_model_low,
    new_model_high,
    worst_harm_pp,
    worst_harm_task,
    worst_harm_language,
    p_harm,
    n_models
from marts.rpt_advice
where study = $study and rank <= 3
order by
    variant != 'default',
    variant,
    prompt,
    target_task,
    target_language,
    rank,
    source_task,
    source_language
