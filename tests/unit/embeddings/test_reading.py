"""Files of word vectors: read as gensim reads them, whatever the format, and refused clearly where they are damaged."""

from __future__ import annotations

import gzip
import io
import pickle
import struct
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
from gensim.models import FastText, KeyedVectors
from gensim.models.fasttext import save_facebook_model
from hypothesis import given, settings
from hypothesis import strategies as st

from compute.embeddings.download import download
from compute.embeddings.formats import stream, text
from compute.embeddings.reading import read_stream, read_vectors
from compute.embeddings.vectors import Vectors
from compute.embeddings.writing import export_mapping, write_word2vec_text
from compute.errors import JobError
from compute.store.digests import content_digest

WORDS = ["uno", "cuarenta y ocho", "dix-sept", "ноль"]
LETTERS = st.text(st.characters(exclude_characters="\n\r", exclude_categories=("Cs",)), min_size=1)
ODD_SPACE = ["\u00a0a\u00a0", "b\u3000c", "d\u2028e", "f\tg", "h\ri", "\x85", "\ufeffj", '"k', "#l", "null"]


@pytest.fixture
def four() -> Vectors:
    return Vectors(WORDS, np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32))


def text_file(folder: Path, content: str | bytes, name: str = "v.vec") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def lines(n: int, d: int = 2, start: int = 0) -> str:
    return "".join(f"w{i} {' '.join(f'{i}.{j}' for j in range(d))}\n" for i in range(start, start + n))


def read(path: Path, **options: object) -> Vectors:
    return read_vectors(path, **options)[0]  # type: ignore[arg-type]


# Written and read


@pytest.mark.parametrize("name", ["v.vec", "v.vec.gz"])
def test_what_we_write_is_read_by_us_and_by_gensim(four: Vectors, tmp_path: Path, name: str) -> None:
    write_word2vec_text(four, tmp_path / name)
    ours = read(tmp_path / name)
    theirs = KeyedVectors.load_word2vec_format(str(tmp_path / name))
    assert ours.words == theirs.index_to_key == ["uno", "cuarenta\u00a0y\u00a0ocho", "dix-sept", "ноль"]
    np.testing.assert_array_equal(ours.matrix, theirs.vectors)
    np.testing.assert_allclose(ours.matrix, four.matrix, atol=1e-6)
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]  # no temporary file is left


