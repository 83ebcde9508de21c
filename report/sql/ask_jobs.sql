-- What has been computed?
select
    asked.plugin,
    count(*) as n_jobs,
    count(*) filter (where jobs.state = 'landed') as n_landed,
    round(sum(jobs.seconds), 1) as seconds
from raw.study_jobs as asked
left join raw.jobs as jobs on asked.job_key = jobs.job_key
where asked.study = $study
group by asked.plugin
order by asked.plugin
limit 5
