"""`transfer doctor`: is this machine ready? Each line is right, or says what to do."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import duckdb
import psutil

from compute import __version__
from compute.catalog.fetching import MIRROR_VARIABLE, check_mirror
from compute.engine.devices import available_cores
from compute.engine.executors.cluster import project_artifacts
from compute.errors import UserError
from compute.project import ARTIFACTS, LANDING, LINK, PACKAGES, is_project, package_folder
from compute.store.database import Place
from compute.store.lake import Lake
from compute.store.lock import no_locks, refused_locks
from compute.store.warehouse import Warehouse
from compute.verbs.options import Options, Parser, add_warehouse

_GIB = 2**30
_LEAST_MEMORY, _LEAST_DISK = 2 * _GIB, 5 * _GIB
"""The quickstart takes 1.1 GiB a process."""

Line = tuple[bool, str]
"""Whether it is right, and what is said."""


def add_arguments(parser: Parser) -> None:
    """Add what the verb takes."""
    add_warehouse(parser)


def run(options: Options) -> int:
    """Print a line a matter; return 1 where there is something to do, else 0."""
    healthy = True
    matters: dict[str, Callable[[], Iterator[Line]]] = {
        "versions": _versions,
        "project": _project,
        "devices": _devices,
        "memory": _memory,
        "disk": _disk,
        "locks": _locks,
        "artifacts": _artifacts,
        "warehouse": lambda: _warehouse(options.warehouse),
        "hub": _hub,
        "mirror": _mirror,
    }
    for matter, look in matters.items():
        for is_right, text in _as_far_as_it_can(look):
            healthy = healthy and is_right
            print(f"{'ok  ' if is_right else 'TODO'}  {matter:9}  {text}")
    return 0 if healthy else 1


def _as_far_as_it_can(look: Callable[[], Iterator[Line]]) -> Iterator[Line]:
    """Yield what is found; a package that is missing or broken hides no other matter."""
    try:
        yield from look()
    except ImportError as error:
        yield False, f"cannot be looked at: {str(error).partition(chr(10))[0]}"


def _versions() -> Iterator[Line]:
    from packaging.requirements import Requirement

    named = dict.fromkeys(
        ("duckdb", "dbt-core", "dbt-duckdb", "great-expectations", "torch", "transformers", "peft"), ""
    )
    yield True, f"transfer {__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    try:
        wanted = [Requirement(text) for text in requires("transfer-warehouse") or ()]
    except PackageNotFoundError:
        yield (
            False,
            "transfer-warehouse is not installed, only on the path: pip install it, so that versions are checked",
        )
        return
    for requirement in wanted:
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            yield False, f"{requirement.name} is missing: pip install '{requirement}'"
            continue
        if requirement.name in named:
            named[requirement.name] = found
        if not requirement.specifier.contains(found, prereleases=True):
            yield False, f"{requirement.name} is {found}: pip install '{requirement}'"
    yield True, ", ".join(f"{name} {found}" for name, found in named.items() if found)


def _project() -> Iterator[Line]:
    here = Path.cwd()
    if not is_project(here):
        yield True, f"{here}: no project; verbs work, and `transfer init` makes one"
    elif here.samefile(package_folder()):
        yield True, f"{here}: the repository"
    else:
        linked = PACKAGES / "transfer_warehouse" / "dbt_project.yml"
        yield (True, f"{here}, on {LINK.resolve()}") if linked.is_file() else (False, f"{here}: run `dbt deps`")


def _devices() -> Iterator[Line]:
    import torch

    yield True, f"{available_cores()} cores; a worker has one on a CPU"
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            facts = torch.cuda.get_device_properties(number)
            yield True, f"GPU {number}: {facts.name}, {facts.total_memory / _GIB:.0f} GiB"
    elif shutil.which("nvidia-smi") is not None:
        built = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "for CPUs only"
        yield (
            False,
            f"nvidia-smi is there and torch sees no GPU: torch {torch.__version__} is built {built}; install another",
        )
    else:
        yield True, "no GPU: DEVICE=cpu"


def _memory() -> Iterator[Line]:
    limit = duckdb.execute("select current_setting('memory_limit')").fetchone()
    shown = limit[0] if limit else "?"
    free = psutil.virtual_memory().available
    text = f"{free / _GIB:.1f} GiB free; DuckDB takes up to {shown}"
    yield free >= _LEAST_MEMORY, text if free >= _LEAST_MEMORY else f"{text}: too little, use --workers 1"


def _disk() -> Iterator[Line]:
    free = shutil.disk_usage(Path.cwd()).free
    text = f"{free / _GIB:.0f} GiB free in {Path.cwd()}"
    yield free >= _LEAST_DISK, text if free >= _LEAST_DISK else f"{text}: little; `transfer prune` lists what can go"


def _locks() -> Iterator[Line]:
    for folder in dict.fromkeys(path if path.is_dir() else Path.cwd() for path in (LANDING, ARTIFACTS)):
        if not os.access(folder, os.W_OK):
            yield False, f"{folder}: cannot be written; choose another folder"
        elif (refused := refused_locks(folder)) is not None:
            yield False, f"{folder}: {no_locks(refused)}; use a folder on a local disk"
        else:
            yield True, f"{folder}: files can be locked"


def _artifacts() -> Iterator[Line]:
    try:
        remote = project_artifacts().remote
        if remote is None:
            return
        remote.check()
    except UserError as error:
        yield False, str(error)
    else:
        yield True, f"{remote.url}: can be written and read"


def _warehouse(path: Place) -> Iterator[Line]:
    try:
        warehouse = Warehouse(path, 0, lambda text: None)
        if isinstance(path, Lake):
            list(path.extensions)
        if not warehouse.exists():
            yield True, f"{path}: not there yet; `transfer compute` makes it"
            return
        with warehouse.connect(read_only=True) as connection:
            row = connection.execute(
                "select tags['storage_version'] from duckdb_databases() where database_name = 'warehouse'"
            ).fetchone()
        studies = warehouse.studies()
    except UserError as error:
        yield False, str(error)
        return
    if isinstance(path, Lake):
        yield True, f"{path}: a lake, studies: {len(studies)}"
    else:
        stored = row[0] if row else "?"
        yield True, f"{path}: {path.stat().st_size / 2**20:.0f} MiB, format {stored}, studies: {len(studies)}"


def _hub() -> Iterator[Line]:
    from huggingface_hub import constants, get_token

    if constants.HF_HUB_OFFLINE:
        yield True, "HF_HUB_OFFLINE is set: checkpoints come from folders, the mirror or the cache"
    elif get_token():
        yield True, "logged in"
    else:
        yield True, "not logged in: enough for open checkpoints; for gated ones `hf auth login`"


def _mirror() -> Iterator[Line]:
    mirror = os.environ.get(MIRROR_VARIABLE, "")
    try:
        check_mirror()
    except UserError as error:
        yield False, str(error)
        return
    yield (
        True,
        f"TRANSFER_MIRROR is {mirror}"
        if mirror
        else "TRANSFER_MIRROR is not set: cataloged files come from the network",
    )
