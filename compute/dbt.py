"""dbt as the verbs run it: on the project where there is one, else on the installed package as it stands."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from compute.engine.devices import available_cores
from compute.errors import UserError, tells_of_full_disk, writing
from compute.project import PACKAGES, is_project, package_folder
from compute.store.database import Place, address, opened_file
from compute.store.lake import Lake

_MOST_THREADS = 8
"""Models built at a time; DuckDB shares the cores out among them."""

_START = "import logging; logging.raiseExceptions = False; from dbt.cli.main import cli; cli(prog_name='dbt')"
"""Its own log may be on a full disk: that is told in a line, not in a traceback for every line of the log."""

_DBT = (sys.executable, "-P", "-c", _START)
"""dbt of this Python, whatever is on PATH. -P: a folder called dbt where one stands is another."""


def run_dbt(command: str, *options: str, warehouse: Place) -> int:
    """Run a command of dbt in the folder where one stands, the project's, and return its exit code.

    Raises:
        UserError: the warehouse is a folder, a lake's extensions are not installed, or the project's packages cannot
            be; a folder that dbt writes is full or read-only.
    """
    file = opened_file(warehouse)
    if file is not None and file.is_dir():
        raise UserError(f"{warehouse}: expected a file, found a folder")
    here, package = Path.cwd(), package_folder()
    places = ["--project-dir", str(here), "--profiles-dir", str(here)]
    if not is_project(here):
        places = ["--project-dir", str(package), "--profiles-dir", str(package)]
        places += ["--target-path", str(here / "target"), "--log-path", str(here / "logs")]
    elif Path("packages.yml").is_file() and not (PACKAGES / "transfer_warehouse" / "dbt_project.yml").is_file():
        install_packages()
    target = ["--threads", str(min(available_cores(), _MOST_THREADS))]
    if isinstance(warehouse, Lake):
        list(warehouse.extensions)  # one that is not installed is told in one line
        target = ["--target", "lake"]
    for folder in (here / "target", here / "logs"):
        _require_room(folder if folder.is_dir() else here)
    environment = _environment() | {"WAREHOUSE": address(warehouse)}
    code, refused = _relay([*_DBT, command, *options, *places, *target], environment)
    if refused is not None:
        raise UserError(f"{here}: dbt cannot go on: {refused}")
    return code


def _require_room(folder: Path) -> None:
    """Raise UserError for a folder in which no file can be written: dbt would say so in a traceback, or not at all."""
    with writing(folder), tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"room")


def _relay(command: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str | None]:
    """Run dbt and print what it says; return its exit code, and the line in which it fails for a full disk, if it does.

    Of what follows that line, tracebacks and the other models, nothing is printed.
    """
    refused, held = None, list[str]()
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as dbt:
        assert dbt.stdout is not None
        try:
            for line in dbt.stdout:
                if refused is None and tells_of_full_disk(line):
                    refused = line.strip()
                if refused is None:
                    print(line, end="", flush=True)
                else:
                    held.append(line)
        except BaseException:
            dbt.kill()
            raise
    if dbt.returncode == 0:
        print("".join(held), end="", flush=True)
        return 0, None
    return dbt.returncode, refused


def install_packages() -> None:
    """Run `dbt deps` where one stands. Raises UserError if it fails."""
    command = [*_DBT, "deps", "--project-dir", ".", "--profiles-dir", "."]
    done = subprocess.run(command, env=_environment(), check=False, capture_output=True, text=True)
    if done.returncode != 0:
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()] or ["it says nothing"]
        raise UserError(f"packages.yml: `dbt deps` fails: {said[-1].strip()}")


def _environment() -> dict[str, str]:
    """What dbt was told for another project (DBT_*) does not reach it."""
    return {name: value for name, value in os.environ.items() if not name.startswith("DBT_")} | {"DO_NOT_TRACK": "1"}