def test_a_word_that_the_format_cannot_hold_is_not_written(four: Vectors, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'a\\nb'"):
        write_word2vec_text(Vectors(["a\nb"], four.matrix[:1]), tmp_path / "v.vec")
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=40, deadline=None)
@given(
    words=st.lists(
        st.text(st.characters(exclude_characters="\n\r", exclude_categories=("Cs",)), min_size=1),
        min_size=1,
        unique=True,
    ),
    seed=st.integers(0, 1000),
)
def test_any_word_comes_back_whole(words: list[str], seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    # A number after a space would be one number too many.
    words = [word for word in words if text.NUMBER.fullmatch(word.rpartition(" ")[2].encode()) is None] or ["w"]
    matrix = np.random.default_rng(seed).normal(size=(len(words), 3)).astype(np.float32)
    rows = (f"{word} {' '.join(repr(float(x)) for x in row)}" for word, row in zip(words, matrix, strict=True))
    path = text_file(tmp_path_factory.mktemp("words"), f"{len(words)} 3\n" + "\n".join(rows) + "\n")
    found = read(path)
    assert found.words == words
    np.testing.assert_array_equal(found.matrix, matrix)


def test_words_of_odd_white_space_are_whole_at_once_and_line_by_line(tmp_path: Path) -> None:
    text = "".join(f"{word} 1.5 {i}.25\n" for i, word in enumerate(ODD_SPACE))
    regular = read(text_file(tmp_path, f"{len(ODD_SPACE)} 2\n{text}", "regular.vec"))
    spaced = read(text_file(tmp_path, f"{len(ODD_SPACE) + 1} 2\nNew York 1.5 2.5\n{text}", "spaced.vec"))
    assert regular.words == ODD_SPACE
    assert spaced.words == ["New York", *ODD_SPACE]
    np.testing.assert_array_equal(regular.matrix, spaced.matrix[1:])
    np.testing.assert_array_equal(regular.matrix[:, 1], np.arange(len(ODD_SPACE), dtype=np.float32) + 0.25)


@pytest.mark.parametrize(
    "content",
    [
        b"2 2\na 1.5 2\n\xc3\xa9 -3e-1 4\n",
        b"a 1.5 2\n\xc3\xa9 -3e-1 4\n",  # GloVe has no header
        b"2 2\na 1.5 2 \n\xc3\xa9 -3e-1 4 \n",  # word2vec and fastText end a line with a space
        b"2 2\r\na 1.5 2\r\n\xc3\xa9 -3e-1 4\r\n",
        b"\xef\xbb\xbf2 2\na 1.5 2\n\xc3\xa9 -3e-1 4",  # no line end at the end
        b"2 2\na 1.5 2\n\n\xc3\xa9 -3e-1 4\n\n",
    ],
)
def test_the_shapes_that_text_comes_in(content: bytes, tmp_path: Path) -> None:
    for packed in (content, gzip.compress(content)):  # gzip is told by content, not by name
        found, notes = read_vectors(text_file(tmp_path, packed))
        assert found.words == ["a", "é"]
        np.testing.assert_array_equal(found.matrix, np.array([[1.5, 2], [-0.3, 4]], dtype=np.float32))
        assert (notes.file_format, notes.words, notes.malformed) == ("text", 2, 0)


def test_glove_words_with_spaces_are_whole_without_a_header(tmp_path: Path) -> None:
    text = "the 0.1 0.2\n. . . 0.3 0.4\nat name@domain.com 0.5 0.6\n"
    assert read(text_file(tmp_path, text)).words == ["the", ". . .", "at name@domain.com"]


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("line_ends", [False, True])
def test_word2vec_binary(four: Vectors, tmp_path: Path, zipped: bool, line_ends: bool) -> None:
    words = ["uno", "dos", "tres", "ноль"]
    keyed = KeyedVectors(3)
    keyed.add_vectors(words, four.matrix)
    path = tmp_path / "v.bin"
    keyed.save_word2vec_format(str(path), binary=True)
    if line_ends:  # as the original program writes
        body = b"".join(w.encode() + b" " + row.tobytes() + b"\n" for w, row in zip(words, four.matrix, strict=True))
        path.write_bytes(b"4 3\n" + body)
    if zipped:
        path.write_bytes(gzip.compress(path.read_bytes()))
    found, notes = read_vectors(path, vocabulary=3)
    assert found.words == words[:3] and notes.file_format == "binary"
    np.testing.assert_array_equal(found.matrix, four.matrix[:3])
    assert len(read(path)) == 4


def test_a_fasttext_model_is_read_through_gensim(tmp_path: Path) -> None:
    model = FastText([["one", "two", "three"]] * 30, vector_size=6, min_count=1, bucket=50, epochs=1, workers=1)
    save_facebook_model(model, str(tmp_path / "m.bin"))
    found, notes = read_vectors(tmp_path / "m.bin", vocabulary=2)
    assert notes.file_format == "fasttext" and found.words == model.wv.index_to_key[:2]
    np.testing.assert_allclose(found.matrix, model.wv.vectors[:2], atol=1e-6)
    with pytest.raises(ValueError, match="not a fastText model"):
        read_vectors(text_file(tmp_path, struct.pack("<i", 793712314) + b"\x00" * 5, "cut.bin"))


# Limits and folding


def test_a_limit_reads_no_more_than_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "BLOCK_BYTES", 256)
    content = f"20000 2\n{lines(20_000)}".encode()

    class Counted(io.BytesIO):
        taken = 0

        def read(self, size: int | None = -1) -> bytes:
            found = super().read(size)
            Counted.taken += len(found)
            return found

    found, notes = read_stream(Counted(content), "v", vocabulary=10)
    assert found.words == [f"w{i}" for i in range(10)] and notes.words == 10
    assert Counted.taken < 20_000 < len(content) / 10


def test_folding_keeps_the_first_of_equal_words_and_counts_the_rest(tmp_path: Path) -> None:
    path = text_file(tmp_path, "5 1\nThe 1\nthe 2\ncat 3\nTHE 4\nCat 5\n")
    found, notes = read_vectors(path, fold=str.lower)
    assert found.words == ["the", "cat"] and notes.repeated == 3
    np.testing.assert_array_equal(found.matrix.ravel(), [1, 3])
    limited, notes = read_vectors(path, vocabulary=2, fold=str.lower)
    assert limited.words == ["the", "cat"] and notes.repeated == 1  # what comes after the limit is not looked at
    assert read_vectors(path)[1].repeated == 0


def test_blocks_do_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"60 3\n{lines(30, 3)}New York 0.5 0.5 0.5\n{lines(29, 3, start=30)}"
    whole = read(text_file(tmp_path, text))
    for size in (7, 64, 500):
        monkeypatch.setattr(stream, "BLOCK_BYTES", size)
        found = read(tmp_path / "v.vec")
        assert found.words == whole.words
        np.testing.assert_array_equal(found.matrix, whole.matrix)


# Damage


