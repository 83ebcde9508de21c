"""Artifacts at a URL: there whole or not at all, checked on the way back, and one line where the URL is no good."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import sys
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import fsspec
import pytest

from compute.cli import main
from compute.engine.executors.cluster import CLUSTER, read_cluster
from compute.engine.plan import make_plan, study_jobs
from compute.engine.runner import Batch, Event, Workplace, run_batch
from compute.errors import JobError, UserError
from compute.plugin import Context, Job, Outcome, canonical_json
from compute.store import remote as remote_module
from compute.store.artifacts import ArtifactStore
from compute.store.landing import Landing
from compute.store.remote import RemoteArtifacts, RemoteFailure, checked_url
from compute.study.file import read_study
from tests.helpers.any_config import AnyConfig

TINY = Path(__file__).parents[2] / "studies" / "tiny.yml"
FILES = {"weights/x.npy": b"1234567890", "config [1] %20#.json": b"{}"}
WRITES = 2 * len(FILES) + 2 + 1
"""Of two artifacts: their files, their records, and what makes them count."""


class Killed(BaseException):
    """As kill -9: nothing tidies up."""


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_module, "_WAITS", (0.0, 0.0))


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"file://{tmp_path}/remote"


def fill(folder: Path) -> None:
    for name, content in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)


def commit(store: ArtifactStore, *keys: str) -> None:
    with store.commit(keys) as folders:
        for folder in folders.values():
            fill(folder)


def content(folder: Path) -> dict[str, bytes]:
    """Return the files of an artifact, but for the record of their digests."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != ".sha256"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def remote_file(tmp_path: Path, pattern: str) -> Path:
    (found,) = (tmp_path / "remote").glob(pattern)
    return found


@pytest.mark.parametrize("protocol", ["memory", "file", "local"])
def test_what_is_committed_here_is_used_elsewhere(tmp_path: Path, protocol: str) -> None:
    url = f"memory://{uuid.uuid4()}/a" if protocol == "memory" else f"{protocol}://{tmp_path}/re mote"
    one, other = ArtifactStore(tmp_path / "1", url), ArtifactStore(tmp_path / "2", url)
    assert not other.has("a") and other.among(["a", "b"]) == set()
    commit(one, "a", "b")
    assert other.has("a") and not other.is_here("a") and not other.has("c")
    assert other.among(["a", "b", "c"]) == {"a", "b"} and other.size("a") == len(b"".join(FILES.values()))
    assert other.path("a") == tmp_path / "2" / "a" and content(other.path("a")) == FILES
    assert sorted(path.name for path in (tmp_path / "2").iterdir()) == ["a"]
    fsspec.url_to_fs(url)[0].rm(fsspec.url_to_fs(url)[1], recursive=True)
    assert content(other.path("a")) == FILES and content(one.path("b")) == FILES
    with pytest.raises(JobError, match=f"artifact {tmp_path}/2/b is missing, and {url} has none"):
        other.path("b")


def writes_until(monkeypatch: pytest.MonkeyPatch, number: int, end: Callable[[], object]) -> None:
    """Have the write after so many end."""
    written = RemoteArtifacts._written
    done = iter(range(number))

    def write(self: RemoteArtifacts, *arguments: Any) -> None:
        if next(done, None) is None:
            end()
        written(self, *arguments)

    monkeypatch.setattr(RemoteArtifacts, "_written", write)


