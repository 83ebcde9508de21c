"""SQL reads of jobs' configurations what the raw schema declares, and jobs have what SQL reads."""

from __future__ import annotations

import re
from pathlib import Path

from compute.engine.plan import study_jobs
from compute.store.raw_schema import CONFIG_KEYS
from compute.study.file import read_study

ROOT = Path(__file__).parents[3]
OF_A_STUDY = {"harm_threshold_pp", "compare_with", "bli_map", "sources", "embeddings", "prompts"}
"""Keys of study files: `raw.studies` has a `config` too."""


def test_what_sql_reads_is_declared() -> None:
    files = [
        *(ROOT / "models").rglob("*.sql"),
        *(ROOT / "data_checks").rglob("*.py"),
        *(ROOT / "report").rglob("*.sql"),
    ]
    read = {key for file in files for key in re.findall(r"config ->> '\$\.(\w+)", file.read_text())}
    assert read - OF_A_STUDY <= set(CONFIG_KEYS)


def test_one_staging_model_reads_all_that_is_declared() -> None:
    read = {
        file.stem: set(re.findall(r"config ->> '\$\.(\w+)", file.read_text()))
        for file in (ROOT / "models").rglob("*.sql")
    }
    assert read.pop("stg_study_jobs") == set(CONFIG_KEYS)
    assert {name for name, keys in read.items() if keys - OF_A_STUDY} == set()


def test_what_is_declared_is_there_in_some_job() -> None:
    studies = [read_study(ROOT / "tests" / "studies" / name) for name in ("tiny.yml", "mixed.yml")]
    jobs = [job for study in studies for job in study_jobs(study).values()]
    assert set(CONFIG_KEYS) <= {key for job in jobs for key in job.config.identity()}
