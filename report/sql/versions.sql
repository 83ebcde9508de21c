-- Software that took part, as each job recorded it.
select distinct
    library.key as library,
    library.value ->> '$' as version
from raw.study_jobs as asked
inner join raw.jobs as jobs on asked.job_key = jobs.job_key
cross join json_each(jobs.versions) as library
where asked.study = $study
order by library, version
