"""A file that is no UTF-8 text is named as what it is, by whoever reads it."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compute.embeddings.corpora import TextFile
from compute.embeddings.dictionary_files import read_dictionary
from compute.embeddings.reading import read_vectors
from compute.errors import UserError
from compute.importers import read_text
from compute.tasks.reading import read_lines

TEXT = "".join(f"w{i} {i}.5 {i % 3}.25\n" for i in range(30))


def tarred() -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        entry = tarfile.TarInfo("v.vec")
        entry.size = len(TEXT)
        archive.addfile(entry, io.BytesIO(TEXT.encode()))
    return written.getvalue()


def zipped() -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr("v.vec", TEXT)
    return written.getvalue()


KINDS = {
    "tar": (tarred(), "a tar archive"),
    "zip": (zipped(), "a zip archive"),
    "bz2": (bz2.compress(TEXT.encode()), "a bzip2 file"),
    "xz": (lzma.compress(TEXT.encode()), "an xz file"),
    "utf-16": (TEXT.encode("utf-16"), "UTF-16 text"),
    "utf-16 without a mark": (TEXT.encode("utf-16-be"), "UTF-16 text"),
    "utf-32": (TEXT.encode("utf-32"), "UTF-32 text"),
    "html": (b"\n <!DOCTYPE html><html>not found", "a page of HTML"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "a pointer of Git LFS"),
    "parquet": (b"PAR1\x15\x04", "a Parquet file"),
}
READERS: dict[str, Callable[[Path], Any]] = {
    "vectors": read_vectors,
    "a dictionary": lambda path: read_dictionary(path, ("en", "de"), False),
    "a corpus": lambda path: list(TextFile(path, "en")),
    "a task's file": lambda path: list(read_lines(path)),
    "an import": read_text,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reader", READERS)
def test_a_container_is_named(reader: str, kind: str, tmp_path: Path) -> None:
    content, name = KINDS[kind]
    path = tmp_path / "some.txt"
    path.write_bytes(content)
    with pytest.raises((ValueError, UserError), match=name) as told:
        READERS[reader](path)
    assert str(path) in str(told.value) and "\n" not in str(told.value)


@pytest.mark.parametrize("reader", [name for name in READERS if name not in ("vectors", "a corpus")])
def test_a_gzipped_file_is_named_where_it_is_not_read(reader: str, tmp_path: Path) -> None:
    path = tmp_path / "some.txt"
    path.write_bytes(gzip.compress(TEXT.encode()))
    with pytest.raises((ValueError, UserError), match=r"a gzipped file: unpack it \(gunzip\)"):
        READERS[reader](path)
