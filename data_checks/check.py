"""What a check is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]

CELL = ("model", "variant", "source", "control", "target_task", "target_language", "prompt")
"""What names a row of fct_transfer."""


@dataclass(frozen=True)
class Check:
    """One rule, written as the rows that break it.

    Attributes:
        name: what holds when the check passes; unique over all suites.
        severity: 'error' keeps the study from being published, 'warning' asks a person to look.
        description: one sentence for people, with the numbers that the rule uses.
        sql: a query of offenders; no rows, no finding. It reads the views of `data_checks.views`, which hold the
            rows of the audited study alone, so it never names the study. Its columns are shown as `column=value`.
    """

    name: str
    severity: Severity
    description: str
    sql: str


def alike(one: str, other: str, *keys: str) -> str:
    """SQL of rows of two views being equal in their `keys`, equal NULLs being equal."""
    return " and ".join(f"{one}.{key} is not distinct from {other}.{key}" for key in keys)


def not_null(view: str, key: Sequence[str], required: Mapping[str, Sequence[str]]) -> str:
    """SQL of the rows of `view` that lack a value in a column that is `required`, by the rows in which it is; they are
    named by `key`."""
    return "union all by name".join(_lacking(view, key, where, columns) for where, columns in required.items())


def _lacking(view: str, key: Sequence[str], where: str, columns: Sequence[str]) -> str:
    missing = ", ".join(f"case when {column} is null then '{column}' end" for column in columns)
    return f"""
        select {", ".join(key)}, list_filter([{missing}], lambda name: name is not null) as missing
        from {view}
        where ({where}) and ({" or ".join(f"{column} is null" for column in columns)})
    """


def repeated(view: str, key: Sequence[str], where: str = "true") -> str:
    """SQL of the keys that stand in several rows of `view`, equal NULLs being equal.

    Rows are first counted by a 64-bit hash, which needs a fraction of the memory that the keys would.
    """
    columns = ", ".join(key)
    return f"""
        select {columns}, count(*) as n_rows
        from {view}
        where ({where}) and hash({columns}) in (
            select hash({columns}) as key_hash from {view} where {where} group by key_hash having count(*) > 1
        )
        group by {columns}
        having count(*) > 1
    """
