-- Language models that the study scored.
select
    model,
    family,
    parameters,
    architecture,
    revision
from raw.models
where model in (
    select distinct model
    from marts.fct_scores
    where study = $study
)
order by family, parameters, model
