-- Regimes: over all models, then each model.
select
    variant,
    prompt,
    scope,
    regime,
    n_cells,
    mean_pp,
    ci_low,
    ci_high,
    median_pp,
    positive_pct,
    harm_pct,
    sig_harm_pct,
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
