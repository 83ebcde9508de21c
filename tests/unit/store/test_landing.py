"""What lands appears whole or not at all, and what is damaged is found."""

from __future__ import annotations

import os
import resource
import signal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compute.errors import JobError
from compute.store.artifacts import ArtifactStore
from compute.store.frames import to_frame
from compute.store.landing import Landing
from compute.store.merging import merge_small
from compute.store.segments import Segment, remove, write_segment

KEY = "a" * 64
RECORD: dict[str, Any] = {"job_key": KEY, "plugin": "p", "state": "landed", "attempts": 1}
ROWS = [{"vectors": "v", "source_language": "en", "target_language": "de", "measure": "m", "value": 0.5}]


def key(number: int) -> str:
    return f"{number:064x}"


def land(landing: Landing, *numbers: int, failed: tuple[int, ...] = ()) -> None:
    """Land jobs in one segment, each with as many rows as its number."""
    segment = landing.open_segment()
    for number in numbers:
        rows = [{"measure": f"m{row}", "value": float(number)} for row in range(number)]
        segment.add(key(number), {"isometry": rows}, RECORD | {"job_key": key(number)})
    for number in failed:
        segment.add_failure(key(number), RECORD | {"job_key": key(number), "state": "failed", "error": f"e{number}"})
    segment.commit()


def file_of(landing: Landing, table: str, segment: int = 0) -> Path:
    return landing.segments()[segment].path(landing.root, table)


def files(landing: Landing) -> set[str]:
    return {str(path.relative_to(landing.root)) for path in landing.root.rglob("*") if path.is_file()}


def flip(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8 % len(content)] ^= 1 << bit % 8
    path.write_bytes(content)


def test_rows_land_with_the_tables_own_columns(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    landing.write(KEY, {"isometry": ROWS}, RECORD)
    frame = pl.read_parquet(file_of(landing, "isometry"))
    assert frame.to_dicts() == [{"job_key": KEY, **ROWS[0]}]
    assert landing.landed_keys() == {KEY}
    assert pl.read_parquet(file_of(landing, "jobs"))["rows"].to_list() == ['{"isometry": 1}']


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"isometri": ROWS}, "may not write table 'isometri'"),
        ({"jobs": []}, "may not write table 'jobs'"),
        ({"isometry": [{"valeu": 1.0}]}, "no column 'valeu'"),
        ({"isometry": [{"value": "high"}]}, "table 'isometry', column 'value'"),
        ({"item_scores": [{"logprobs": ["high"]}]}, "column 'logprobs'"),
        ({"item_scores": [{"gold": 2**40}]}, "column 'gold'"),
    ],
)
def test_rows_that_do_not_fit_are_refused(tables: Any, message: str, tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    with pytest.raises(JobError, match=message) as caught:
        landing.write(KEY, tables, RECORD)
    assert "\n" not in str(caught.value)
    assert not landing.landed_keys()


@given(st.lists(st.one_of(st.none(), st.lists(st.one_of(st.none(), st.floats(width=32)), max_size=3)), max_size=4))
def test_lists_of_any_lengths_are_kept(lists: list[list[float | None] | None]) -> None:
    frame = to_frame("item_scores", [{"logprobs": one} for one in lists], KEY)
    assert repr(frame["logprobs"].to_list()) == repr(lists)


def test_without_its_record_a_segment_has_not_landed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    landing = Landing(tmp_path)

    def full_disk(*_: object) -> None:
        assert list(tmp_path.glob("isometry/*.parquet"))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Segment, "commit", full_disk)
    with pytest.raises(OSError, match="No space"):
        land(landing, 1, 2)
    assert not landing.landed_keys()
    assert not files(landing)


def test_a_failed_write_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", refuse)
    landing = Landing(tmp_path)
    with pytest.raises(OSError, match="Input/output"):
        landing.write(KEY, {"isometry": ROWS}, RECORD)
    assert not files(landing)


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
    land(landing, failed=(1,))
    assert landing.failed_keys() == {key(1)}
    assert landing.failures([key(1)])[key(1)]["error"] == "e1"
    assert not landing.landed_keys()
    land(landing, 1)
    assert landing.landed_keys() == {key(1)}
    assert not landing.failed_keys()


