"""Is everything there that the study asked for?"""

from __future__ import annotations

from compute.store.raw_schema import BOOKKEEPING_TABLES, TABLES
from data_checks.check import CELL, Check, alike

_ASKED = tuple(column for column in CELL if column != "source")
_MAPPING = ("method", "variant", "vectors", "source_language", "target_language", "dictionary_size", "seed")

# The loader upserts tables with a primary key, so the row that a job landed may since have become another job's.
_LANDED_TABLES = [table for table in TABLES.values() if table.name not in BOOKKEEPING_TABLES and not table.primary_key]

_FOUND_ROWS = "\n            union all\n            ".join(
    f"select '{table.name}' as table_name, job_key, count(*) as n_rows from {table.name} group by job_key"
    for table in _LANDED_TABLES
)

CHECKS = (
    Check(
        name="planned_jobs_have_run",
        severity="error",
        description="Every job that the study asks for has run.",
        sql="""
            select study_jobs.label, study_jobs.plugin, study_jobs.job_key, jobs.state
            from study_jobs
            left join jobs on study_jobs.job_key = jobs.job_key
            where jobs.state is null or jobs.state not in ('landed', 'failed')
            order by study_jobs.label, study_jobs.job_key
        """,
    ),
    Check(
        name="no_job_failed",
        severity="error",
        description="No job of the study failed.",
        sql="""
            select label, error, attempts, plugin, job_key
            from jobs
            where state = 'failed'
            order by label, job_key
        """,
    ),
    Check(
        name="recorded_rows_are_there",
        severity="error",
        description="Every job has as many rows in each raw table as it recorded when it landed.",
        sql=f"""
            with found as (
                {_FOUND_ROWS}
            ),

            recorded as (
                select job_key, rows, unnest(json_keys(rows)) as table_name
                from jobs
                where state = 'landed' and rows is not null
            ),

            expected as (
                select
                    job_key,
                    table_name,
                    cast(json_extract(rows, '$."' || table_name || '"') as bigint) as n_rows
                from recorded
                where table_name in ({", ".join(f"'{table.name}'" for table in _LANDED_TABLES)})
            ),

            compared as (
                select
                    coalesce(expected.job_key, found.job_key) as job_key,
                    coalesce(expected.table_name, found.table_name) as table_name,
                    coalesce(expected.n_rows, 0) as n_recorded,
                    coalesce(found.n_rows, 0) as n_found
                from expected
                full join found on expected.job_key = found.job_key and expected.table_name = found.table_name
            )

            select jobs.label, compared.table_name, compared.n_recorded, compared.n_found, compared.job_key
            from compared
            inner join jobs on compared.job_key = jobs.job_key
            where jobs.state = 'landed' and jobs.rows is not null and compared.n_recorded != compared.n_found
            order by jobs.label, compared.table_name, compared.job_key
        """,
    ),
    Check(
        name="landed_scores_are_in_fct_scores",
        severity="error",
        description="Every scoring job that landed, base model or tuned, is in fct_scores.",
        sql=f"""
            select
                model, variant, source, control, seed, target_task, target_language, prompt
            from planned_jobs as planned
            where planned.state = 'landed' and planned.target_task is not null and fraction is null and not exists (
                select 1
                from fct_scores as scores
                where
                    {alike("scores", "planned", *_ASKED)}
                    and (
                        scores.source is not distinct from planned.source
                        or scores.source_task || '/' || scores.source_language = planned.source
                    )
                    and (planned.source_task is null or scores.seed is not distinct from planned.seed)
            )
            order by all
        """,
    ),
    Check(
        name="landed_cells_are_in_fct_transfer",
        severity="error",
        description="Every transfer cell that landed is in fct_transfer, with all its seeds and at least one item "
        "(old files that were imported do not count theirs).",
        sql=f"""
            with planned as (
                select
                    {", ".join(CELL)},
                    count(*) as n_seeds
                from planned_jobs
                where state = 'landed' and target_task is not null and source_task is not null and fraction is null
                group by all
            )

            select
                planned.* exclude (n_seeds),
                planned.n_seeds as n_seeds_landed,
                cells.n_seeds as n_seeds_in_cell,
                cells.n_items
            from planned
            left join fct_transfer as cells
                on {alike("planned", "cells", *_ASKED)}
                and planned.source in (cells.source, cells.source_task || '/' || cells.source_language)
            where
                cells.n_seeds is distinct from planned.n_seeds
                or cells.n_items = 0
                or (cells.n_items is null and cells.origin = 'computed')
            order by all
        """,
    ),
    Check(
        name="landed_mappings_are_in_fct_bli",
        severity="error",
        description="Every lexicon-induction job that landed is in fct_bli.",
        sql=f"""
            with planned as (
                select label, {", ".join(_MAPPING)}
                from planned_jobs
                where plugin = 'bli' and state = 'landed'
            )

            select *
            from planned
            anti join fct_bli as mapped on {alike("mapped", "planned", *_MAPPING)}
            order by all
        """,
    ),
)
