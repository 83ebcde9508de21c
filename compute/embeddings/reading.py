"""Reads word vectors from the files people publish: word2vec text and binary, GloVe, fastText.

Text is parsed by polars in blocks of whole lines, so that a limit on the vocabulary reads no more of the file than it
needs, and little more memory is held than the vectors take. A block in which polars finds anything unusual is read
again line by line, which is slower and says what is wrong with which line.
"""

from __future__ import annotations

import gzip
import re
import struct
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, cast

import numpy as np
import polars as pl

from compute.embeddings.settings import VectorFormat
from compute.embeddings.vectors import Matrix, Vectors

FIRST_MALFORMED = 5
"""How many malformed lines are described, not only counted."""

MALFORMED_SHARE = 0.01
"""A file with more malformed lines than this share is not what it claims to be, and is refused."""

_BLOCK_BYTES = 1 << 22
_LONGEST_LINE = 1 << 26
_SAMPLE_LINES = 100
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_GZIP_MAGIC = b"\x1f\x8b"
_FASTTEXT_MAGIC = (793712314).to_bytes(4, "little")
_NOT_VECTORS = {
    b"\x80": "a Python pickle: such files can run code and are never opened",
    b"\x93NUMPY": "a NumPy array, which has no words",
    b"PK\x03\x04": "a zip archive (or what PyTorch or NumPy save as one)",
}
_NUMBER = re.compile(rb"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?(?:nan|inf|infinity)", re.IGNORECASE)

Fold = Callable[[str], str]
FileFormat = Literal["text", "binary", "fasttext"]


class ByteStream(Protocol):
    """What can be read from: an open file, a download."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""


@dataclass(frozen=True)
class Reading:
    """What was met while a file was read, as far as it was read.

    Attributes:
        file_format: what it was found to be.
        words: words that were kept.
        repeated: words left out because an equal one (once folded) came before.
        malformed: lines left out because they are not a word and d numbers.
        malformed_lines: the first of them, each with its number and what is wrong.
    """

    file_format: FileFormat
    words: int
    repeated: int
    malformed: int
    malformed_lines: tuple[str, ...]


def read_vectors(
    path: Path, file_format: VectorFormat = "auto", vocabulary: int | None = None, fold: Fold | None = None
) -> tuple[Vectors, Reading]:
    """The vectors in a file, in its order, which published files make most frequent first.

    Args:
        path: word2vec or GloVe text (with or without a first line "words dimension"), word2vec binary, or a fastText
            model; text and binary may be gzipped, which is told by their content.
        file_format: "auto" tells the formats apart by content too.
        vocabulary: at most so many words, the first; all of them if None.
        fold: what is done to each word, such as lower-casing; of words that are then equal the first is kept.

    Returns:
        The vectors, float32 [words, d], and what was met on the way. A word is all that stands before the last d
        numbers of its line, whatever white space is in it.

    Raises:
        OSError: no such file, or it cannot be read.
        ValueError: an empty file, one cut off, a dimension that changes, a value that is not finite, more than one
            line in a hundred malformed, a pickle; the message names the file, the line, and what was expected.
    """
    with open(path, "rb") as file:
        if file_format == "fasttext" or (file_format == "auto" and file.read(4) == _FASTTEXT_MAGIC):
            return _read_fasttext(path, _Kept(vocabulary, fold))
        file.seek(0)
        return read_stream(file, str(path), file_format, vocabulary, fold)


def read_stream(
    stream: ByteStream,
    name: str,
    file_format: VectorFormat = "auto",
    vocabulary: int | None = None,
    fold: Fold | None = None,
) -> tuple[Vectors, Reading]:
    """`read_vectors` of a stream called `name`, such as a download, from which no more is read than is needed.

    Raises:
        OSError: the stream breaks off.
        ValueError: as for a file; and a fastText model, which can only be read as a file.
    """
    kept = _Kept(vocabulary, fold)
    try:
        source = _Source(stream)
        beginning = source.peek(8)
        if not beginning:
            raise ValueError("the file is empty")
        for magic, what in _NOT_VECTORS.items():
            if beginning.startswith(magic):
                raise ValueError(f"not word vectors but {what}")
        if beginning.startswith(_FASTTEXT_MAGIC) or file_format == "fasttext":
            raise ValueError("a fastText model is read from a file only: download it, and give its `path`")
        if file_format == "binary" or (file_format == "auto" and _looks_binary(source)):
            _read_binary(source, kept)
            return kept.result("binary")
        _read_text(source, kept)
        return kept.result("text")
    except EOFError:
        raise ValueError(f"{name}: the gzipped file is cut off") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{name}: damaged gzip: {error}") from None
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


class _Source:
    """Bytes that are read once, unzipped if they are gzipped, and can be looked at beforehand."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._ahead = b""
        if self.peek(2) == _GZIP_MAGIC:
            whole = cast(Any, _Rejoined(self._ahead, stream))  # gzip asks for more than it uses
            self._stream, self._ahead = gzip.GzipFile(fileobj=whole), b""

    def peek(self, size: int) -> bytes:
        """The next `size` bytes, fewer at the end; they will be read again."""
        while len(self._ahead) < size and (more := self._stream.read(size - len(self._ahead))):
            self._ahead += more
        return self._ahead[:size]

    def read(self, size: int) -> bytes:
        """The next `size` bytes, fewer at the end."""
        data = self.peek(size)
        self._ahead = self._ahead[size:]
        return data


