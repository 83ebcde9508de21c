"""An adaptive study as a user runs it: rounds, what was decided and why, the end, and going on with a larger budget."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

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


DECISIONS = "select round, source_task, source_language, n_known, why from raw.decisions order by 1, 2"


@pytest.mark.skipif(
    not os.environ.get("TRANSFER_SLOW_TESTS"), reason="a minute; tests/unit/verbs/test_rounds.py is quick"
)
def test_rounds_are_decided_landed_and_gone_on_with(tmp_path: Path) -> None:
    _compute(tmp_path, 0.5)
    *chosen, end = _rows(tmp_path, DECISIONS)
    assert [row[0] for row in chosen] == [1, 2] and [row[3] for row in chosen] == [0, 5]
    assert end[0] == 3 and end[1] is None and end[4] == "the budget is spent"
    tuned = "select distinct source_task, source_language from raw.item_scores where source_task is not null"
    assert set(_rows(tmp_path, tuned)) == {row[1:3] for row in chosen} and len({row[1:3] for row in chosen}) == 2
    # What was not chosen is not asked for, so that nothing of the study is missing.
    assert _rows(tmp_path, "select job_key from raw.study_jobs anti join raw.jobs using (job_key)") == []
    more = _compute(tmp_path, 0.75)
    assert ", 0 to run" in more and "round 3" in more and "round 2" not in more
    *longer, end = _rows(tmp_path, DECISIONS)
    assert longer[:2] == chosen and longer[2][3] == 10 and len(longer) == 3 and end[1] is None
