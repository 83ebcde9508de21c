"""dbt as the verbs run it: on the project where there is one, else on the installed package as it stands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from compute.engine.devices import available_cores
from compute.errors import UserError
from compute.project import PACKAGES, is_project, package_folder
from compute.store.database import Place, address, opened_file
from compute.store.lake import Lake

_MOST_THREADS = 8
"""Models built at a time; DuckDB shares the cores out among them."""

_DBT = (sys.executable, "-P", "-c", "from dbt.cli.main import cli; cli(prog_name='dbt')")
"""dbt of this Python, whatever is on PATH. -P: a folder called dbt where one stands is another."""


def run_dbt(command: str, *options: str, warehouse: Place) -> int:
    """Run a command of dbt in the folder where one stands, the project's, and return its exit code.

    Raises:
        UserError: the warehouse is a folder, a lake's extensions are not installed, or the project's packages cannot
            be.
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
    environment = _environment() | {"WAREHOUSE": address(warehouse)}
    done = subprocess.run([*_DBT, command, *options, *places, *target], env=environment, check=False)
    return done.returncode


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
