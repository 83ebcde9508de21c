"""The study as the checks see it: temporary views, each named like its table and holding only the study's rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb

from compute.store.database import literal, open_database
from compute.store.raw_schema import TABLES, planned_jobs

MARTS = ("fct_scores", "fct_transfer", "fct_bli")
"""Marts that checks read."""

_SHARED = ("models", "tasks")
"""Raw tables whose rows belong to no study."""

_PLANNED_JOBS = f"""
create temp view planned_jobs as
select planned.*, jobs.state
from ({planned_jobs()}) as planned
left join jobs on planned.job_key = jobs.job_key
"""
"""The jobs of the study, with the keys of their configurations and their state; NULL: not run."""


class NotCheckableError(Exception):
    """The warehouse lacks what the checks read; the message says what to do."""


def statements(study: str) -> Iterator[str]:
    """SQL that gives a connection its views on one study."""
    yield f"set variable study = {literal(study)}"
    for table in TABLES.values():
        if table.name in _SHARED:
            rows = f"from raw.{table.name}"
        elif "study" in table.column_names:
            rows = f"from raw.{table.name} where study = getvariable('study')"
        else:
            rows = (
                f"from raw.{table.name} where job_key in "
                "(select job_key from raw.study_jobs where study = getvariable('study'))"
            )
        yield f"create temp view {table.name} as {rows}"
    for mart in MARTS:
        yield f"create temp view {mart} as from marts.{mart} where study = getvariable('study')"
    yield _PLANNED_JOBS


def require(warehouse: Path, study: str) -> None:
    """Raises NotCheckableError unless the warehouse has the study and every table that checks read."""
    if not warehouse.exists():
        raise NotCheckableError(f"{warehouse}: no such warehouse; run `transfer compute` and `transfer build` first")
    try:
        with open_database(warehouse, read_only=True) as connection:
            for statement in statements(study):
                connection.execute(statement)
            known = connection.execute("select study from raw.studies order by study").fetchall()
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        raise NotCheckableError(f"{warehouse}: {str(error).splitlines()[0]} Run `transfer build` first") from None
    except duckdb.IOException as error:
        raise NotCheckableError(f"{warehouse}: cannot be read: {str(error).splitlines()[0]}") from None
    if (study,) not in known:
        names = ", ".join(name for (name,) in known) or "none"
        raise NotCheckableError(f"{warehouse}: no study {study!r}; it has: {names}")
