-- What makes cells differ: shares of the variance of their changes.
select
    variant,
    prompt,
    regime,
    component,
    share
from marts.rpt_variance
where study = $study
order by
    variant != 'default',
    variant,
    prompt,
    list_position(['transfer', 'MT-CL', 'CT-ML', 'CT-CL'], regime),
    list_position(
        [
            'model', 'source', 'target', 'model_source', 'model_target', 'source_target', 'run', 'sampling', 'residual'
        ],
        component
    )