@pytest.mark.parametrize("number", range(WRITES))
def test_a_run_killed_between_files_has_uploaded_nothing(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    one, other = ArtifactStore(tmp_path / "1", url), ArtifactStore(tmp_path / "2", url)
    if (child := os.fork()) == 0:
        try:
            writes_until(monkeypatch, number, lambda: os.kill(os.getpid(), signal.SIGKILL))
            commit(one, "a", "b")
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert len([path for path in (tmp_path / "remote").rglob("*") if path.is_file()]) == number
    one.recover()
    assert not list((tmp_path / "1").iterdir())
    for store in (one, other):
        assert not (store.has("a") or store.has("b") or store.among(["a", "b"]))
        with pytest.raises(JobError, match="is missing"):
            store.path("a")
    commit(one, "a", "b")
    assert content(other.path("a")) == content(other.path("b")) == FILES


def test_a_run_killed_once_all_is_uploaded_has_made_it(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = ArtifactStore(tmp_path / "1", url)
    upload = RemoteArtifacts.upload

    def upload_and_end(*arguments: Any) -> None:
        upload(*arguments)
        raise Killed

    monkeypatch.setattr(RemoteArtifacts, "upload", upload_and_end)
    with pytest.raises(Killed):
        commit(one, "a", "b")
    assert not one.is_here("a") and content(one.path("a")) == content(one.path("b")) == FILES


@pytest.mark.parametrize("number", range(WRITES))
def test_an_upload_that_is_refused_is_taken_back(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse() -> None:
        raise RemoteFailure("no more")

    store = ArtifactStore(tmp_path / "1", url)
    writes_until(monkeypatch, number, refuse)
    with pytest.raises(JobError, match="no more"):
        commit(store, "a", "b")
    assert not [path for path in (tmp_path / "remote").rglob("*") if path.is_file()]
    assert not list((tmp_path / "1").iterdir())


def flip(file: Path, byte: int) -> None:
    whole = bytearray(file.read_bytes())
    whole[byte] ^= 1
    file.write_bytes(whole)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-2])


@pytest.mark.parametrize(
    ("damage", "pattern", "said"),
    [
        (lambda file: flip(file, 3), "files/*/a/weights/x.npy", "is damaged (its SHA-256 is not the recorded one)"),
        (cut, "files/*/a/config*", "is damaged (its SHA-256 is not the recorded one)"),
        (Path.unlink, "files/*/a/config*", "is damaged (it is missing)"),
        (shutil.rmtree, "files/*", "is damaged (it is missing)"),
        (lambda file: flip(file, 70), "keys/a/*", "is damaged (its SHA-256 is not the one in its first line)"),
        (cut, "keys/a/*", "is damaged (its SHA-256 is not the one in its first line)"),
    ],
)
def test_damage_at_the_url_is_named_withdrawn_and_made_good(
    tmp_path: Path, url: str, damage: Callable[[Path], object], pattern: str, said: str
) -> None:
    one, other = ArtifactStore(tmp_path / "1", url), ArtifactStore(tmp_path / "2", url)
    commit(one, "a", "b")
    damaged = remote_file(tmp_path, pattern)
    damage(damaged)
    with pytest.raises(JobError) as raised:
        other.path("a")
    assert str(raised.value).startswith(f"file://{damaged}") and said in str(raised.value)
    assert str(raised.value).endswith("artifact a is withdrawn, and made again when this job is run again")
    assert not list((tmp_path / "2").iterdir())
    assert not other.has("a") and not other.among(["a"]) and other.has("b")
    assert not list((tmp_path / "remote").glob("files/*/a"))
    commit(other, "a")
    assert content(ArtifactStore(tmp_path / "3", url).path("a")) == FILES


def test_what_no_set_counts_is_not_there(tmp_path: Path, url: str) -> None:
    one, other = ArtifactStore(tmp_path / "1", url), ArtifactStore(tmp_path / "2", url)
    commit(one, "a")
    remote_file(tmp_path, "keys/a/*").unlink()
    assert not other.has("a") and not other.among(["a"])
    commit(other, "a")
    (tmp_path / "remote" / "keys" / "c").mkdir()
    for folder in ("keys/a", "keys/c", "sets"):  # as file managers and consoles of object stores leave
        (tmp_path / "remote" / folder / ".DS_Store").touch()
    assert other.has("a") and other.among(["a", "c"]) == {"a"} and not other.has("c")


def test_of_two_uploads_of_one_artifact_either_serves(tmp_path: Path, url: str) -> None:
    for number in (1, 2):
        commit(ArtifactStore(tmp_path / f"{number}", url), "a", "b")
    copies = sorted((tmp_path / "remote").glob("files/*/a/weights/x.npy"))
    assert len(copies) == 2
    flip(copies[0], 1)
    other = ArtifactStore(tmp_path / "3", url)
    assert content(other.path("a")) == content(other.path("b")) == FILES
    assert len(list((tmp_path / "remote" / "keys" / "a").iterdir())) == 1
    flip(copies[1], 1)
    assert content(other.path("a")) == FILES
    with pytest.raises(JobError, match="withdrawn"):
        ArtifactStore(tmp_path / "4", url).path("a")


def test_damage_on_the_way_is_no_damage(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(ArtifactStore(tmp_path / "1", url), "a")
    get, damaged = RemoteArtifacts._get, iter([True])

    def get_damaged(self: RemoteArtifacts, name: str, file: Path) -> None:
        get(self, name, file)
        if next(damaged, False):
            flip(file, 0)

    monkeypatch.setattr(RemoteArtifacts, "_get", get_damaged)
    other = ArtifactStore(tmp_path / "2", url)
    assert content(other.path("a")) == FILES and next(damaged, None) is None and other.remote is not None
    assert other.remote.has("a")


def test_a_damaged_copy_here_is_downloaded_anew(tmp_path: Path, url: str) -> None:
    commit(ArtifactStore(tmp_path / "1", url), "a")
    flip(tmp_path / "1" / "a" / "weights" / "x.npy", 2)
    assert content(ArtifactStore(tmp_path / "1", url).path("a")) == FILES
    flip(tmp_path / "1" / "a" / "weights" / "x.npy", 2)
    assert content(ArtifactStore(tmp_path / "1").path("a")) != FILES  # as is read once a process


@pytest.mark.parametrize("name", ["../../escaped", "/tmp/escaped", "", 5])
def test_a_record_that_leads_out_of_the_folder_is_damage(tmp_path: Path, url: str, name: object) -> None:
    commit(ArtifactStore(tmp_path / "1", url), "a")
    body = canonical_json(name if name == 5 else {str(name): "0" * 64}).encode()
    remote_file(tmp_path, "keys/a/*").write_bytes(hashlib.sha256(body).hexdigest().encode() + b"\n" + body + b"\n")
    for place in (tmp_path / "remote" / "files").glob("*/a"):
        (place / "../../escaped").resolve().write_bytes(b"x")
    other = ArtifactStore(tmp_path / "2", url)
    with pytest.raises(JobError, match="which is no file of an artifact; artifact a is withdrawn"):
        other.path("a")
    assert not list((tmp_path / "2").iterdir()) and not (tmp_path / "escaped").exists() and not other.has("a")


def test_what_was_made_before_there_was_a_url_is_uploaded_when_asked_for(tmp_path: Path, url: str) -> None:
    here, plain = ArtifactStore(tmp_path / "1", url), ArtifactStore(tmp_path / "1")
    commit(plain, "a", "b")
    fill_old = tmp_path / "1" / "old"
    fill_old.mkdir()
    fill(fill_old)
    flip(tmp_path / "1" / "b" / "weights" / "x.npy", 2)
    for key in ("a", "a", "old"):
        here.share(key)
    assert len(list((tmp_path / "remote" / "sets").iterdir())) == 2
    with pytest.raises(JobError, match=r"x\.npy is damaged"):
        here.share("b")
    here.share("none")
    plain.share("a")
    other = ArtifactStore(tmp_path / "2", url)
    assert other.among(["a", "b", "old", "none"]) == {"a", "old"}
    assert content(other.path("a")) == content(other.path("old")) == FILES


class Leaves:
    """A plugin whose jobs leave an artifact if nobody has it."""

    def run(self, jobs: list[Job], context: Context) -> Iterator[tuple[Job, Outcome]]:
        """Yield no rows."""
        for job in jobs:
            if not context.artifacts.has(job.key):
                commit(context.artifacts, job.key)
            yield job, {}


def test_a_job_lands_once_its_artifact_is_at_the_url(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job("p", "1", AnyConfig(label="a"), label="a", leaves_artifact=True)
    monkeypatch.setattr("compute.engine.runner.load_plugin", lambda name: Leaves())
    commit(ArtifactStore(tmp_path / "1"), job.key)  # by a task that was killed, or before there was a URL

    def run(place: str) -> list[Event]:
        events: list[Event] = []
        workplace = Workplace(tmp_path / "landing", tmp_path / "1", artifacts_url=place)
        run_batch(Batch("b", (job,)), workplace, events.append)
        return [event for event in events if event.job_key]

    (tmp_path / "file").touch()
    (failed,) = run(f"file://{tmp_path}/file")
    assert failed.kind == "failed" and f"a: artifacts at file://{tmp_path}/file: cannot be " in failed.text
    assert not Landing(tmp_path / "landing").landed_keys()
    (landed,) = run(url)
    assert landed.kind == "landed" and RemoteArtifacts(url).has(job.key)


def test_a_plan_knows_what_is_at_the_url(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny, landing = read_study(TINY), Landing(tmp_path / "landing")
    jobs = study_jobs(tiny)
    scoring = next(job for job in jobs.values() if getattr(job.config, "step", None) == "score")
    landed = set(jobs) - {scoring.key}
    commit(ArtifactStore(tmp_path / "1", url), *(key for key in landed if jobs[key].leaves_artifact))
    assert set(make_plan(tiny, landing, ArtifactStore(tmp_path / "2", url), landed).pending) == {scoring.key}
    assert len(make_plan(tiny, landing, ArtifactStore(tmp_path / "2"), landed).pending) == 4
    monkeypatch.setattr(RemoteArtifacts, "_open", None)
    assert not make_plan(tiny, landing, ArtifactStore(tmp_path / "2", url), set(jobs)).pending


# ---- the URL ----


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("s3://bucket/a/", "s3://bucket/a"),
        ("/shared/artifacts", "file:///shared/artifacts"),
        ("sftp://me@host:22/a", "sftp://me@host:22/a"),
        ("memory://a", "memory://a"),
    ],
)
def test_urls_that_are_taken(text: str, meant: str) -> None:
    assert checked_url(text) == meant


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sftq://host/a", "unknown protocol 'sftq'; did you mean 'sftp'?"),
        ("artifacts", "expected one URL such as s3://bucket/folder, or a path from / that all nodes share"),
        ("''", "expected one URL such as"),
        ("s3://", "expected one URL such as"),
        ("simplecache::s3://bucket/a", "expected one URL such as"),
        ("file://shared/a", "expected file:/// and a path from /, which is the same on all nodes"),
        ("s3://AKIA:sec/ret@bucket/a", "expected a URL without a password or token"),
        ("abfs://box@account/a?sig=secret", "expected a URL without a password or token"),
    ],
)
def test_urls_that_are_refused_with_their_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    CLUSTER.write_text(f"gpus: 2\nartifacts: {text}\n")
    with pytest.raises(UserError) as raised:
        read_cluster()
    assert str(raised.value).startswith(f"cluster.yml:2: artifacts: {said}")
    assert "sec" not in str(raised.value) and "\n" not in str(raised.value)
    assert main(["plan", "--study", str(TINY)]) == 2
    assert capsys.readouterr().err == f"transfer: {raised.value}\n"


