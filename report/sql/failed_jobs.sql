-- Jobs of the study that failed, by cause; running `transfer compute` again tries them again.
select
    asked.plugin,
    jobs.error,
    count(*) as n_jobs,
    min(asked.label) as example,
    max(jobs.attempts) as attempts
from raw.study_jobs as asked
inner join raw.jobs as jobs on asked.job_key = jobs.job_key
where asked.study = $study and jobs.state = 'failed'
group by asked.plugin, jobs.error
order by n_jobs desc, asked.plugin, jobs.error
