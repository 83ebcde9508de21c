"""The project: the folder in which all of a user's files lie, wherever below it one stands."""

from __future__ import annotations

import os
from pathlib import Path

import yaml

from compute.errors import UserError

LANDING, ARTIFACTS = Path("landing"), Path("artifacts")
PUBLISHED = Path("published", "warehouse.duckdb")
DATA_DOCS = Path("target", "data_docs")
REPORT = Path("report.html")
"""Below the project's folder, as all of these; a command runs there."""

_MARK, _PROFILE = "dbt_project.yml", "transfer_warehouse"


def find_root(start: Path) -> Path:
    """Return the nearest folder, `start` or one above it, whose dbt_project.yml is of our profile; else `start`.

    Raises:
        UserError: a dbt_project.yml on the way cannot be read, so that nobody knows whose it is.
    """
    for folder in (start, *start.parents):
        mark = folder / _MARK
        if not mark.is_file():
            continue
        try:
            content = yaml.safe_load(mark.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise UserError(f"{mark}: cannot be read: {str(error).splitlines()[0]}") from None
        if isinstance(content, dict) and content.get("profile") == _PROFILE:
            return folder
    return start


def expand(text: str) -> Path:
    """Return a path as a user writes it, `~` filled in.

    Raises:
        UserError: `~name`: DuckDB and dbt would take it for a file in the folder above one's own.
    """
    if text.startswith("~") and text[1:2] not in ("", "/"):
        raise UserError(f"{text}: expected a path from /, from here, or from ~/ (./{text} is a file of that name)")
    return Path(text).expanduser()


def from_environment(variable: str, default: str) -> Path:
    """Return the path in an environment variable; a relative one is below the project's folder, for dbt likewise."""
    return expand(os.environ.get(variable) or default)


def locate(path: Path, here: Path, root: Path) -> Path:
    """Return the place, from `root`, of a path typed in folder `here`; absolute where it is outside of `root`."""
    if path.is_absolute() or here == root:
        return path
    place = here / path
    return place.relative_to(root) if place.is_relative_to(root) else place