def test_malformed_lines_are_left_out_counted_and_named(tmp_path: Path) -> None:
    bad = "short 1.0\nlong 1.0 2.0 3.0\nletters 1.0 x\n 1.0 2.0\n"
    content = f"1004 2\n{lines(500)}{bad}{lines(500, start=500)}".encode().replace(b"w7 ", b"w\xff ")
    found, notes = read_vectors(text_file(tmp_path, content))
    assert len(found) == 999 and found.words[:8] == ["w0", "w1", "w2", "w3", "w4", "w5", "w6", "w8"]
    assert notes.malformed == 5
    assert notes.malformed_lines == (
        "line 9: the word is not UTF-8",
        "line 502: expected a word and 2 numbers, found 2 fields",
        "line 503: expected 2 numbers, found 3 or more",
        "line 504: b'x' is not a number",
        "line 505: no word before the numbers",
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "empty"),
        ("\n\n", "line 1: expected a word and its numbers"),
        ("2 2\n", "line 2: expected a word and its numbers"),
        ("just prose, and no vectors\n", "line 1: expected a word and its numbers"),
        ("2 2\na 1 2\nb 1\n", "line 3: expected a word and 2 numbers"),
        ("2 2\na 1 2\nb 1 2 3\n", "line 3: expected 2 numbers, found 3"),
        ("2 2\na 1 2\nb 1 x\n", "line 3: b'x' is not a number"),
        ("3 2\na 1 2\nb 1 2\n", r"promises 3 words, the file has 2 \(is it cut off\?\)"),
        ("1 2\na 1 2\nb 1 2\n", "promises 1 words, the file has 2"),
        ("2 2\na 1 2\nb nan 2\n", "line 3: the vector of 'b' has NaN"),
        ("2 2\na 1 2\nb 1e99 2\n", "line 3: the vector of 'b' has NaN or infinity"),
        ("New York 1.0 2.0\nb inf 2.0\n", "line 2: the vector of 'b'"),
        ("2 3\na 1 2\nb 1 2\n", "line 1 says 3 dimensions, but line 2 has 2 numbers"),
    ],
)
def test_damaged_text_is_refused_with_file_and_place(tmp_path: Path, text: str, expected: str) -> None:
    path = text_file(tmp_path, text)
    with pytest.raises(ValueError, match=expected) as error:
        read_vectors(path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)


def test_a_limit_beyond_what_the_header_promises_does_not_hide_that_there_are_more(tmp_path: Path) -> None:
    path = text_file(tmp_path, "1 2\na 1 2\nb 1 2\nc 1 2\n")
    assert read_vectors(path, vocabulary=1)[0].words == ["a"]
    with pytest.raises(ValueError, match="line 1 promises 1 words, the file has 2 or more"):
        read_vectors(path, vocabulary=2)


