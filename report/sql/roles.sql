-- Donors and recipients over all models: of languages (MT-CL), tasks (CT-ML) and cells (all transfer).
select
    variant,
    prompt,
    axis,
    within,
    entity,
    donor_rank,
    donor_effect_pp,
    donor_effect_low,
    donor_effect_high,
    donor_pp,
    placebo_pp,
    gain_over_placebo_pp,
    gain_over_placebo_low,
    gain_over_placebo_high,
    learned,
    recipient_rank,
    recipient_effect_pp,
    recipient_effect_low,
    recipient_effect_high,
    recipient_pp,
    is_hub,
    is_brittle,
    n_cells,
    n_planned
from marts.rpt_roles
where study = $study and scope = 'all'
order by
    variant != 'default',
    variant,
    prompt,
    list_position(['language', 'task', 'cell'], axis),
    within nulls first,
    donor_rank nulls last,
    recipient_rank nulls last,
    entity