def test_a_withdrawn_job_leaves_the_others_of_its_segment(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    land(landing, 1, 2, 3, failed=(4,))
    landing.withdraw([key(2)])
    assert Landing(tmp_path).landed_keys() == {key(1), key(3)}
    assert landing.failed_keys() == {key(4)}
    landing.withdraw([key(1), key(3)])
    assert not landing.landed_keys()
    assert not list(tmp_path.glob("isometry/*"))  # nobody else's rows were in it


def test_a_bit_flipped_anywhere_is_found(tmp_path: Path) -> None:
    """Every eleventh bit of each file of a segment: its own SHA-256, or the record's, is another then."""
    landing = Landing(tmp_path)
    land(landing, 1, 2)
    for path in sorted(tmp_path.rglob("*.*")):
        whole = path.read_bytes()
        for bit in range(0, 8 * len(whole), 11 if path.suffix == ".json" else 97):
            flip(path, bit)
            fresh = Landing(tmp_path)
            found = [table for one in fresh.segments() for table in one.damaged_tables(tmp_path, one.files)]
            assert found == [path.parent.name] if path.suffix == ".parquet" else not fresh.segments()
            path.write_bytes(whole)
    assert Landing(tmp_path).landed_keys() == {key(1), key(2)}


def test_a_damaged_file_withdraws_the_jobs_that_have_rows_in_it(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    land(landing, 0, 1, 2)
    land(landing, 3)
    damaged = file_of(landing, "isometry")
    flip(damaged, 500)
    [damage] = landing.withdraw_damaged(landing.segments()[0], ["isometry", "jobs"])
    assert (damage.file, set(damage.job_keys)) == (damaged, {key(1), key(2)})
    assert landing.landed_keys() == {key(0), key(3)}
    flip(file_of(landing, "jobs"), 500)
    [damage] = landing.withdraw_damaged(landing.segments()[0], ["jobs"])
    assert damage.job_keys == (key(0),)
    assert landing.landed_keys() == {key(3)}


def test_a_damaged_record_withdraws_its_segment_and_names_the_jobs(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    land(landing, 1, 2)
    land(landing, 3)
    record = tmp_path / "segments" / f"{landing.segments()[0].name}.json"
    record.write_bytes(record.read_bytes()[:-20])
    assert landing.landed_keys() == {key(3)}
    [damage] = landing.withdraw_damaged_records()
    assert (damage.file, set(damage.job_keys)) == (record, {key(1), key(2)})
    assert len(files(landing)) == 3


def test_what_a_killed_run_left_is_swept(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    land(landing, 1)
    before = files(landing)
    (tmp_path / "isometry" / ".x.parquet.0.tmp").write_bytes(b"x")
    write_segment(tmp_path, "20260101T000000000000-0123456789ab", {"isometry": pl.DataFrame()}, {}, [], [])
    (tmp_path / "segments" / "20260101T000000000000-0123456789ab.json").unlink()
    (tmp_path / "isometry" / f"{key(9)}.parquet").write_bytes(b"of the first layout, which may be in use")
    landing.sweep()
    assert files(landing) == before | {f"isometry/{key(9)}.parquet"}


def rows_of(landing: Landing) -> list[dict[str, Any]]:
    segments = [one for one in landing.segments() if "isometry" in one.files]
    frames = [pl.read_parquet(one.path(landing.root, "isometry")) for one in segments]
    return pl.concat(frames).to_dicts()


def small_segments(root: Path) -> Landing:
    landing = Landing(root)
    for number in range(40):
        land(landing, number, failed=(number + 1, 100))
    return landing


def test_many_small_segments_become_a_few_with_the_same_jobs_and_rows(tmp_path: Path) -> None:
    landing = small_segments(tmp_path)
    before = rows_of(landing), landing.landed_keys(), landing.failed_keys(), set(landing.failures([key(100)]))
    merge_small(landing)
    assert (rows_of(landing), landing.landed_keys(), landing.failed_keys(), set(landing.failures([key(100)]))) == before
    assert len(landing.segments()) == 1
    assert all(not one.damaged_tables(tmp_path, one.files) for one in landing.segments())
    assert len(files(landing)) == 3
    again = files(landing)
    merge_small(landing)
    assert files(landing) == again


def test_a_damaged_segment_is_not_merged(tmp_path: Path) -> None:
    landing = small_segments(tmp_path)
    flip(file_of(landing, "isometry", 7), 500)
    name = landing.segments()[7].name
    merge_small(landing)
    assert name in {one.name for one in landing.segments()}
    assert len(landing.segments()) == 2


def test_rows_of_withdrawn_jobs_are_written_no_more(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    land(landing, 1, 2, failed=(3, 4))
    land(landing, 5)
    whole = landing.segments()[1].name
    landing.withdraw([key(2), key(3)])
    merge_small(landing)
    assert {row["job_key"] for row in rows_of(landing)} == {key(1), key(5)}
    assert (landing.landed_keys(), landing.failed_keys()) == ({key(1), key(5)}, {key(4)})
    assert whole in {one.name for one in landing.segments()}
    assert len(files(landing)) == 6


@pytest.mark.parametrize("removed", range(0, 40, 13))
def test_killed_while_merging_nothing_counts_twice(
    removed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    landing = small_segments(tmp_path)
    before = rows_of(landing), landing.landed_keys()
    left = [removed]

    def kill(root: Path, name: str) -> None:
        if not left[0]:
            raise Killed
        left[0] -= 1
        remove(root, name)

    monkeypatch.setattr("compute.store.merging.remove", kill)
    with pytest.raises(Killed):
        merge_small(landing)
    monkeypatch.undo()
    assert (rows_of(landing), landing.landed_keys()) == before
    landing.sweep()
    assert (rows_of(Landing(tmp_path)), landing.landed_keys()) == before
    assert len(files(landing)) == 3


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


def test_an_artifact_whose_place_is_taken_by_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(NotADirectoryError):
        committed(ArtifactStore(tmp_path))
    assert (next(tmp_path.glob(".committed-*")) / "a" / "config.json").read_text() == "{}"


def committed(store: ArtifactStore) -> Path:
    with store.commit(["a"]) as folders:
        (folders["a"] / "weights").mkdir()
        (folders["a"] / "weights" / "x.npy").write_bytes(b"1234")
        (folders["a"] / "config.json").write_text("{}")
    return store.root / "a"


@pytest.mark.parametrize("name", ["weights/x.npy", "config.json", ".sha256"])
@pytest.mark.parametrize("damage", ["one bit", "truncated"])
def test_a_damaged_artifact_is_withdrawn_at_first_use(name: str, damage: str, tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    file = committed(store) / name
    if damage == "one bit":
        flip(file, 9)
    else:
        file.write_bytes(file.read_bytes()[:-2])
    with pytest.raises(JobError, match=f"{file} is damaged .*artifact a is withdrawn"):
        store.path("a")
    assert not store.has("a")
    assert not list(tmp_path.iterdir())
    assert (committed(store) / name) == file
    assert store.path("a") == tmp_path / "a"


def test_a_file_of_an_artifact_that_is_gone_is_damage_and_one_of_an_earlier_version_is_taken(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    (committed(store) / "config.json").unlink()
    with pytest.raises(JobError, match="No such file"):
        store.path("a")
    (committed(store) / ".sha256").unlink()
    assert store.path("a") == tmp_path / "a"


def test_an_artifact_is_read_once_a_process(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    folder = committed(store)
    assert store.path("a") == folder
    flip(folder / "config.json", 3)
    assert ArtifactStore(tmp_path).path("a") == folder