def test_a_url_that_is_no_good_ends_a_run_before_any_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "s3fs", None)
    (tmp_path / "file").touch()

    def told(place: str, *verb: str) -> str:
        CLUSTER.write_text(f"artifacts: {place}\n")
        assert main([*verb]) == (1 if verb == ("doctor",) else 2)
        said = capsys.readouterr()
        return said.err or next(line for line in said.out.splitlines(keepends=True) if "artifacts" in line)

    compute = ("compute", "--study", str(TINY), "--device", "cpu")
    missing = "artifacts at s3://bucket/a: a package is missing: Install s3fs to access S3\n"
    assert told("s3://bucket/a", *compute) == f"transfer: {missing}"
    assert told("s3://bucket/a", *compute, "--part", "1/2") == f"transfer: {missing}"
    assert told("s3://bucket/a", "doctor") == f"TODO  artifacts  {missing}"
    refused = told(f"{tmp_path}/file", *compute)
    assert refused.startswith(f"transfer: artifacts at file://{tmp_path}/file: cannot be written: ")
    assert refused.count("\n") == 1 and not (tmp_path / "landing" / "jobs").exists()
    CLUSTER.write_text(f"artifacts: {tmp_path}/remote\n")
    main(["doctor"])
    assert f"ok    artifacts  file://{tmp_path}/remote: can be written and read\n" in capsys.readouterr().out


