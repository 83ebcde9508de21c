"""Files taken for what they are not: told, rather than read as something else."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest
from gensim.models import FastText
from gensim.models.fasttext import save_facebook_model

from compute.embeddings.formats.fasttext import MAGIC
from compute.embeddings.reading import read_vectors
from compute.embeddings.settings import VectorFormat

LINES = "".join(f"w{i} {i}.5 0.25 -1.0\n" for i in range(20))


@pytest.mark.parametrize(
    ("text", "file_format", "expected"),
    [
        (LINES.replace(" ", "  "), "auto", "line 1: expected a word and its numbers, separated by single spaces"),
        ("20 3\n" + LINES.replace(" ", "  "), "auto", "line 2: expected a word and its numbers, separated by single"),
        ("20 3\n" + LINES.replace(" ", "\t"), "auto", "line 2: expected a word and its numbers, separated by single"),
        ("20 3\n" + LINES, "binary", "text, which cannot be read with `format: binary`"),
    ],
)
def test_text_that_is_not_what_it_is_taken_for_is_refused(
    tmp_path: Path, text: str, file_format: VectorFormat, expected: str
) -> None:
    path = tmp_path / "v.vec"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"v.vec: {expected}"):
        read_vectors(path, file_format)


@pytest.mark.parametrize("header", ["", "20 3\n"])
@pytest.mark.parametrize("blank", ["\n", "\r\n \n", "\n" * 150])
def test_text_may_begin_with_blank_lines(tmp_path: Path, header: str, blank: str) -> None:
    (tmp_path / "v.vec").write_bytes(f"{header}{blank}{LINES}".encode())
    found, notes = read_vectors(tmp_path / "v.vec")
    assert notes.file_format == "text" and found.words == [f"w{i}" for i in range(20)]
    np.testing.assert_array_equal(found.matrix[:, 0], np.arange(20, dtype=np.float32) + 0.5)


def test_a_zipped_fasttext_model_is_to_be_unzipped(tmp_path: Path) -> None:
    (tmp_path / "m.bin.gz").write_bytes(gzip.compress(MAGIC + bytes(20)))
    with pytest.raises(ValueError, match=r"m\.bin\.gz: a fastText model is read from a file only, unzipped"):
        read_vectors(tmp_path / "m.bin.gz")


def test_of_a_fasttext_model_the_word_that_is_not_finite_is_told(tmp_path: Path) -> None:
    model = FastText([["one", "two", "two"]] * 5, vector_size=4, min_count=1, epochs=1, bucket=10)
    model.wv.vectors_vocab[model.wv.key_to_index["one"]] = np.inf
    save_facebook_model(model, str(tmp_path / "m.bin"))
    with pytest.raises(ValueError, match=r"m\.bin: word 2: the vector of 'one' has NaN or infinity"):
        read_vectors(tmp_path / "m.bin")


@pytest.mark.parametrize("file_format", ["auto", "fasttext"])
def test_a_fasttext_model_that_is_cut_off_or_promises_too_much_is_refused(
    tmp_path: Path, file_format: VectorFormat
) -> None:
    model = FastText([["one", "two", "two"]] * 5, vector_size=4, min_count=1, epochs=1, bucket=10)
    path = tmp_path / "m.bin"
    save_facebook_model(model, str(path))
    whole = path.read_bytes()
    matrix = whole.index(b"one\0") + len("one\0") + 9  # after the last word's count and kind
    for damaged, expected in (
        (whole[:60], "cut off"),
        (whole[:95], r"it promises 2 words, and ends within word 1 \(is it cut off\?\)"),
        (whole[: matrix - 2], "ends within word 2"),
        (whole[: matrix + 60], r"it promises 12 x 4 numbers, more than are in it \(is it cut off\?\)"),
        (whole[: matrix + 1] + struct.pack("<2q", 1 << 60, 4) + whole[matrix + 17 :], "more than are in it"),
        (whole[:matrix] + b"\1" + whole[matrix + 1 :], "its vectors are compressed"),
        (whole[:40] + struct.pack("<i", -5) + whole[44:], "m.bin: not a fastText model"),  # buckets
    ):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=expected):
            read_vectors(path, file_format)


ODD_LINES = {
    "a bare word": "</s>",
    "a comment": "# made by hand",
    "decimal commas": "w 0,5 0,25 -1,0",
    "a list": "w [0.5, 0.25, -1.0]",
    "sparse numbers": "w 0:0.5 2:-1.0",
    "too few": "w 1",
}


@pytest.mark.parametrize("place", [0, 7])
@pytest.mark.parametrize("odd", ODD_LINES)
def test_one_odd_line_does_not_decide_the_format(tmp_path: Path, odd: str, place: int) -> None:
    lines = [f"w{i} {i}.5 0.25 -1.0" for i in range(150)]
    lines.insert(place, ODD_LINES[odd])
    (tmp_path / "v.vec").write_text("\n".join(["151 3", *lines]))
    found, notes = read_vectors(tmp_path / "v.vec")
    assert (notes.file_format, len(found), notes.malformed) == ("text", 150, 1)


@pytest.mark.parametrize("odd", ["decimal commas", "a list", "sparse numbers"])
def test_text_of_another_kind_is_not_read_as_binary(tmp_path: Path, odd: str) -> None:
    (tmp_path / "v.vec").write_text("150 3\n" + f"{ODD_LINES[odd]}\n" * 150, encoding="utf-8")
    with pytest.raises(
        ValueError, match=r"v\.vec: line 2: expected a word and its numbers, separated by single spaces"
    ):
        read_vectors(tmp_path / "v.vec")


def test_binary_is_told_however_much_of_it_looks_like_text(tmp_path: Path) -> None:
    matrix = np.random.default_rng(0).normal(size=(50, 8)).astype("<f4")
    body = b"".join(f"1.5_{i}.25_w{i} ".encode() + row.tobytes() for i, row in enumerate(matrix))
    (tmp_path / "v.bin").write_bytes(b"50 8\n" + body)
    found, notes = read_vectors(tmp_path / "v.bin")
    assert notes.file_format == "binary" and len(found) == 50
    (tmp_path / "v.bin").write_bytes(b"40 8\n" + body)
    with pytest.raises(ValueError, match="line 1 promises 40 words, but the file goes on after them"):
        read_vectors(tmp_path / "v.bin")


def tarred(content: bytes) -> bytes:
    found = io.BytesIO()
    with tarfile.open(fileobj=found, mode="w") as archive:
        entry = tarfile.TarInfo("v.vec")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return found.getvalue()


CONTAINERS: dict[str, tuple[bytes, str]] = {
    "tar": (tarred(LINES.encode()), "a tar archive"),
    "tar.gz": (gzip.compress(tarred(LINES.encode())), "a tar archive"),
    "twice": (gzip.compress(gzip.compress(LINES.encode())), "a gzipped file within a gzipped one"),
    "bz2": (bz2.compress(LINES.encode()), "a bzip2 file"),
    "xz": (lzma.compress(LINES.encode()), "an xz file"),
    "zstd": (b"\x28\xb5\x2f\xfd\x24" + bytes(30), "a zstd file"),
    "UTF-16 with its mark": (LINES.encode("utf-16"), "UTF-16 text"),
    "UTF-16 without": (("20 3\n" + LINES).encode("utf-16-le"), "UTF-16 text"),
    "UTF-16, big end first": (("20 3\n" + LINES).encode("utf-16-be"), "UTF-16 text"),
    "HTML": (b"\n<!DOCTYPE html><html>Not found</html>", "a page of HTML or XML"),
    "Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n", "a pointer of Git LFS"),
    "zip": (b"PK\x03\x04" + bytes(30), "a zip archive"),
}


@pytest.mark.parametrize("file_format", ["auto", "text", "binary"])
@pytest.mark.parametrize("kind", CONTAINERS)
def test_a_container_is_named_as_what_it_is(tmp_path: Path, kind: str, file_format: VectorFormat) -> None:
    content, name = CONTAINERS[kind]
    (tmp_path / "v.vec").write_bytes(content)
    with pytest.raises(ValueError, match=rf"v\.vec: not word vectors but {name}"):
        read_vectors(tmp_path / "v.vec", file_format)


@pytest.mark.parametrize("header", ["", "20 3\n"])
@pytest.mark.parametrize("zipped", [False, True])
def test_lines_may_end_with_carriage_returns(tmp_path: Path, header: str, zipped: bool) -> None:
    content = (header + LINES).replace("\n", "\r").encode()
    (tmp_path / "v.vec").write_bytes(gzip.compress(content) if zipped else content)
    found, _ = read_vectors(tmp_path / "v.vec")
    assert found.words == [f"w{i}" for i in range(20)]
    np.testing.assert_array_equal(found.matrix[:, 0], np.arange(20, dtype=np.float32) + 0.5)


def labelled(path: Path, model: FastText, has_row: bool) -> None:
    """A model's file with its last word marked as a label, with a row of its own in the matrix or, as fastText writes
    it, without."""
    save_facebook_model(model, str(path))
    data = bytearray(path.read_bytes())
    size, words, _ = struct.unpack_from("<3i", data, 64)
    struct.pack_into("<3i", data, 64, size, words - 1, 1)
    at = 64 + struct.calcsize("<3i2q")
    for _ in range(size):
        end = data.index(b"\0", at)
        at = end + 10
    data[end + 9] = 1
    rows, dimension = struct.unpack_from("<2q", data, at + 1)
    if not has_row:
        struct.pack_into("<2q", data, at + 1, rows - 1, dimension)
        row = at + 17 + 4 * dimension * (size - 1)
        del data[row : row + 4 * dimension]
    path.write_bytes(data)


@pytest.mark.parametrize("has_row", [False, True])
def test_an_entry_that_is_a_label_is_no_word(tmp_path: Path, has_row: bool) -> None:
    sentences = [["one", "two", "three"]] * 30 + [["one", "__label__"]] * 5
    model = FastText(sentences, vector_size=6, min_count=1, bucket=50, epochs=1, workers=1)
    assert model.wv.index_to_key[-1] == "__label__"
    labelled(tmp_path / "m.bin", model, has_row)
    found, notes = read_vectors(tmp_path / "m.bin")
    assert notes.file_format == "fasttext" and found.words == model.wv.index_to_key[:-1]
    np.testing.assert_allclose(found.matrix, model.wv.vectors[:-1], atol=1e-6)


def test_a_classifier_is_no_word_vectors(tmp_path: Path) -> None:
    model = FastText([["one", "two"]] * 5, vector_size=4, min_count=1, epochs=1, bucket=10)
    save_facebook_model(model, str(tmp_path / "m.bin"))
    data = bytearray((tmp_path / "m.bin").read_bytes())
    struct.pack_into("<i", data, 8 + 4 * 7, 3)
    (tmp_path / "m.bin").write_bytes(data)
    with pytest.raises(ValueError, match=r"m\.bin: not a fastText model that can be read: it is a classifier"):
        read_vectors(tmp_path / "m.bin")


@pytest.mark.parametrize("file_format", ["auto", "fasttext"])
def test_models_of_before_2017_are_told_by_their_settings(tmp_path: Path, file_format: VectorFormat) -> None:
    """They have neither the magic number and version, nor pruned n-grams, nor a mark of compression."""
    model = FastText([["one", "two", "three"]] * 30, vector_size=6, min_count=1, bucket=50, epochs=1, workers=1)
    save_facebook_model(model, str(tmp_path / "new.bin"))
    data = (tmp_path / "new.bin").read_bytes()
    at = 64 + struct.calcsize("<3i2q")
    for _ in range(3):
        at = data.index(b"\0", at) + 10
    counts = struct.calcsize("<3iq")
    (tmp_path / "old.bin").write_bytes(data[8 : 64 + counts] + data[64 + counts + 8 : at] + data[at + 1 :])
    found, notes = read_vectors(tmp_path / "old.bin", file_format)
    assert notes.file_format == "fasttext" and found.words == model.wv.index_to_key
    np.testing.assert_allclose(found.matrix, model.wv.vectors, atol=1e-6)
