"""`transfer prune`: artifacts and landed results that no study asks for."""

from __future__ import annotations

import shutil
from pathlib import Path

from compute.engine.executors.cluster import read_cluster
from compute.engine.plan import make_plan
from compute.errors import UserError
from compute.project import ARTIFACTS, LANDING, STUDIES
from compute.store.artifacts import ArtifactStore
from compute.store.landing import Landing
from compute.store.lock import exclusive
from compute.store.merging import merge_small
from compute.store.removal import find_unasked
from compute.store.runs import living_runs
from compute.store.warehouse import Warehouse
from compute.study.file import read_study
from compute.verbs.options import YAML, Options, Parser, add_warehouse, say


def add_arguments(parser: Parser) -> None:
    """Add what the verb takes."""
    parser.add_argument("--yes", action="store_true", help="remove what is listed; else it is listed only")
    add_warehouse(parser)


def run(options: Options) -> int:
    """List it, remove it if told to, and return 0.

    Asked for is what the studies in studies/ and those of the warehouse ask for.

    Raises:
        UserError: a run computes; or a study file cannot be read, so that nobody knows what it asks for.
    """
    landing, artifacts = Landing(LANDING), ArtifactStore(ARTIFACTS)
    warehouse = Warehouse(options.warehouse, options.wait, say)
    with exclusive(LANDING, options.wait, say):
        if runs := living_runs(LANDING):
            raise UserError(f"{next(iter(runs.values())).who} computes here; wait for it or end it")
        asked = warehouse.asked_keys()
        for file in sorted(path for path in STUDIES.glob("*") if path.suffix in YAML):
            asked |= _keys(file, landing, artifacts)
        found = find_unasked(asked, landing, artifacts)
        for key, size in found.artifacts.items():
            print(f"{ARTIFACTS / key[:12]}…  {size / 2**20:.1f} MiB")
        for key in found.landed:
            print(f"{LANDING}: job {key[:12]}…")
        total = sum(found.artifacts.values()) / 2**20
        print(
            f"{len(found.artifacts)} artifacts ({total:.1f} MiB) and {len(found.landed)} landed jobs "
            f"are asked for by no study in {STUDIES}/ or {options.warehouse}"
        )
        if url := read_cluster().artifacts:
            print(f"{url}: what is kept there is left, for other projects may use it")
        if options.yes:
            for key in found.artifacts:  # first: on a full disk the rest takes some of the room that this makes
                shutil.rmtree(artifacts.root / key)
            landing.withdraw(found.landed)
            merge_small(landing)
            say("removed")
        elif found.artifacts or found.landed:
            say("nothing is removed without --yes")
    return 0


def _keys(file: Path, landing: Landing, artifacts: ArtifactStore) -> set[str]:
    try:
        return set(make_plan(read_study(file), landing, artifacts, set()).jobs)
    except UserError as error:
        raise UserError(f"{error} (what this study asks for is not known, so nothing is pruned)") from None
