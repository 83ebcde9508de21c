"""The project: the folder in which all of a user's files lie, wherever below it one stands.

The package is what is installed: our Python, and the dbt package with our studies as examples. A project is built on
it: its packages.yml names `.transfer/dbt_package`, a link that every verb points at the installed one, so that
upgrading touches nothing in a project. The repository is both, and needs no link.
"""

from __future__ import annotations

import os
from pathlib import Path

import yaml

from compute.errors import UserError, writing

LANDING, ARTIFACTS = Path("landing"), Path("artifacts")
PUBLISHED = Path("published", "warehouse.duckdb")
DATA_DOCS = Path("target", "data_docs")
PACKAGES = Path("dbt_packages")
REPORT, REPORTS = Path("report.html"), Path("reports")
STUDIES, CHECKS = Path("studies"), Path("checks")
"""Below the project's folder, as all of these; a command runs there."""

_MARK, _PROFILE = "dbt_project.yml", "transfer_warehouse"
_HIDDEN = Path(".transfer")
LINK, SCHEMA = _HIDDEN / "dbt_package", _HIDDEN / "study.schema.json"
"""What verbs keep up to date in a project; git ignores it."""
CALIBRATIONS = _HIDDEN / "calibrations"
"""What `transfer calibrate` measured, a file for each host and device."""


def package_folder() -> Path:
    """Return the folder of the dbt package: beside our Python once installed, else the repository."""
    ours = Path(__file__).parents[1]
    installed = ours / "transfer_warehouse"
    return installed if installed.is_dir() else ours


def is_project(folder: Path) -> bool:
    """Return whether a folder is a project of ours. Raises UserError if its dbt_project.yml cannot be read."""
    mark = folder / _MARK
    if not mark.is_file():
        return False
    try:
        content = yaml.safe_load(mark.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{mark}: cannot be read: {str(error).splitlines()[0]}") from None
    return isinstance(content, dict) and content.get("profile") == _PROFILE


def refresh(root: Path) -> bool:
    """Point a project's link at the package that is installed now, and return whether it pointed elsewhere.

    A folder that is no project, or is the package too, is left alone.

    Raises:
        UserError: the project's folder cannot be written.
    """
    package, link = package_folder(), root / LINK
    if not is_project(root) or root.samefile(package):
        return False
    if link.is_symlink() and link.readlink() == package:
        return False
    with writing(link):
        link.parent.mkdir(exist_ok=True)
        fresh = link.with_name(f"{link.name}.{os.getpid()}")
        fresh.symlink_to(package, target_is_directory=True)
        try:
            fresh.replace(link)
        except OSError:
            fresh.unlink(missing_ok=True)
            raise
    return True


def find_root(start: Path) -> Path:
    """Return the nearest folder, `start` or one above it, whose dbt_project.yml is of our profile; else `start`.

    Raises:
        UserError: a dbt_project.yml on the way cannot be read, so that nobody knows whose it is.
    """
    return next((folder for folder in (start, *start.parents) if is_project(folder)), start)


def expand(text: str) -> Path:
    """Return a path as a user writes it, `~` filled in.

    Raises:
        UserError: `~name`: DuckDB and dbt would take it for a file in the folder above one's own.
    """
    if text.startswith("~") and text[1:2] not in ("", "/"):
        raise UserError(f"{text}: expected a path from /, from here, or from ~/ (./{text} is a file of that name)")
    return Path(text).expanduser()


def locate(path: Path, here: Path, root: Path) -> Path:
    """Return the place, from `root`, of a path typed in folder `here`; absolute where it is outside of `root`."""
    if path.is_absolute() or here == root:
        return path
    place = here / path
    return place.relative_to(root) if place.is_relative_to(root) else place
