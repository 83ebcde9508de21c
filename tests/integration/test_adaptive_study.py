"""An adaptive study as a user runs it: rounds, what was decided and why, the end, and going on with a larger budget."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb

ROOT = Path(__file__).resolve().parents[2]
STUDY = """
study: adapting
models:
  - name: small
    architecture: {{family: llama, hidden_size: 32, layers: 1, heads: 2, intermediate_size: 64}}
    pretrain: {{languages: [en, de], steps: 20, batch_tokens: 1024}}
sources: {{tasks: [parity, compare], languages: [en, de]}}
targets: {{tasks: [parity, compare], languages: [en, de, es]}}
items: {{train: 60, dev: 0, test: 20}}
seeds: [1]
lora: {{epochs: 2, learning_rate: 0.02}}
adaptive: {{budget: {budget}, enough: 0}}
"""


def _compute(folder: Path, budget: float) -> str:
    (folder / "adapting.yml").write_text(STUDY.format(budget=budget))
    environment = {key: value for key, value in os.environ.items() if key not in ("STUDY", "WAREHOUSE")}
    done = subprocess.run(
        [sys.executable, "-m", "compute.cli", "compute", "--study", "adapting.yml", "--device", "cpu"], cwd=folder,
        env=environment | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stderr


def _rows(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_rounds_are_decided_landed_and_gone_on_with(tmp_path: Path) -> None:
    _compute(tmp_path, 0.75)
    decisions = _rows(
        tmp_path, "select round, source_task, source_language, remaining, why from raw.decisions order by 1, 2"
    )
    *chosen, end = decisions
    assert len(chosen) == 3 and end[1] is None and end[4] == "the budget is spent"
    assert len({decision[1:3] for decision in chosen}) == 3 and [row[0] for row in decisions] == [1, 2, 3, 4]
    assert chosen[2][3] is not None  # ten transfer cells told it something
    tuned = set(
        _rows(
            tmp_path, "select distinct source_task, source_language from raw.item_scores where source_task is not null"
        )
    )
    assert tuned == {decision[1:3] for decision in chosen}
    # What was not chosen is not asked for, so that nothing of the study is missing.
    (unrun,) = _rows(tmp_path, "select count(*) from raw.study_jobs anti join raw.jobs using (job_key)")
    assert unrun == (0,)
    again = _compute(tmp_path, 0.75)
    assert ", 0 to run" in again and "round" not in again
    assert (
        _rows(tmp_path, "select round, source_task, source_language, remaining, why from raw.decisions order by 1, 2")
        == decisions
    )
    more = _compute(tmp_path, 1.0)
    assert "round 4" in more
    all_of_it = _rows(
        tmp_path, "select round, source_task, source_language, remaining, why from raw.decisions order by 1, 2"
    )
    assert all_of_it[:3] == chosen and len(all_of_it) == 5 and all_of_it[-1][1] is None
