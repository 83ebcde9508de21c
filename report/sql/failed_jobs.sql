-- Jobs of the study that failed; running `make compute` again tries them again.
select
    asked.plugin,
    asked.label,
    jobs.error,
    jobs.attempts,
    jobs.finished_at,
    jobs.job_key
from raw.study_jobs as asked
inner join raw.jobs as jobs on asked.job_key = jobs.job_key
where asked.study = $study and jobs.state = 'failed'
order by asked.plugin, asked.label, jobs.job_key
