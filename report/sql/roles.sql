-- Donors and recipients over all models: of languages (MT-CL), tasks (CT-ML) and cells (all transfer).
select
    variant,
    prompt,
    axis,
    entity,
    donor_rank,
    donor_pp,
    donor_ci_low,
    donor_ci_high,
    placebo_pp,
    recipient_rank,
    recipient_pp,
    recipient_ci_low,
    recipient_ci_high,
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
    donor_rank nulls last,
    recipient_rank nulls last,
    entity
