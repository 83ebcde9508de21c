"""A cataloged file comes from the mirror, the cache or the network, and is what the catalog says wherever it was."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from compute.catalog import MIRROR_VARIABLE, CatalogedFile, HubFile, digest, entries, fetch, files, find
from compute.errors import UserError
from compute.names import UnknownName

CONTENT = b"Im Anfang war das Wort\n"
FILE = CatalogedFile(
    "some/texts", "0" * 40, "Bibles/Luther 1912 (german).txt", len(CONTENT), hashlib.sha256(CONTENT).hexdigest(), "none"
)


@pytest.fixture(autouse=True)
def without_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(MIRROR_VARIABLE, raising=False)
    monkeypatch.setattr(entries, "GITHUB", "http://127.0.0.1:9")  # the port of `discard`: nothing listens


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    path = tmp_path / "mirror" / FILE.key
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    return tmp_path / "mirror"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def address(mirror: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(mirror)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_the_catalog_is_well_formed() -> None:
    every = [entry for repository in entries._catalog() for entry in files(repository)]
    assert len({entry.key for entry in every}) == len(every)
    for entry in every:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", entry.repository)
        assert re.fullmatch("[0-9a-f]{40}", entry.commit)
        assert re.fullmatch("[0-9a-f]{64}", entry.sha256)
        assert entry.bytes > 0 and entry.licence


def test_a_file_is_found_and_a_wrong_name_gets_the_nearest() -> None:
    found = find("dadelani/sib-200", "data/annotated/deu_Latn/test.tsv")
    assert found.url.endswith(f"/dadelani/sib-200/{found.commit}/data/annotated/deu_Latn/test.tsv")
    with pytest.raises(UnknownName, match="did you mean 'dadelani/sib-200'"):
        find("dadelani/sib200", "LICENSE")
    with pytest.raises(UnknownName, match=r"did you mean 'data/annotated/deu_Latn/test\.tsv'"):
        find("dadelani/sib-200", "data/annotated/deu_Latn/tests.tsv")


def test_a_directory_is_a_mirror(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MIRROR_VARIABLE, str(mirror))
    assert fetch(FILE) == mirror / FILE.key


def test_another_content_in_the_mirror_is_refused(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MIRROR_VARIABLE, str(mirror))
    fetch(FILE)  # so that a digest is remembered
    (mirror / FILE.key).write_bytes(b"something else entirely")
    found = hashlib.sha256(b"something else entirely").hexdigest()
    with pytest.raises(UserError, match=rf"german\)\.txt: sha256 {found}, expected {FILE.sha256}"):
        fetch(FILE)


def test_a_mirror_that_is_no_directory_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MIRROR_VARIABLE, "/no/such/place")
    with pytest.raises(UserError, match="TRANSFER_MIRROR: no directory /no/such/place"):
        fetch(FILE)


def test_an_address_is_a_mirror_and_the_cache_outlives_it(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MIRROR_VARIABLE, address + "/")
    first = fetch(FILE)
    assert first.read_bytes() == CONTENT
    monkeypatch.delenv(MIRROR_VARIABLE)
    assert fetch(FILE) == first
    assert [path.name for path in first.parent.iterdir()] == [first.name]


def test_another_content_at_an_address_is_refused_and_not_kept(
    address: str, mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MIRROR_VARIABLE, address)
    (mirror / FILE.key).write_bytes(b"something else")
    with pytest.raises(UserError, match=rf"{address}/some/texts/\S+: sha256 \w+, expected {FILE.sha256}"):
        fetch(FILE)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_a_damaged_file_in_the_cache_is_fetched_again(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MIRROR_VARIABLE, address)
    path = fetch(FILE)
    path.write_bytes(CONTENT[:5])
    assert fetch(FILE).read_bytes() == CONTENT


def test_what_is_nowhere_is_a_line_that_says_what_to_do(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError) as nowhere:
        fetch(FILE)
    assert str(nowhere.value).startswith(f"{FILE.key}: not in the cache, and http://127.0.0.1:9/some/texts/0")
    assert "Luther%201912%20%28german%29.txt cannot be reached" in str(nowhere.value)
    assert str(nowhere.value).endswith("set TRANSFER_MIRROR to a directory or base URL that has it under that path")
    monkeypatch.setenv(MIRROR_VARIABLE, address + "/wrong")
    with pytest.raises(UserError, match=rf"not in the mirror {address}/wrong nor in the cache, and \S+ answers 404; "):
        fetch(FILE)


def test_a_file_of_the_hub_comes_from_the_mirror_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def hub(repository: str, path: str, *, repo_type: str, revision: str) -> str:
        asked.append((repository, path, repo_type, revision))
        raise LocalEntryNotFoundError("no network")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", hub)
    entry = HubFile("someone/benchmark", "main", "ar/test.parquet", "CC0-1.0")
    with pytest.raises(UserError, match=r"https://\S+/someone/benchmark/resolve/main/ar/test\.parquet cannot be reac"):
        fetch(entry)
    assert asked == [("someone/benchmark", "ar/test.parquet", "dataset", "main")]
    path = tmp_path / "mirror/someone/benchmark/main/ar/test.parquet"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"rows")
    monkeypatch.setenv(MIRROR_VARIABLE, str(tmp_path / "mirror"))
    assert fetch(entry) == path
    assert len(asked) == 1


def test_a_digest_depends_on_the_files_and_the_rules_alone() -> None:
    other = find("dadelani/sib-200", "LICENSE")
    assert digest([FILE, other], "1") == digest([FILE, other], "1")
    assert len({digest([FILE, other], "1"), digest([other, FILE], "1"), digest([FILE], "1"), digest([FILE], "2")}) == 4
