"""Runs the checks in a process of their own and stores what they found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from compute.errors import UserError
from compute.project import CHECKS, DATA_DOCS
from compute.store.database import BUILD_FIRST, address, require
from compute.store.warehouse import Warehouse

_STALE = ("landed_scores_are_in_fct_scores", "landed_cells_are_in_fct_transfer", "landed_mappings_are_in_fct_bli")
"""Checks that fail where results were loaded after the marts were built."""

_OURS = Path(__file__).parents[2]


def docs_folder(study: str) -> Path:
    """Return where the pages about `study` are: its name with all but letters, digits and `_-` percent-encoded."""
    return DATA_DOCS / quote(study, safe="").replace(".", "%2E").replace("~", "%7E")


def audit(study: str, warehouse: Warehouse, say: Callable[[str], None]) -> int:
    """Audit one study by our checks and the project's own; returns 1 when an error-level check fails, else 0.

    Great Expectations keeps its connection open, so it runs in a process of its own, reads only, and hands its
    findings over as JSON; this process then writes `checks.results`.

    Raises:
        UserError: no warehouse, or one without the marts that the checks read.
    """
    require(warehouse.path, BUILD_FIRST)
    with warehouse.connect(read_only=True):
        pass  # a lock or a damaged file is reported here, in one line
    command = [sys.executable, "-P", "-m", "data_checks", address(warehouse.path), study, "-"]
    command += ["--docs", str(docs_folder(study)), "--own", str(CHECKS), "--parent", str(os.getpid())]
    # -P, and our own place first: a folder of that name where one stands, or among one's own modules, is another.
    path = os.pathsep.join(filter(None, (str(_OURS), os.environ.get("PYTHONPATH"))))
    environment = os.environ | {"PYTHONPATH": path}
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    if done.returncode == 2:
        raise UserError(done.stderr.strip().splitlines()[-1])
    if done.returncode != 0:
        raise RuntimeError(f"the checks could not be run:\n{done.stderr}")
    findings = json.loads(done.stdout.splitlines()[-1])
    run_id, checked_at = uuid.uuid4().hex, datetime.now(UTC).replace(tzinfo=None)
    warehouse.write_checks(
        [
            (
                study,
                run_id,
                finding["suite"],
                finding["expectation"],
                finding["severity"],
                finding["success"],
                finding["observed"],
                json.dumps(finding["details"]),
                checked_at,
            )
            for finding in findings
        ]
    )
    failed = [finding for finding in findings if not finding["success"]]
    for finding in failed:
        say(f"{finding['severity']}: {finding['expectation']}: {finding['observed']}")
    if any(finding["expectation"] in _STALE for finding in failed):
        say(f"the marts of {study} are older than what has landed: run `transfer build`, then check again")
    errors = sum(finding["severity"] == "error" for finding in failed)
    counts = f"checks: {len(findings)}, errors: {errors}, warnings: {len(failed) - errors}"
    say(f"{counts}; more in {docs_folder(study)}/index.html")
    return 1 if errors else 0
