"""What a study will take: measured in a sample of it, told by `transfer plan`, and taken off once it has landed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import duckdb

ROOT = Path(__file__).parents[2]
TINY = ROOT / "tests" / "studies" / "tiny.yml"
PLUGINS = {"items", "pretrain", "baseline", "transfer", "vectors", "isometry", "mapping", "bli"}


def transfer(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key not in ("STUDY", "WAREHOUSE", "EXECUTOR")}
    return subprocess.run(
        [sys.executable, "-P", "-m", "compute.cli", *arguments, "--study", str(TINY), "--device", "cpu"],
        cwd=folder, env=environment | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=600,
        check=False,
    )  # fmt: skip


def planned(folder: Path) -> dict[str, object]:
    done = transfer(folder, "plan", "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_a_study_is_measured_planned_and_taken_off(tmp_path: Path) -> None:
    assert planned(tmp_path)["plugins"] is None
    done = transfer(tmp_path, "calibrate", "--seconds", "500")
    assert done.returncode == 0, done.stderr
    assert {line.split()[0] for line in done.stdout.splitlines()[:-1]} == PLUGINS
    assert [path.name for path in tmp_path.iterdir()] == [".transfer"]  # the sample itself is gone

    before = planned(tmp_path)
    shares = {one["plugin"]: one for one in before["plugins"]}  # type: ignore[attr-defined]
    assert set(shares) == PLUGINS
    assert all(one["unknown"] == 0 and one["seconds"] > 0 for one in shares.values())
    assert shares["mapping"]["artifact_bytes"] > 0 == shares["bli"]["artifact_bytes"]
    assert before["earlier_jobs"] == 0

    assert transfer(tmp_path, "compute").returncode == 0
    after = planned(tmp_path)
    assert after["plugins"] == []
    assert after["earlier_jobs"] == after["landed"]["jobs"] == sum(one["jobs"] for one in shares.values())  # type: ignore[index]
    with duckdb.connect(str(tmp_path / "warehouse.duckdb"), read_only=True) as connection:
        told = connection.execute(
            "select count(*), count(cost), count(cpu_seconds), count(distinct plugin) filter (where is_first),"
            " count(*) filter (where artifact_bytes > 0 and plugin in ('mapping', 'pretrain')) from raw.jobs"
        ).fetchall()
    n = after["earlier_jobs"]
    assert told == [(n, n, n, len(PLUGINS), 3)]
    assert "nothing is left to do" in transfer(tmp_path, "plan").stdout
