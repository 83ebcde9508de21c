-- Jobs that the study asks for, by plugin.
select
    asked.plugin,
    string_agg(distinct jobs.plugin_version, ', ' order by jobs.plugin_version) as plugin_version,
    count(*) as n_planned,
    count(*) filter (where jobs.state = 'landed') as n_landed,
    count(*) filter (where jobs.state = 'failed') as n_failed,
    sum(jobs.seconds) as seconds,
    max(jobs.peak_memory_bytes) as peak_memory_bytes,
    string_agg(distinct jobs.device, ', ' order by jobs.device) as devices,
    string_agg(distinct jobs.host, ', ' order by jobs.host) as hosts,
    min(jobs.started_at) as started_at,
    max(jobs.finished_at) as finished_at
from raw.study_jobs as asked
left join raw.jobs as jobs on asked.job_key = jobs.job_key
where asked.study = $study
group by asked.plugin
order by min(jobs.started_at) nulls last, asked.plugin
