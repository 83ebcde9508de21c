"""The embedding half of a study: what its methods are planned with, and what is refused."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import yaml

from compute.embeddings.mappings import METHODS, load_method, restart_seeds
from compute.engine.plan import study_jobs
from compute.errors import UserError
from compute.study.file import read_study
from compute.study.schema import Study

NUMERALS: dict[str, Any] = {
    "vectors": {"mine": {}},
    "languages": ["en", "de"],
    "pairs": "once",
    "methods": ["proc"],
    "dictionary_sizes": [50],
    "preprocessing": "unit",
}


def study(tmp_path: Path, **changes: Any) -> Study:
    path = tmp_path / "study.yml"
    path.write_text(yaml.safe_dump({"study": "test", "embeddings": NUMERALS | changes}))
    return read_study(path)


def test_a_method_may_have_a_preprocessing_of_its_own(tmp_path: Path) -> None:
    own = [{"name": "vecmap_supervised", "preprocessing": "unit-centre-unit"}]
    own.append({"name": "proc", "variant": "raw", "preprocessing": "none"})
    asked = study(tmp_path, methods=["proc", *own], variants={"iterative": {"preprocessing": "iterative"}})
    maps = [job.config for job in study_jobs(asked).values() if job.plugin == "mapping"]
    assert [(config.method, config.variant, config.preprocessing) for config in maps] == [
        ("proc", "default", "unit"),
        ("proc", "iterative", "iterative"),
        ("vecmap_supervised", "default", "unit-centre-unit"),
        ("proc", "raw", "none"),
    ]
    with pytest.raises(UserError, match=r"methods\[0\]\.preprocessing: unknown value 'centred'; did you mean 'centre'"):
        study(tmp_path, methods=[{"name": "proc", "preprocessing": "centred"}])


def test_dictionaries_of_ones_own_are_written_down_without_a_warning(tmp_path: Path) -> None:
    files = {"train": "{source}-{target}.train.tsv", "test": "{source}-{target}.test.tsv"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kept = json.loads(study(tmp_path, dictionaries=files).model_dump_json())
    assert kept["embeddings"]["dictionaries"] == {**files, "separator": "tab"}


def test_a_setting_that_is_not_finite_is_told_with_its_key(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"study\.yml:\d+: embeddings\.methods\[0\]\.settings\.step: .*finite"):
        study(tmp_path, methods=[{"name": "rcsls", "settings": {"step": float("inf")}}])


def test_runs_of_two_seeds_share_no_restart() -> None:
    assert [*restart_seeds(0, 3), *restart_seeds(1, 3), *restart_seeds(2, 3)] == list(range(9))


def test_what_learns_from_pairs_alone_draws_nothing() -> None:
    drawing = {name for name in METHODS if load_method(name).draws}
    assert drawing == {"vecmap", "vecmap_semi_supervised", "muse", "icp"}
