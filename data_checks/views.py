"""The study as the checks see it: temporary views, each named like its table and holding only the study's rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb

from compute.errors import UserError
from compute.store.database import BUILD_FIRST, COMPUTE_FIRST, Place, literal, open_database
from compute.store.database import require as require_warehouse
from compute.store.raw_schema import TABLES, planned_jobs

MARTS = (
    "fct_scores", "fct_transfer", "fct_bli", "fct_transfer_probability", "rpt_advice", "rpt_advice_coverage",
    "rpt_advice_eval", "rpt_advice_worth", "rpt_bli_method_pairs", "rpt_bli_methods", "rpt_consistency",
    "rpt_contrasts", "rpt_items", "rpt_prediction_fits", "rpt_probability", "rpt_regimes", "rpt_roles",
    "rpt_source_effects", "rpt_variance",
)  # fmt: skip
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


def show_study(connection: Any, study: str) -> None:
    """Give a connection its views on one study: those of `statements`, and one of every other mart, a user's too."""
    for statement in statements(study):
        connection.execute(statement)
    connection.execute(_OTHER_MARTS)
    for name, has_study in connection.fetchall():
        where = " where study = getvariable('study')" if has_study else ""
        connection.execute(f'create temp view "{name}" as from marts."{name}"{where}')


_LOADED = """
select 1
from duckdb_tables()
where database_name = current_database() and schema_name = 'raw' and table_name = 'studies'
"""

_OTHER_MARTS = """
select table_name, bool_or(column_name = 'study')
from duckdb_columns()
where
    database_name = current_database()
    and schema_name = 'marts'
    and table_name not in (select view_name from duckdb_views() where temporary)
group by table_name
order by table_name
"""


def require(warehouse: Place, study: str) -> None:
    """Raises UserError unless the warehouse has the study and every table that checks read."""
    require_warehouse(warehouse, BUILD_FIRST)
    try:
        with open_database(warehouse, read_only=True) as connection:
            if not connection.execute(_LOADED).fetchall():
                raise UserError(f"{warehouse}: nothing has been loaded; {COMPUTE_FIRST}")
            show_study(connection, study)
            known = connection.execute("select study from raw.studies order by study").fetchall()
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        raise UserError(f"{warehouse}: {str(error).splitlines()[0]} Run `transfer build` first") from None
    except duckdb.IOException as error:
        raise UserError(f"{warehouse}: cannot be read: {str(error).splitlines()[0]}") from None
    if (study,) not in known:
        names = ", ".join(name for (name,) in known) or "none"
        raise UserError(f"{warehouse}: no study {study!r}; it has: {names}")
