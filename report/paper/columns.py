"""A mart's columns in words, and their values rounded as their unit asks. The unit is in the column's name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from report import printed

_UNITS = {"_pp": " (pp)", "_pct": " (%)"}
_ERRORS_OF = ("ci_low", "ci_high", "delta_se")
"""Bounds and errors have their mart's unit: percentage points where it has differences in them."""
_LEAST_P = 0.001


def heading(column: str) -> str:
    """`delta_pp` as `delta (pp)`."""
    for suffix, unit in _UNITS.items():
        if column.endswith(suffix):
            return column.removesuffix(suffix).replace("_", " ") + unit
    return column.replace("_", " ")


def is_number(sql_type: str) -> bool:
    """Whether a DuckDB type is printed to the right."""
    return sql_type in ("BIGINT", "DOUBLE", "INTEGER", "HUGEINT", "FLOAT") or sql_type.startswith("DECIMAL")


def as_printed(column: str, types: Mapping[str, str], value: Any) -> str | None:
    """A value of a mart as text: percentage points and percent to one decimal, the former with their sign; p values,
    shares and correlations to three; None for NULL.

    Args:
        column: its name, which tells the unit.
        types: all columns of the mart with their DuckDB types.
        value: what to print.
    """
    if value is None:
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value) if column == "seed" else printed.count(value)
    if not isinstance(value, float):
        return str(value)
    if column.endswith("_pp") or (column.endswith(_ERRORS_OF) and any(name.endswith("_pp") for name in types)):
        return f"{value:.2f}" if column.endswith("_se") else printed.signed(value)
    if column.endswith("_pct"):
        return f"{value:.1f}"
    if column.endswith(("p_value", "q_value")) and value < _LEAST_P:
        return f"< {_LEAST_P}"
    return f"{value:.3f}".replace("-", printed.MINUS)
