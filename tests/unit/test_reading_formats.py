"""Files taken for what they are not: told, rather than read as something else."""

from __future__ import annotations

import gzip
import struct
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
