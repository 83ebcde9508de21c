"""Runs the suites over one study with Great Expectations, which is told to phone nobody."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read once, when Great Expectations is imported

import great_expectations as gx
from great_expectations.core.validation_definition import ValidationDefinition
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.expectations import UnexpectedRowsExpectation

from compute.errors import UserError
from compute.store.database import Place
from data_checks import dialect
from data_checks.check import Check
from data_checks.data_docs import write_data_docs
from data_checks.own_checks import SUITE
from data_checks.suites import SUITES

Finding = dict[str, Any]
"""`suite`, `expectation`, `severity`, `success`, `observed` (a line), `details` (description, count, rows)."""

ROWS_SHOWN = 3
"""Offenders named in `observed`."""

ROWS_KEPT = 50
"""Offenders kept in `details`."""

_SEVERITIES = {"error": "critical", "warning": "warning"}


def run_checks(warehouse: Place, study: str, docs: Path | None = None, own: Sequence[Check] = ()) -> list[Finding]:
    """What every check found, suite by suite, in a warehouse that `data_checks.views.require` has let pass.

    Args:
        warehouse: the DuckDB file, opened read-only.
        study: its name.
        docs: folder for Data Docs of the run; None: none are written.
        own: checks of the project's, beside ours.

    Raises:
        UserError: tables that are older than the checks.
        RuntimeError: a check could not be run for another reason.
    """
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    dialect.register()
    source = context.data_sources.add_sql(
        "warehouse",
        connection_string=dialect.URL,
        create_temp_table=False,
        kwargs={"connect_args": {"warehouse": warehouse, "study": study}},
    )
    batch = source.add_query_asset("study", "select * from studies").add_batch_definition("study")
    suites = {**SUITES, SUITE: own} if own else SUITES
    try:
        findings = [finding for name, checks in suites.items() for finding in _run_suite(context, batch, name, checks)]
        if docs is not None:
            write_data_docs(context, docs, study, findings)
        return findings
    finally:
        for engine in (source.get_engine(), source.get_execution_engine().engine):
            engine.dispose()


def _run_suite(context: Any, batch: Any, name: str, checks: Sequence[Check]) -> list[Finding]:
    suite = context.suites.add(gx.ExpectationSuite(name=name, expectations=[_expectation(check) for check in checks]))
    definition = context.validation_definitions.add(ValidationDefinition(name=name, data=batch, suite=suite))
    results = definition.run(result_format="COMPLETE").results
    by_name = {result.expectation_config.meta["check"]: result for result in results}
    return [_finding(name, check, by_name[check.name]) for check in checks]


def _expectation(check: Check) -> UnexpectedRowsExpectation:
    """The check as Great Expectations runs it: no offender among the rows of the batch, which is the study."""
    # Plain SQL is not what it takes: braces are fields to str.format, a colon before a name a parameter.
    sql = check.sql.replace("{", "{{").replace("}", "}}").replace(":", r"\:")
    return UnexpectedRowsExpectation(
        unexpected_rows_query=f"select * from ({sql}) where exists (select 1 from {{batch}})",
        description=check.description,
        severity=_SEVERITIES[check.severity],
        meta={"check": check.name},
    )


def _finding(suite: str, check: Check, result: Any) -> Finding:
    problem = _problem(result.exception_info)
    if problem is not None:
        line = f"check {check.name} could not be run: {problem}"
        if "Catalog Error" in problem or "Binder Error" in problem:
            raise UserError(f"{line} Run `transfer build` first")
        raise RuntimeError(line)
    count = int(result.result["observed_value"])
    rows = [_plain(row) for row in result.result["details"]["unexpected_rows"][:ROWS_KEPT]]
    return {
        "suite": suite,
        "expectation": check.name,
        "severity": check.severity,
        "success": bool(result.success),
        "observed": _observed(count, rows),
        "details": {"description": check.description, "count": count, "rows": rows},
    }


def _observed(count: int, rows: Sequence[Mapping[str, Any]]) -> str:
    """A line such as `2 rows: model=a@1 score=1.5; model=b@1 score=2`."""
    if count == 0:
        return "no offender"
    shown = "; ".join(
        " ".join(f"{name}={_brief(value)}" for name, value in row.items() if value is not None)
        for row in rows[:ROWS_SHOWN]
    )
    return f"{count:,} row{'s' if count > 1 else ''}: {shown}{'; ...' if count > ROWS_SHOWN else ''}"


def _brief(value: Any) -> str:
    """A value fit for a line: digests and long texts cut, numbers rounded."""
    text = f"{value:.6g}" if isinstance(value, float) else " ".join(str(value).split())
    if len(text) == 64 and set(text) <= set("0123456789abcdef"):
        return text[:8]
    return text if len(text) <= 120 else text[:117] + "..."


def _plain(value: Any) -> Any:
    """`value` as JSON can hold it; NaN and infinities become text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _problem(exception_info: Mapping[str, Any]) -> str | None:
    """First line of what a check raised, or None; Great Expectations nests it by metric, or does not."""
    for raised in (exception_info, *exception_info.values()):
        if isinstance(raised, Mapping) and raised.get("raised_exception"):
            return str(raised["exception_message"]).splitlines()[0]
    return None
