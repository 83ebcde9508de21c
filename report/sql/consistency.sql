-- Do models agree on which targets a source helps?
select
    variant,
    prompt,
    regime,
    source_task,
    source_language,
    kendall_tau_b,
    p_value,
    specific_tau_b,
    specific_p_value,
    n_model_pairs,
    n_targets
from marts.rpt_consistency
where study = $study and kendall_tau_b is not null
order by
    variant != 'default',
    variant,
    prompt,
    list_position(['transfer', 'MT-CL', 'CT-ML', 'CT-CL'], regime),
    kendall_tau_b desc,
    source_task,
    source_language
