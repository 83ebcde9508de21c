-- The study and its harm threshold.
select
    studies.study,
    studies.origin,
    studies.planned_at,
    settings.harm_threshold_pp,
    settings.embedding_study,
    studies.config
from raw.studies as studies
inner join staging.stg_studies as settings on studies.study = settings.study
where studies.study = $study
