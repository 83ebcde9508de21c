-- Which source helps the other cells most?
select
    entity as source,
    variant,
    round(donor_effect_pp, 1) as donor_effect_pp,
    round(placebo_pp, 1) as placebo_pp,
    n_cells
from marts.rpt_roles
where study = $study and scope = 'all' and axis = 'cell' and within is null and donor_rank is not null
order by donor_rank, entity
limit 3