def test_what_computes_nothing_goes_on_without_the_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "s3fs", None)
    CLUSTER.write_text("artifacts: s3://bucket/a\n")
    leaves = next(job for job in study_jobs(read_study(TINY)).values() if job.leaves_artifact)
    record = {"job_key": leaves.key, "plugin": leaves.plugin, "label": leaves.label, "config": "{}", "attempts": 1}
    Landing(tmp_path / "landing").write(
        leaves.key, {}, record | {"state": "landed", "finished_at": datetime(2026, 1, 1)}
    )
    for verb in ("plan", "status"):
        assert main([verb, "--study", str(TINY)]) == 0
        said = capsys.readouterr()
        assert "Install s3fs to access S3; what is not in artifacts/ is taken to be there\n" in said.err
        assert leaves.key[:8] not in said.out and "to run\n" in said.out
    assert main(["prune"]) == 0
    assert "s3://bucket/a: what is kept there is left, for other projects may use it" in capsys.readouterr().out


class Leaky(fsspec.AbstractFileSystem):  # type: ignore[misc]
    """A bucket that fails as it is told to, with all it knows."""

    protocol = "leaky"
    error: Exception
    made: list[str]
    asked = 0

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return path.removeprefix("leaky://")

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Count it."""
        self.made.append(path)

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **options: Any) -> None:
        """Fail."""
        type(self).asked += 1
        raise self.error

    put_file = pipe_file


@pytest.fixture
def leaky(monkeypatch: pytest.MonkeyPatch) -> type[Leaky]:
    fsspec.register_implementation("leaky", Leaky, clobber=True)
    monkeypatch.setitem(
        fsspec.config.conf, "leaky", {"secret": "hunter2", "client": {"api_Token": "abc123", "region": "north"}}
    )
    Leaky.made, Leaky.asked = [], 0
    return Leaky


@pytest.mark.parametrize(
    ("error", "told", "tries"),
    [
        (ConnectionError("timeout"), "timeout", 3),
        (PermissionError("hunter2 of north, abc123, may not write"), "*** of north, ***, may not write", 1),
        (FileNotFoundError("no bucket box"), "no bucket box", 1),
        (OSError("https://me:abc123@host/box?sig=xyz&x=1 says 403\nmore"), "https://***host/box?*** says 403", 3),
    ],
)
def test_errors_are_one_line_without_secrets_and_buckets_are_not_made(
    leaky: type[Leaky], tmp_path: Path, error: Exception, told: str, tries: int
) -> None:
    leaky.error = error
    fill(tmp_path)
    (tmp_path / ".sha256").touch()
    with pytest.raises(RemoteFailure) as raised:
        RemoteArtifacts("leaky://box/a").upload({"k": tmp_path})
    assert str(raised.value) == f"artifacts at leaky://box/a: cannot be written: {told}"
    assert leaky.asked == tries and not leaky.made
    leaky.asked = 0
    with pytest.raises(RemoteFailure, match="cannot be written"):
        RemoteArtifacts("leaky://box/a").check()
    assert leaky.asked == 1


def test_what_fails_for_a_moment_is_tried_again(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from fsspec.implementations.local import LocalFileSystem

    put, failing = LocalFileSystem.put_file, iter([ConnectionResetError("reset"), TimeoutError("slow")])
    dead: list[LocalFileSystem] = []

    def put_late(self: LocalFileSystem, *arguments: Any, **options: Any) -> None:
        if any(self is one for one in dead):
            raise ConnectionError("a dead connection")
        if (error := next(failing, None)) is not None:
            dead.append(self)
            raise error
        put(self, *arguments, **options)

    monkeypatch.setattr(LocalFileSystem, "put_file", put_late)
    commit(ArtifactStore(tmp_path / "1", url), "a")
    assert len(dead) == 2 and content(ArtifactStore(tmp_path / "2", url).path("a")) == FILES


def test_who_reads_what_another_has_written_sees_the_same_place(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sight = RemoteArtifacts(url).check()
    assert RemoteArtifacts(url).check() == sight and RemoteArtifacts(url).sees(sight)
    assert not RemoteArtifacts(f"{url}2").sees(sight)
    monkeypatch.chdir(tmp_path)
    assert RemoteArtifacts(url).check() != sight
    remote_file(tmp_path, f"seen/{sight}").write_text("another")
    assert not RemoteArtifacts(url).sees(sight)
