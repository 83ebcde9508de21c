"""Checks of a project's own: `checks/<name>.sql`, a query of offenders below a head of YAML.

---
severity: error
description: Every cell has at least 50 items.
---
select model, target_task, target_language, n_items from fct_transfer where n_items < 50
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import duckdb
from pydantic import BaseModel, ConfigDict, Field

from compute.errors import UserError, reading
from compute.store.database import Place, open_database
from compute.yaml_file import parse_yaml
from data_checks.check import Check, Severity
from data_checks.suites import SUITES
from data_checks.views import show_study

SUITE = "own"
"""The suite that they are in."""

_HEAD = re.compile(r"\A---[ \t]*\n(?P<head>.*?)^---[ \t]*\n(?P<sql>.*)\Z", re.DOTALL | re.MULTILINE)


class Head(BaseModel):
    """What stands above the query."""

    model_config = ConfigDict(extra="forbid")

    severity: Severity = Field(description="error: the study is not published; warning: a person is asked to look")
    description: str = Field(min_length=1, description="one sentence: what holds when the check passes")


def read_own_checks(folder: Path) -> tuple[Check, ...]:
    """Return the checks in a folder, by name; none where there is no such folder.

    Raises:
        UserError: a file has no head, or a wrong one, or no query; or a name that a check of ours has.
    """
    return tuple(_read(path) for path in sorted(folder.glob("*.sql")))


def try_own_checks(checks: tuple[Check, ...], folder: Path, warehouse: Place, study: str) -> None:
    """Have DuckDB plan each query, so that a mistake in one is told with its file before any check is run.

    Raises:
        UserError: the query is wrong, or is not one query.
    """
    if not checks:
        return
    with open_database(warehouse, read_only=True) as connection:
        show_study(connection, study)
        for check in checks:
            for problem in _problems(connection, check.sql):
                raise UserError(f"{folder / check.name}.sql: {problem}")


def _read(path: Path) -> Check:
    with reading(path):
        text = path.read_text(encoding="utf-8").replace("\r\n", "\n")
    parts = _HEAD.match(text)
    if parts is None:
        raise UserError(f"{path}:1: expected a head between two lines of `---`, with severity and description")
    # The first line is the fence's, so that mistakes are told with the lines of the file.
    head = parse_yaml(path, "\n" + parts["head"], "`severity:` and `description:`").validated(Head)
    name, sql = path.stem, parts["sql"].strip().rstrip(";").rstrip()
    if not sql:
        raise UserError(f"{path}: expected a query of offenders below the head, found nothing")
    suite = next((suite for suite, checks in SUITES.items() if name in {check.name for check in checks}), None)
    if suite is not None:
        raise UserError(f"{path}: a check of ours is called {name!r} (suite {suite}); give yours another name")
    return Check(name=name, severity=head.severity, description=head.description, sql=sql)


def _problems(connection: duckdb.DuckDBPyConnection, sql: str) -> Iterator[str]:
    try:
        statements = connection.extract_statements(sql)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            yield "expected one query, `select ...`, whose rows are the offenders"
            return
        connection.execute(f"explain select * from ({sql}\n)")
    except duckdb.Error as error:
        yield str(error).strip().partition("\n")[0]
