"""Shards and artifacts appear whole or not at all."""

from __future__ import annotations

import os
import resource
import signal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from compute.errors import JobError
from compute.store.artifacts import ArtifactStore
from compute.store.landing import Landing

KEY = "a" * 64
RECORD: dict[str, Any] = {"job_key": KEY, "plugin": "p", "state": "landed", "attempts": 1}
ROWS = [{"vectors": "v", "source_language": "en", "target_language": "de", "measure": "m", "value": 0.5}]


def test_rows_land_with_the_tables_own_columns(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    landing.write(KEY, {"isometry": ROWS}, RECORD)
    frame = pl.read_parquet(landing.shard("isometry", KEY))
    assert frame.to_dicts() == [{"job_key": KEY, **ROWS[0]}]
    assert landing.landed_keys() == {KEY}
    assert landing.records([KEY])[0]["rows"] == '{"isometry": 1}'


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"isometri": ROWS}, "may not write table 'isometri'"),
        ({"jobs": []}, "may not write table 'jobs'"),
        ({"isometry": [{"valeu": 1.0}]}, "no column 'valeu'"),
        ({"isometry": [{"value": "high"}]}, "isometry"),
    ],
)
def test_rows_that_do_not_fit_are_refused(tables: Any, message: str, tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    with pytest.raises(JobError, match=message):
        landing.write(KEY, tables, RECORD)
    assert not landing.landed_keys()


def test_without_its_commit_mark_a_job_has_not_landed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    landing = Landing(tmp_path)
    write, written = Landing._write, []

    def full_disk_at_the_mark(self: Landing, frame: pl.DataFrame, path: Path) -> None:
        if path.parent.name == "jobs":
            raise OSError(28, "No space left on device")
        written.append(path)
        write(self, frame, path)

    monkeypatch.setattr(Landing, "_write", full_disk_at_the_mark)
    with pytest.raises(OSError, match="No space"):
        landing.write(KEY, {"isometry": ROWS}, RECORD)
    assert written
    assert not landing.landed_keys()


def test_a_failed_write_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", refuse)
    landing = Landing(tmp_path)
    with pytest.raises(OSError, match="Input/output"):
        landing.write(KEY, {"isometry": ROWS}, RECORD)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_full_disk_is_an_error_of_the_system(tmp_path: Path) -> None:
    """A limit of files' sizes stands for it; polars, writing to a file itself, calls it an error of its own."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            Landing(tmp_path).write(KEY, {"isometry": ROWS}, RECORD)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_success_clears_the_failure_before_it(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    landing.write_failure(KEY, RECORD | {"state": "failed", "error": "x"})
    assert landing.failed_keys() == {KEY}
    assert not landing.landed_keys()
    landing.write(KEY, {}, RECORD)
    assert landing.landed_keys() == {KEY}
    assert not landing.failed_keys()


def test_artifacts_of_one_commit_appear_together(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    with store.commit(["a", "b"]) as folders:
        (folders["a"] / "x").write_text("1")
        (folders["b"] / "x").write_text("2")
        assert not store.has("a")
    assert (store.path("a") / "x").read_text() == "1"
    assert (store.path("b") / "x").read_text() == "2"


def test_an_error_while_staging_leaves_nothing(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    with pytest.raises(RuntimeError), store.commit(["a"]) as folders:
        (folders["a"] / "x").write_text("1")
        raise RuntimeError
    assert not list(tmp_path.iterdir())
    with pytest.raises(JobError, match="is missing"):
        store.path("a")


def test_a_run_killed_after_the_commit_is_finished_by_the_next(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    half = tmp_path / ".committed-x"
    (half / "b").mkdir(parents=True)
    (half / "b" / "x").write_text("2")
    (tmp_path / ".staged-y" / "c").mkdir(parents=True)
    store.recover()
    assert (store.path("b") / "x").read_text() == "2"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b"]


def test_an_artifact_that_is_there_is_kept(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    for text in ("first", "second"):
        with store.commit(["a"]) as folders:
            (folders["a"] / "x").write_text(text)
    assert (store.path("a") / "x").read_text() == "first"
