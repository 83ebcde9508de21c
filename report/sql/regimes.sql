-- Regimes: over all models, then each model.
select
    variant,
    prompt,
    scope,
    regime,
    n_cells,
    n_planned,
    mean_pp,
    ci_low,
    ci_high,
    median_pp,
    positive_pct,
    harm_pct,
    verdict_gain_pct,
    verdict_harm_pct,
    verdict_none_pct,
    verdict_undecided_pct,
    null_harm_pct
from marts.rpt_regimes
where study = $study
order by
    variant != 'default',
    variant,
    prompt,
    scope != 'all',
    scope,
    list_position(['transfer', 'MT-CL', 'CT-ML', 'CT-CL', 'MT-ML'], regime)