class _Rejoined:
    """A stream with the bytes already taken from its beginning put back."""

    def __init__(self, beginning: bytes, rest: ByteStream) -> None:
        self._beginning, self._rest = beginning, rest

    def read(self, size: int) -> bytes:
        taken, self._beginning = self._beginning[:size], self._beginning[size:]
        return taken or self._rest.read(size)


class _Kept:
    """The words kept so far, each once, and their vectors."""

    def __init__(self, limit: int | None, fold: Fold | None) -> None:
        self._limit, self._fold = limit, fold
        self.counted = "line"
        """What the numbers of places count."""
        self._words: list[str] = []
        self._matrices: list[Matrix] = []
        self._seen: set[str] = set()
        self._repeated = 0
        self._malformed = 0
        self._malformed_lines: list[str] = []

    @property
    def room(self) -> float:
        """How many more words are wanted."""
        return float("inf") if self._limit is None else self._limit - len(self._words)

    @property
    def full(self) -> bool:
        return self.room <= 0

    def add(self, words: Sequence[str], matrix: Matrix, places: Sequence[int]) -> None:
        """Keep those of `words` that are new, with their vectors [n, d]; `places` are the numbers of their lines."""
        if self._fold is not None:
            words = [self._fold(word) for word in words]
        room, new = self.room, list[int]()
        for row, word in enumerate(words):
            if len(new) >= room:
                break
            if word in self._seen:
                self._repeated += 1
                continue
            self._seen.add(word)
            self._words.append(word)
            new.append(row)
        matrix = matrix[: len(new)] if new == list(range(len(new))) else matrix[new]
        # A sum is finite unless a term is not; float64 does not overflow.
        if not np.isfinite(matrix.sum(dtype=np.float64)):
            row = new[np.flatnonzero(~np.isfinite(matrix).all(axis=1))[0]]
            raise ValueError(f"{self.counted} {places[row]}: the vector of {words[row]!r} has NaN or infinity")
        self._matrices.append(matrix)

    def leave_out(self, place: int, why: str) -> None:
        """Count a malformed line."""
        self._malformed += 1
        if len(self._malformed_lines) < FIRST_MALFORMED:
            self._malformed_lines.append(f"{self.counted} {place}: {why}")

    def check_share(self, lines: int) -> None:
        """Raises ValueError if too many of the `lines` read were malformed."""
        if self._malformed > MALFORMED_SHARE * lines:
            first = "; ".join(self._malformed_lines)
            raise ValueError(f"{self._malformed} of {lines} {self.counted}s are malformed; {first}")

    def result(self, file_format: FileFormat) -> tuple[Vectors, Reading]:
        if not self._words:
            raise ValueError("no words in it")
        vectors = Vectors(self._words, np.concatenate(self._matrices))
        return vectors, Reading(
            file_format, len(self._words), self._repeated, self._malformed, tuple(self._malformed_lines)
        )


class _Lines(NamedTuple):
    """Whole lines, and the number of the first."""

    first: int
    text: bytes


