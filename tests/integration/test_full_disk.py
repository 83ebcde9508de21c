"""A disk that is full or read-only: every verb says so in one line, loses nothing, and goes on once there is room."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import duckdb
import numpy as np
import pytest
from safetensors.numpy import save_file

from compute.catalog.entries import CatalogedFile, HubFile
from compute.catalog.fetching import fetch
from compute.cli import main
from compute.dbt import run_dbt
from compute.engine.calibration import Calibration
from compute.engine.runner import Batch, Event, Workplace, run_batch
from compute.errors import JobError, UserError, refused_by_disk
from compute.plugin import Job
from compute.project import package_folder
from compute.store.artifacts import ArtifactStore
from compute.store.lake import Lake
from compute.store.landing import Landing
from compute.store.publish import publish
from compute.store.registration import RegisteredJob, RegisteredStudy
from compute.store.warehouse import Warehouse
from data_checks import __main__ as data_checks
from tests.helpers.any_config import AnyConfig
from tests.helpers.reported import TRANSFER_ONLY
from tests.helpers.small_disk import FULL, SmallDisk, mounted
from tests.helpers.steps import StepsProject
from tests.helpers.warehouse_fixture import RawRows

KIB = 1024
TINY = Path(__file__).parents[1] / "studies" / "tiny.yml"
Told = pytest.CaptureFixture[str]
ROWS = {"language_distances": [{"source_language": "en", "target_language": "de", "measure": "m", "value": 1.0}]}


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallDisk]:
    """A disk, in which the test stands."""
    found = mounted(tmp_path / "disk")
    monkeypatch.chdir(found.folder)
    for name in ("WAREHOUSE", "STUDY"):
        monkeypatch.delenv(name, raising=False)
    yield found
    found.unmount()


def the_line(told: Told) -> str:
    """Return the one line of stderr."""
    [line] = told.readouterr().err.strip().splitlines()
    return line


def record(key: str) -> dict[str, object]:
    return {"job_key": key, "plugin": "uriel", "state": "landed", "label": key}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG])
def test_every_word_of_the_system_for_a_disk_that_takes_no_more(number: int) -> None:
    word = os.strerror(number)
    assert refused_by_disk(OSError(number, word, "a.csv")) == f"a.csv: cannot be written: {word}"
    assert refused_by_disk(OSError(number, word), "its page") == f"its page: cannot be written: {word}"
    assert refused_by_disk(duckdb.IOException(f"IO Error: file b: {word}\n(in line 2)")) == f"IO Error: file b: {word}"
    assert refused_by_disk(OSError(errno.EIO, "Input/output error", "a.csv")) is None


# ---- computing and loading ----


def test_a_run_whose_disk_is_full_at_any_moment_goes_on_with_equal_tables(disk: SmallDisk, tmp_path: Path) -> None:
    whole = StepsProject(tmp_path / "whole", 0.0)
    assert whole.run("compute", "--workers", "1")[0] == 0
    project = StepsProject(disk.folder / "project", 0.0)
    landed = 0
    for room, place in ((0, "landing/runs/"), (8, "warehouse.duckdb"), (64, "warehouse.duckdb.wal"), (900, "landing")):
        disk.leave(room * KIB)
        code, said = project.run("compute", "--workers", "1")
        assert code in (1, 2)
        assert any(FULL in line and place in line for line in said.splitlines()), said
        assert "Traceback" not in said and "move it away" not in said
        assert not disk.unfinished()
        assert project.landed() >= landed
        landed = project.landed()
    assert 0 < landed < whole.landed()
    disk.make_room()
    assert project.run("compute", "--workers", "1")[0] == 0
    tables = project.tables()
    assert tables.keys() == whole.tables().keys()
    for table, rows in whole.tables().items():
        attempts = 6 if table == "jobs" else None  # jobs that failed were tried again
        assert [row[:attempts] for row in tables[table]] == [row[:attempts] for row in rows]


def test_small_segments_that_cannot_be_merged_end_no_load(disk: SmallDisk, tmp_path: Path) -> None:
    project = StepsProject(disk.folder / "project", 0.0)
    landing = Landing(project.folder / "landing")
    for number in range(40):
        landing.write(f"{number:064}", ROWS, record(f"{number:064}"))
    disk.leave(0)
    code, said = project.run("load", "--warehouse", str(tmp_path / "warehouse.duckdb"))
    assert code == 0, said
    assert "small segments are not merged: landing/jobs/2" in said and FULL in said
    assert len(landing.segments()) == 40
    disk.make_room()
    assert project.run("load", "--warehouse", str(tmp_path / "warehouse.duckdb"))[0] == 0
    assert len(landing.segments()) == 1


@pytest.mark.parametrize("room", [0, 4, 8, 12])
def test_a_warehouse_that_cannot_be_begun_is_not_in_the_way(disk: SmallDisk, room: int) -> None:
    warehouse = Warehouse(disk.folder / "w.duckdb", wait=0.0)
    disk.leave(room * KIB)
    with pytest.raises(UserError, match=FULL) as caught:
        warehouse.prepare()
    assert len(str(caught.value).splitlines()) == 1 and "move it away" not in str(caught.value)
    disk.make_room()
    warehouse.prepare()
    assert warehouse.studies() == []


@pytest.mark.parametrize("room", [0, 40])
def test_a_lake_without_room_is_told_at_once(disk: SmallDisk, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    pytest.importorskip("duckdb_extension_ducklake", reason="lakes need the extra `lake`")

    def wait(seconds: float) -> None:
        raise AssertionError("it was tried again")

    monkeypatch.setattr("compute.store.database.time.sleep", wait)
    lake = Warehouse(Lake(disk.folder / "w.ducklake"), wait=0.0)
    disk.leave(room * KIB)
    with pytest.raises(UserError, match=f"ducklake:.*{FULL}") as caught:
        lake.prepare()
    assert len(str(caught.value).splitlines()) == 1
    assert Path("w.ducklake").exists() == (room > 0)


def test_what_memory_does_not_hold_may_find_no_room(disk: SmallDisk) -> None:
    warehouse = Warehouse(disk.folder / "w.duckdb", wait=0.0)
    warehouse.prepare()
    disk.leave(100 * KIB)
    refused = pytest.raises(UserError, match=r"w\.duckdb: Out of Memory Error: failed to offload")
    with refused, warehouse.connect() as connection:
        connection.execute("set memory_limit = '8MB'; set threads = 1")
        connection.execute("create temp table t as select hash(i) as h from range(2000000) r(i) order by h")


# ---- jobs ----


def test_an_artifact_without_room_is_named_and_leaves_nothing(disk: SmallDisk) -> None:
    store = ArtifactStore(Path("artifacts"))
    matrix = np.zeros(1_000_000)
    disk.leave(100 * KIB)
    with pytest.raises(OSError) as numpys, store.commit(["k"]) as folders:
        np.save(folders["k"] / "matrix.npy", matrix)
    assert str(refused_by_disk(numpys.value)).startswith("artifacts: cannot be written: 1000000 requested")
    with pytest.raises(JobError, match=f"artifacts: .*{FULL}"), store.commit(["k"]) as folders:
        save_file({"matrix": matrix}, folders["k"] / "matrix.safetensors")
    with pytest.raises(OSError) as pythons, store.commit(["k"]) as folders:
        (folders["k"] / "matrix").write_bytes(matrix.tobytes())
    assert refused_by_disk(pythons.value) == f"artifacts: cannot be written: {FULL}"
    assert list(Path("artifacts").iterdir()) == []


def test_a_defect_whose_traceback_cannot_be_kept_is_a_line(
    disk: SmallDisk, monkeypatch: pytest.MonkeyPatch, capfd: Told
) -> None:
    class Defect:
        def run(self, jobs: object, context: object) -> None:
            raise ValueError("a defect")

    monkeypatch.setattr("compute.engine.runner.load_plugin", lambda name: Defect())
    disk.leave(0)
    events: list[Event] = []
    job = Job("p", "1", AnyConfig(label="one"), label="one")
    run_batch(Batch("b", (job,)), Workplace(disk.folder, disk.folder), events.append)
    [failure] = [event.text for event in events if event.kind == "failed"]
    assert f"ValueError: a defect (no traceback in disk/errors.log: {FULL})" in failure
    assert "Traceback" not in capfd.readouterr().err


def test_a_sample_that_cannot_land_is_told(monkeypatch: pytest.MonkeyPatch, capsys: Told) -> None:
    nothing = Calibration([], 0.0, True, [])
    monkeypatch.setattr("compute.verbs.calibrate.calibrate", lambda *arguments: nothing)
    assert main(["calibrate", "--study", str(TINY), "--device", "cpu"]) == 2
    assert "no job of the sample could land there; is the disk full?" in the_line(capsys)


# ---- what readers are given ----


def test_what_is_published_stays_old(disk: SmallDisk) -> None:
    warehouse = Warehouse(disk.folder / "w.duckdb", wait=0.0)
    published = Path("published", "warehouse.duckdb")
    warehouse.prepare()
    with duckdb.connect("w.duckdb") as connection:
        connection.execute("create schema marts")
        connection.execute("create table marts.m as select 's' as study, hash(i) as h from range(20000) r(i)")
        connection.execute("insert into raw.studies (study, origin) values ('s', 'computed')")
    assert publish("s", warehouse, published) == 20_000
    old = published.read_bytes()
    for room in (0, 16, 100):
        disk.leave(room * KIB)
        with pytest.raises(UserError, match=FULL):
            publish("s", warehouse, published)
        assert published.read_bytes() == old and not disk.unfinished()


def test_the_checks_name_the_folder_of_their_pages(monkeypatch: pytest.MonkeyPatch, capsys: Told) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, FULL)

    monkeypatch.setattr(data_checks, "require", lambda *arguments: None)
    monkeypatch.setattr("data_checks.runner.run_checks", refuse)
    monkeypatch.setattr(sys, "argv", ["data_checks", "w.duckdb", "s", "-", "--docs", "target/docs"])
    assert data_checks.main() == 2
    assert the_line(capsys) == f"target/docs: cannot be written: {FULL}"


def test_a_page_without_room_for_its_copy(disk: SmallDisk, reported: Path, capsys: Told) -> None:
    arguments = ["report", "--study", TRANSFER_ONLY, "--warehouse", str(reported)]
    assert main(arguments) == 0
    pages = disk.files()
    for name in pages:
        Path(name).unlink()
    disk.leave(3 * len(pages.pop("report.html")) // 2)
    capsys.readouterr()
    assert main(arguments) == 2
    assert f"report.html: cannot be written: {FULL}" in the_line(capsys)
    assert disk.files() == pages


def test_an_exported_adapter_is_whole_or_not_there(disk: SmallDisk, capsys: Told) -> None:
    raw = RawRows()
    raw.study("s", models=[])
    base = raw.job("s", "pretrain", name="made")
    raw.add("models", model="made@1", family="llama", revision="f" * 64, job_key=base)
    key = raw.job(
        "s", "transfer", step="train", model="made@1", variant="default", source_task="parity", source_language="ru",
        seed=1, prompt="p_1@2", train_items=96, lora={"rank": 8, "alpha": 16.0, "target_modules": ["q_proj"]},
    )  # fmt: skip
    with ArtifactStore(Path("artifacts")).commit([base, key]) as folders:
        for folder, name in ((folders[base], "model.safetensors"), (folders[key], "adapter_model.safetensors")):
            (folder / name).write_bytes(os.urandom(200 * KIB))
        (folders[key] / "adapter_config.json").write_text("{}")
    raw.write(Path("warehouse.duckdb"))
    before = disk.files()
    for room in (100, 300):
        disk.leave(room * KIB)
        assert main(["export", "adapters", "--study", "s", "--to", "out"]) == 2
        assert f"out/made-parity-ru-seed1: cannot be written: {FULL}" in the_line(capsys)
        weights = [content for name, content in disk.files().items() if name.endswith(".safetensors")]
        assert all(content in before.values() for content in weights)
    disk.make_room()
    assert main(["export", "adapters", "--study", "s", "--to", "out"]) == 0
    assert json.loads(Path("out/made-parity-ru-seed1/adapter_config.json").read_text())["base_model_name_or_path"]


# ---- the project ----


def test_a_project_that_was_begun_without_room_is_finished(
    disk: SmallDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Told
) -> None:
    monkeypatch.setattr("compute.verbs.init.install_packages", lambda: None)
    assert main(["init", str(tmp_path / "one" / "project"), "--example", "import"]) == 0
    capsys.readouterr()
    for room in (0, 8, 40, 60):
        disk.leave(room * KIB)
        assert main(["init", "project", "--example", "import"]) == 2
        assert "project" in (line := the_line(capsys)) or "study.schema.json" in line
        assert f"cannot be written: {FULL}" in line
        assert not disk.unfinished()
    disk.make_room()
    assert main(["init", "project", "--example", "import"]) == 0
    whole = tmp_path / "one" / "project"
    expected = {path.relative_to(whole).as_posix(): path for path in whole.rglob("*") if path.is_file()}
    found = {name.removeprefix("project/"): content for name, content in disk.files().items()}
    assert found.keys() == expected.keys()
    assert found == {name: path.read_bytes() for name, path in expected.items()}


def test_pruning_makes_room_on_a_full_disk(disk: SmallDisk) -> None:
    landing, kept, gone = Landing(Path("landing")), "a" * 64, "b" * 64
    segment = landing.open_segment()
    for key in (kept, gone):
        segment.add(key, ROWS, record(key))
    segment.commit()
    asked = RegisteredStudy("s", "{}", "computed", {kept: RegisteredJob(kept, "uriel", "kept", {})})
    Warehouse(Path("warehouse.duckdb"), wait=0.0).load(asked, landing)
    with ArtifactStore(Path("artifacts")).commit([gone]) as folders:
        (folders[gone] / "model").write_bytes(bytes(300 * KIB))
    disk.leave(0)
    assert main(["prune", "--yes"]) == 0
    assert landing.landed_keys() == {kept}
    assert not Path("artifacts", gone).exists()


def test_dbt_on_a_full_disk_is_two_lines(disk: SmallDisk) -> None:
    Warehouse(Path("warehouse.duckdb"), wait=0.0).prepare()
    disk.leave(3_000 * KIB)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "compute.cli", "build", "--quiet"], capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(package_folder())},
    )  # fmt: skip
    assert done.returncode == 2
    assert [line.strip() for line in done.stderr.splitlines()] == [
        f"transfer: {disk.folder}: dbt cannot go on: [Errno 28] {FULL}"
    ]
    assert len(done.stdout.splitlines()) <= 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_dbt_whose_log_is_on_a_full_disk_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Told) -> None:
    monkeypatch.chdir(tmp_path)
    Path("dbt_project.yml").write_text("name: empty\nprofile: transfer_warehouse\n")
    Path("profiles.yml").write_bytes((package_folder() / "profiles.yml").read_bytes())
    Path("logs").mkdir()
    Path("logs", "dbt.log").symlink_to("/dev/full")
    assert run_dbt("parse", warehouse=Path("warehouse.duckdb")) == 0
    assert "Performance info" in (said := capfd.readouterr().out) and "Traceback" not in said


def test_dbt_is_not_begun_without_room(disk: SmallDisk) -> None:
    disk.leave(0)
    with pytest.raises(UserError, match=f"{disk.folder}: cannot be written: {FULL}"):
        run_dbt("parse", warehouse=disk.folder / "warehouse.duckdb")


@pytest.mark.parametrize(
    "arguments",
    [
        ["import", "donors-recipients", str(package_folder() / "examples/import/results/cells.csv"), "--study", "x"],
        ["rm", TRANSFER_ONLY],
        ["report", "--study", TRANSFER_ONLY],
        ["export", "marts", "--study", TRANSFER_ONLY, "--format", "csv", "--to", "out"],
        ["build"],
        ["docs"],
        ["prune", "--yes"],
        ["init", "project"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_read_only_disk_is_one_line(disk: SmallDisk, reported: Path, arguments: list[str], capsys: Told) -> None:
    Path("warehouse.duckdb").write_bytes(reported.read_bytes())
    disk.make_read_only()
    if arguments[:2] == ["export", "marts"]:
        arguments = [*arguments, "--warehouse", "warehouse.duckdb"]
    assert main(arguments) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert "Read-only file system" in said[-1] and "move it away" not in said[-1]
    assert len(said) == 1 + (arguments[0] == "import")


# ---- what is printed, and what is fetched ----


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("verb", ["schema", "ls methods"])  # more than a buffer of Python's takes, and less
def test_output_into_a_full_disk_is_one_line(tmp_path: Path, verb: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "compute.cli", *verb.split()], stdout=full, stderr=subprocess.PIPE, text=True,
            cwd=tmp_path, env=environment | {"PYTHONPATH": str(package_folder())}, check=False,
        )  # fmt: skip
        assert done.returncode == 2
        assert done.stderr == f"transfer: standard output, or another file: cannot be written: {FULL}\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_log_on_a_full_disk_ends_no_run(tmp_path: Path) -> None:
    project = StepsProject(tmp_path / "project", 0.0)
    command = [sys.executable, "-P", "-m", "compute.cli", "compute", "--workers", "1", "--study", "the study.yml"]
    with open("/dev/full", "w") as full:
        path = os.pathsep.join([str(project.folder / "site"), str(package_folder())])
        environment = os.environ | {"PYTHONPATH": path, "DEVICE": "cpu"}
        assert subprocess.run(command, cwd=project.folder, stderr=full, env=environment, check=False).returncode == 0
    assert project.landed() == 25


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def test_a_cache_without_room_is_told(disk: SmallDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = os.urandom(300 * KIB)
    entry = CatalogedFile("owner/name", "c" * 40, "file.bin", len(content), hashlib.sha256(content).hexdigest(), "CC0")
    served = tmp_path / "served" / entry.key
    served.parent.mkdir(parents=True)
    served.write_bytes(content)
    monkeypatch.setenv("XDG_CACHE_HOME", str(disk.folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "served"))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("TRANSFER_MIRROR", f"http://127.0.0.1:{server.server_port}")
        disk.leave(100 * KIB)
        with pytest.raises(UserError, match=rf"file\.bin: cannot be written: {FULL}"):
            fetch(entry)
        assert disk.files() == {}
        disk.make_room()
        assert fetch(entry).read_bytes() == content
        server.shutdown()


def test_the_hubs_cache_without_room_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> str:
        raise OSError(errno.ENOSPC, FULL, "blobs/x")

    monkeypatch.delenv("TRANSFER_MIRROR", raising=False)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", refuse)
    with pytest.raises(UserError, match=rf"train\.tsv: blobs/x: cannot be written: {FULL}"):
        fetch(HubFile("owner/name", "main", "train.tsv", "CC0"))
