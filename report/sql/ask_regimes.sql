-- Does tuning help or harm on the whole?
select
    regime,
    variant,
    n_cells,
    round(mean_pp, 1) as mean_pp,
    round(harm_pct) as harm_pct
from marts.rpt_regimes
where study = $study and scope = 'all'
order by regime
limit 5
