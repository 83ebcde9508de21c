"""What the arguments of several verbs have in common: their types, the study, the warehouse, the project's folder."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from compute.errors import where_stderr_is_full
from compute.names import UnknownName
from compute.store.database import read_place

YAML = (".yml", ".yaml")
CELL = "TASK/LANGUAGE"

Options = argparse.Namespace
"""What was asked of a verb, its paths taken from the project's folder."""


class TypedPath(str):
    """A path as it was typed, from where one stands; defaults are paths from the project's folder already."""


class TypedWarehouse(TypedPath):
    """A DuckDB file, or a lake: `ducklake:` and where its catalog is."""


class TypedStudy(TypedPath):
    """A study file, if there is one of that name or it ends like one; else the name of a study."""


class Parser(argparse.ArgumentParser):
    """Says a mistake in one line, with the nearest valid word."""

    def add_several(self, option: str, text: str, metavar: str | None = None, kind: Callable[[str], Any] = str) -> None:
        """Add an option that may be repeated, each time for one more entry of a list."""
        self.add_argument(option, action="append", default=[], type=kind, metavar=metavar, help=text)

    def error(self, message: str) -> NoReturn:
        wrong = re.fullmatch(r"argument (.*): invalid choice: '(.*)' \(choose from (.*)\)", message)
        if wrong is not None:
            message = str(UnknownName(wrong[1].lower(), wrong[2], re.findall(r"[\w-]+", wrong[3])))
        self.exit(2, f"transfer: {message.removeprefix('argument ')}; see `{self.prog} --help`\n")


def add_study(parser: Parser) -> None:
    """Add --study. `compute.verbs.chosen` says which study is meant."""
    parser.add_argument(
        "--study",
        type=TypedStudy,
        metavar="STUDY",
        help="its name, or its file (default: STUDY, else studies/quickstart.yml, else the only one in studies/)",
    )


def add_warehouse(parser: Parser, default: Path | None = None) -> None:
    """Add --warehouse and --wait; `default` stands in the place of WAREHOUSE."""
    parser.add_argument(
        "--warehouse",
        type=TypedWarehouse,
        default=default or read_place(os.environ.get("WAREHOUSE") or "warehouse.duckdb"),
        help="the DuckDB file, or a lake as ducklake:FILE or ducklake:postgres:dbname=... "
        f"({f'default: {default}' if default else 'WAREHOUSE; default: warehouse.duckdb'})",
    )
    parser.add_argument("--wait", type=seconds, default=60.0, help="seconds to wait for a lock (default: 60)")


def add_project(parser: Parser) -> None:
    """Add --project-dir, before or after the words that say more closely what a verb does."""
    parser.add_argument(
        "--project-dir",
        default=argparse.SUPPRESS,
        metavar="DIR",
        help="where the project's files lie (default: the nearest folder upwards with our dbt_project.yml, else here)",
    )


def positive(text: str) -> int:
    """Return a whole number, 1 or more. Raises ArgumentTypeError, as all of these do, which ends in one line."""
    return _at_least(1, text)


def positive_or_zero(text: str) -> int:
    """Return a whole number, 0 or more."""
    return _at_least(0, text)


def number(text: str) -> float:
    """Return a number."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number, found {text!r}") from None


def seconds(text: str) -> float:
    """Return a time, 0 or more and finite."""
    return _amount(text, "seconds")


def price(text: str) -> float:
    """Return a price, 0 or more and finite."""
    return _amount(text, "a price")


def points(text: str) -> float:
    """Return the width of a page's text in points, `345` or `345.0pt`."""
    number_of = text.removesuffix("pt")
    if not re.fullmatch(r"\d+(\.\d*)?", number_of) or not 100 <= float(number_of) <= 2000:
        raise argparse.ArgumentTypeError(f"expected points, 100 to 2000, found {text!r}")
    return float(number_of)


def say(text: str) -> None:
    """Tell what is going on, on stderr: stdout is for what was asked."""
    with where_stderr_is_full():
        print(f"transfer: {text}", file=sys.stderr, flush=True)


def _amount(text: str, what: str) -> float:
    found = number(text)
    if not 0 <= found < float("inf"):
        raise argparse.ArgumentTypeError(f"expected {what}, 0 or more, found {text!r}")
    return found


def _at_least(least: int, text: str) -> int:
    found = int(text) if re.fullmatch(r"-?\d{1,9}", text) else None
    if found is None or found < least:
        raise argparse.ArgumentTypeError(f"expected a whole number, {least} or more, found {text!r}")
    return found
