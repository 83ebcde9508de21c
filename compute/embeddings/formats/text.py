"""word2vec and GloVe text: a line a word, with or without a first line "words dimension".

Parsed by polars in blocks of whole lines. A block in which polars finds anything unusual is read again line by line,
which is slower and says what is wrong with which line.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import polars as pl

from compute.embeddings.formats.kept import Kept
from compute.embeddings.formats.stream import LONGEST_LINE, Source
from compute.embeddings.vectors import Matrix

NUMBER = re.compile(rb"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?(?:nan|inf|infinity)", re.IGNORECASE)
"""What a field must be to be one of a vector's."""

_SAMPLE_LINES = 100
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class _Lines(NamedTuple):
    """Whole lines, and the number of the first."""

    first: int
    text: bytes


def read_text(source: Source, kept: Kept) -> None:
    """Reads all of `source` that `kept` has room for. Raises ValueError as `compute.embeddings.reading`."""
    blocks = _blocks(source)
    block = next(blocks)
    header = read_header(block.text)
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


def _blocks(source: Source) -> Iterator[_Lines]:
    """The text in blocks of whole lines."""
    if source.peek(3) == _BYTE_ORDER_MARK:
        source.read(3)
    number, rest = 1, b""
    while more := source.read_block():
        end = more.rfind(b"\n") + 1
        if not end:
            rest += more
            if len(rest) > LONGEST_LINE:
                raise ValueError(f"line {number} is longer than {LONGEST_LINE >> 20} MiB: this is no word2vec text")
            continue
        text, rest = rest + more[:end], more[end:]
        yield _Lines(number, text)
        number += text.count(b"\n")
    if rest or number == 1:
        yield _Lines(number, rest)


def read_header(text: bytes) -> tuple[int, int] | None:
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
    sizes, aligned = {}, 0
    for number, line in enumerate(block.text.split(b"\n", _SAMPLE_LINES)[:_SAMPLE_LINES], start=block.first):
        fields = _stripped(line).split(b" ")
        numbers = 0
        while numbers < len(fields) - 1 and NUMBER.fullmatch(fields[-1 - numbers]):
            numbers += 1
        if line.strip():
            sizes[number] = numbers
            aligned += numbers > 0 and not fields[-1 - numbers]
    dimension = Counter(sizes.values()).most_common(1)[0][0]
    like_most = next(number for number, size in sizes.items() if size == dimension)
    if dimension == 0 or 2 * aligned > len(sizes):
        raise ValueError(f"line {like_most}: expected a word and its numbers, separated by single spaces")
    if header is not None and header[1] != dimension:
        raise ValueError(f"line 1 says {header[1]} dimensions, but line {like_most} has {dimension} numbers")
    return dimension


def _read_block(block: _Lines, dimension: int, kept: Kept) -> int:
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


def _read_line_by_line(block: _Lines, dimension: int, kept: Kept) -> int:
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
        if not NUMBER.fullmatch(field):
            raise ValueError(f"{field[:40]!r} is not a number")
    if not encoded:
        raise ValueError("no word before the numbers")
    before, _, last = encoded.rpartition(b" ")
    if before and NUMBER.fullmatch(last):
        raise ValueError(f"expected {dimension} numbers, found {dimension + 1} or more")
    try:
        return encoded.decode("utf-8"), [float(field) for field in fields]
    except UnicodeDecodeError:
        raise ValueError("the word is not UTF-8") from None