def test_a_file_cut_off_is_refused_unless_the_limit_was_reached(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    text = "5000 2\n" + "".join(f"w{i} {x:.6f} {y:.6f}\n" for i, (x, y) in enumerate(rng.normal(size=(5000, 2))))
    zipped = gzip.compress(text.encode())
    path = text_file(tmp_path, zipped[: len(zipped) // 2], "v.vec.gz")
    with pytest.raises(ValueError, match="cut off") as error:
        read_vectors(path)
    assert str(path) in str(error.value)
    damaged = bytearray(zipped)
    damaged[len(damaged) // 2] ^= 0xFF
    with pytest.raises(ValueError, match=r"damaged|malformed|cut off|promises"):
        read_vectors(text_file(tmp_path, bytes(damaged), "d.vec.gz"))
    binary = b"3 2\n" + b"".join(w + b" " + struct.pack("<2f", 1, 2) for w in (b"a", b"b", b"c"))
    with pytest.raises(ValueError, match="the file ends within word 3"):
        read_vectors(text_file(tmp_path, binary[:-1], "v.bin"))
    assert read(text_file(tmp_path, binary[:-1], "v.bin"), vocabulary=2).words == ["a", "b"]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (pickle.dumps({"a": [1.0]}), "pickle"),
        (gzip.compress(pickle.dumps({"a": [1.0]}), mtime=0), "pickle"),
        (b"\x93NUMPY\x01\x00", "NumPy array"),
        (b"PK\x03\x04 archive", "zip archive"),
    ],
)
@pytest.mark.parametrize("file_format", ["auto", "text", "binary"])
def test_what_is_no_vectors_is_refused_unopened(tmp_path: Path, content: bytes, what: str, file_format: str) -> None:
    with pytest.raises(ValueError, match=what):
        read(text_file(tmp_path, content), file_format=file_format)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damage_anywhere_ends_in_vectors_or_in_one_line(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = data.draw(st.sampled_from([f"20 2\n{lines(20)}".encode(), b"2 1\nab \x00\x00\x80?cd \x00\x00\x80?"]))
    start = data.draw(st.integers(0, len(text) - 1))
    filler = data.draw(
        st.one_of(st.binary(max_size=6), st.sampled_from([b"\n", b" ", b"\r\n", b"nan", b"\xef\xbb\xbf"]))
    )
    damaged = text[:start] + filler + text[start + data.draw(st.integers(0, 30)) :]
    if data.draw(st.booleans()):
        damaged = gzip.compress(damaged)
    path = text_file(tmp_path_factory.mktemp("damage"), damaged)
    try:
        found = read(path, file_format=data.draw(st.sampled_from(["auto", "text", "binary"])))
    except ValueError as error:
        assert str(error).startswith(str(path)) and len(str(error).splitlines()) == 1
    else:
        assert len(set(found.words)) == len(found) > 0 and np.isfinite(found.matrix).all()


# Downloads and digests


class Files(BaseHTTPRequestHandler):
    content = f"20000 2\n{lines(20_000)}".encode()

    def do_GET(self) -> None:
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        length = len(self.content) + (100 if self.path == "/cut" else 0)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Files) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def test_a_download_is_read_as_far_as_needed(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "BLOCK_BYTES", 512)
    with download(f"{server}/v.vec") as opened:
        found, _ = read_stream(opened, "v", vocabulary=5)
        assert len(found) == 5 and 0 < opened.size < 20_000 < len(Files.content)
    with download(f"{server}/v.vec") as opened:
        assert len(read_stream(opened, "v")[0]) == 20_000
        assert opened.size == len(Files.content)


def test_a_download_that_fails_is_one_line(server: str) -> None:
    with pytest.raises(JobError, match=r"/missing answers 404"), download(f"{server}/missing"):
        pass
    with pytest.raises(JobError, match=r"broke off after \d+ bytes.*run again"), download(f"{server}/cut") as stream:
        read_stream(stream, "v")
    with pytest.raises(JobError, match="cannot be reached"), download("http://127.0.0.1:1/v.vec"):
        pass


def test_a_large_files_digest_is_remembered_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pooch  # type: ignore[import-untyped]

    from compute.store import digests

    monkeypatch.setattr(digests, "REMEMBERED_BYTES", 1)
    monkeypatch.setattr(pooch, "os_cache", lambda name: str(tmp_path / "cache"))
    path = text_file(tmp_path, "one")
    first = content_digest(path)
    (note,) = (tmp_path / "cache" / "digests").iterdir()
    with monkeypatch.context() as unread:
        unread.setattr(digests, "sha256_of", lambda path: pytest.fail("read again"))
        assert content_digest(path) == first
        digests._digest.cache_clear()  # as another process
        assert content_digest(path) == first
    note.write_text("damaged")
    digests._digest.cache_clear()
    assert content_digest(path) == first
    path.write_text("other")
    assert content_digest(path) != first


# Export


def test_an_exported_mapping_is_read_by_gensim(four: Vectors, tmp_path: Path) -> None:
    from compute.embeddings.vectors import save_vectors

    save_vectors(four, tmp_path / "artifact" / "source")
    with pytest.raises(ValueError, match=r"no target/vectors\.npy"):
        export_mapping(tmp_path / "artifact", tmp_path / "out", "de", "en")
    save_vectors(Vectors(["a"], four.matrix[:1]), tmp_path / "artifact" / "target")
    source, target = export_mapping(tmp_path / "artifact", tmp_path / "out", "de", "en")
    assert (source.name, target.name) == ("de-en.de.vec", "de-en.en.vec")
    np.testing.assert_allclose(KeyedVectors.load_word2vec_format(str(source)).vectors, four.matrix, atol=1e-6)
    assert KeyedVectors.load_word2vec_format(str(target)).index_to_key == ["a"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("w{i}\t{i}.5 0.25\n", "line 1: expected a word and its numbers, separated by single spaces, found a tab"),
        ("{i} w{i} 0.5 0.25\n", "line 1: expected a word and its numbers, found a line number before the word"),
    ],
)
def test_what_stands_between_word_and_numbers_is_no_part_of_the_word(line: str, expected: str, tmp_path: Path) -> None:
    path = text_file(tmp_path, "".join(line.format(i=i) for i in range(7)))
    with pytest.raises(ValueError, match=expected):
        read_vectors(path)


def test_words_with_tabs_and_numbers_in_them_stay_words(tmp_path: Path) -> None:
    path = text_file(tmp_path, "a\tb 1 2\n1 x 1 2\n2 x 1 2\nc\t1 1 2\n4 x 1 2\n")
    assert read_vectors(path)[0].words == ["a\tb", "1 x", "2 x", "c\t1", "4 x"]