def _read_text(source: _Source, kept: _Kept) -> None:
    blocks = _blocks(source)
    block = next(blocks)
    header = _header(block.text)
    if header is not None:
        block = _Lines(2, block.text.partition(b"\n")[2])
    while not block.text or block.text.isspace():
        nothing = _Lines(block.first, b"")
        block = next(blocks, nothing)
        if block is nothing:
            raise ValueError(f"line {block.first}: expected a word and its numbers, found the end of the file")
    dimension = _checked_dimension(block, header)
    lines = _read_block(block, dimension, kept)
    for block in blocks:
        if kept.full:
            break
        lines += _read_block(block, dimension, kept)
    kept.check_share(lines)
    if header is not None and not kept.full and lines != header[0]:
        cut_off = " (is it cut off?)" if lines < header[0] else ""
        raise ValueError(f"line 1 promises {header[0]} words, the file has {lines}{cut_off}")


def _blocks(source: _Source) -> Iterator[_Lines]:
    """The text in blocks of whole lines."""
    if source.peek(3) == _BYTE_ORDER_MARK:
        source.read(3)
    number, rest = 1, b""
    while more := source.read(_BLOCK_BYTES):
        end = more.rfind(b"\n") + 1
        if not end:
            rest += more
            if len(rest) > _LONGEST_LINE:
                raise ValueError(f"line {number} is longer than {_LONGEST_LINE >> 20} MiB: this is no word2vec text")
            continue
        text, rest = rest + more[:end], more[end:]
        yield _Lines(number, text)
        number += text.count(b"\n")
    if rest or number == 1:
        yield _Lines(number, rest)


def _header(text: bytes) -> tuple[int, int] | None:
    """(words, dimension) if the first line is two whole numbers."""
    fields = text.partition(b"\n")[0].split()
    if len(fields) == 2 and all(field.isdigit() for field in fields):
        return int(fields[0]), int(fields[1])
    return None


def _checked_dimension(block: _Lines, header: tuple[int, int] | None) -> int:
    """How many numbers most of the first lines end with.

    Raises:
        ValueError: none, or another number than the header says.
    """
    sizes = {}
    for number, line in enumerate(block.text.split(b"\n", _SAMPLE_LINES)[:_SAMPLE_LINES], start=block.first):
        fields = _stripped(line).split(b" ")
        numbers = 0
        while numbers < len(fields) - 1 and _NUMBER.fullmatch(fields[-1 - numbers]):
            numbers += 1
        if line.strip():
            sizes[number] = numbers
    dimension = Counter(sizes.values()).most_common(1)[0][0]
    like_most = next(number for number, size in sizes.items() if size == dimension)
    if dimension == 0:
        raise ValueError(f"line {like_most}: expected a word and its numbers, separated by single spaces")
    if header is not None and header[1] != dimension:
        raise ValueError(f"line 1 says {header[1]} dimensions, but line {like_most} has {dimension} numbers")
    return dimension


def _read_block(block: _Lines, dimension: int, kept: _Kept) -> int:
    """Add what is in a block; the number of its lines, malformed ones counted and blank ones not."""
    if not block.text or block.text.isspace():
        return 0
    text = block.text
    if text.endswith((b" ", b" \n")):
        text = text.replace(b" \n", b"\n").removesuffix(b" ")  # as word2vec and fastText end their lines
    parsed = _parsed_at_once(text, dimension)
    if parsed is None:
        return _read_line_by_line(block, dimension, kept)
    words, matrix = parsed
    kept.add(words, matrix, range(block.first, block.first + len(words)))
    return len(words)


def _parsed_at_once(text: bytes, dimension: int) -> tuple[list[str], Matrix] | None:
    """Words and vectors [n, d] of a block in which every line is a word and d numbers, with d single spaces; None if
    it may not be one."""
    if text.startswith(_BYTE_ORDER_MARK):
        return None  # part of a word here, and polars would drop it
    schema: dict[str, type[pl.DataType]] = {"word": pl.String} | {f"x{i}": pl.Float32 for i in range(dimension)}
    try:
        table = pl.read_csv(text, has_header=False, separator=" ", quote_char=None, schema=schema)
    except pl.exceptions.PolarsError:
        return None
    words, numbers = table.get_column("word"), table.drop("word")
    if words.null_count() or any(column.null_count() for column in numbers.iter_columns()):
        return None
    return words.to_list(), numbers.to_numpy(order="c")


