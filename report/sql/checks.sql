-- What the newest audit of the study found.
select
    suite,
    expectation,
    severity,
    success,
    observed,
    details,
    checked_at
from checks.results
where
    study = $study
    and run_id = (
        select arg_max(run_id, (checked_at, run_id))
        from checks.results
        where study = $study
    )
order by
    success,
    severity,
    suite,
    expectation