def _read_line_by_line(block: _Lines, dimension: int, kept: _Kept) -> int:
    words: list[str] = []
    rows: list[list[float]] = []
    places: list[int] = []
    lines = 0
    for number, line in enumerate(block.text.split(b"\n"), start=block.first):
        line = _stripped(line)
        if not line:
            continue
        lines += 1
        try:
            word, row = _word_and_numbers(line, dimension)
        except ValueError as error:
            kept.leave_out(number, str(error))
            continue
        words.append(word)
        rows.append(row)
        places.append(number)
    if words:
        kept.add(words, np.array(rows, dtype=np.float32), places)
    return lines


def _stripped(line: bytes) -> bytes:
    """A line without the space or carriage return that some programs end it with."""
    return line.removesuffix(b"\r").removesuffix(b" ")


def _word_and_numbers(line: bytes, dimension: int) -> tuple[str, list[float]]:
    """A line, split from its right. Raises ValueError saying what is wrong with it."""
    encoded, *fields = line.rsplit(b" ", dimension)
    if len(fields) < dimension:
        raise ValueError(f"expected a word and {dimension} numbers, found {len(fields) + 1} fields")
    for field in fields:
        if not _NUMBER.fullmatch(field):
            raise ValueError(f"{field[:40]!r} is not a number")
    if not encoded:
        raise ValueError("no word before the numbers")
    before, _, last = encoded.rpartition(b" ")
    if before and _NUMBER.fullmatch(last):
        raise ValueError(f"expected {dimension} numbers, found {dimension + 1} or more")
    try:
        return encoded.decode("utf-8"), [float(field) for field in fields]
    except UnicodeDecodeError:
        raise ValueError("the word is not UTF-8") from None


# word2vec binary: a line "words dimension", then for each word its text, a space, and d float32, little-endian.


def _looks_binary(source: _Source) -> bool:
    """True where a header is not followed by a line of text with numbers."""
    beginning, _, rest = source.peek(1 << 14).partition(b"\n")
    header = _header(beginning)
    if header is None or not rest:
        return False
    # A word may have spaces, and the last field may be cut off by the end of what was looked at.
    fields = rest.partition(b"\n")[0].rstrip().split(b" ")[1:]
    return sum(_NUMBER.fullmatch(field) is not None for field in fields) < min(2, header[1])


def _read_binary(source: _Source, kept: _Kept) -> None:
    start = source.peek(100)
    header = _header(start) if b"\n" in start else None
    if header is None or header[1] < 1:
        raise ValueError("expected a first line 'words dimension', as word2vec binary has")
    (count, dimension), number = header, 0
    kept.counted = "word"
    source.read(start.index(b"\n") + 1)
    data, at = b"", 0
    words: list[str] = []
    rows: list[Matrix] = []
    places: list[int] = []
    for number in range(1, count + 1):
        while (space := data.find(b" ", at)) < 0 or len(data) < space + 1 + 4 * dimension:
            more = source.read(_BLOCK_BYTES)
            if not more or len(data) - at > _LONGEST_LINE:
                raise ValueError(f"line 1 promises {count} words, the file ends within word {number} (is it cut off?)")
            data, at = data[at:] + more, 0
        encoded = data[at:space].lstrip(b"\n")  # the original program ends each vector with one
        row = np.frombuffer(data, dtype="<f4", count=dimension, offset=space + 1)
        at = space + 1 + 4 * dimension
        try:
            words.append(encoded.decode("utf-8"))
        except UnicodeDecodeError:
            kept.leave_out(number, "the word is not UTF-8")
            continue
        rows.append(row)
        places.append(number)
        if len(words) == min(1024, kept.room):
            kept.add(words, np.stack(rows), places)
            words, rows, places = [], [], []
            if kept.full:
                break
    if words:
        kept.add(words, np.stack(rows), places)
    kept.check_share(number)


# fastText


def _read_fasttext(path: Path, kept: _Kept) -> tuple[Vectors, Reading]:
    from gensim.models.fasttext import load_facebook_vectors

    try:
        model = load_facebook_vectors(str(path))
        limit = len(model.index_to_key)
        kept.add(model.index_to_key, np.asarray(model.vectors[:limit], dtype=np.float32), range(1, limit + 1))
        return kept.result("fasttext")
    except (ValueError, EOFError, AssertionError, NotImplementedError, IndexError, struct.error) as error:
        raise ValueError(f"{path}: not a fastText model that gensim can read: {error}") from None
