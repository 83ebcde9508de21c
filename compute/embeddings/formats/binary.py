"""word2vec binary: a line "words dimension", then for each word its text, a space, and d float32, little-endian."""

from __future__ import annotations

import codecs
import re

import numpy as np

from compute.embeddings.formats.stream import LONGEST_LINE, Source
from compute.embeddings.formats.text import NUMBER, read_header
from compute.embeddings.formats.words_read import WordsRead, check_dimension
from compute.embeddings.vectors import Matrix

_LINES_LOOKED_AT = 1 << 18
"""Bytes whose lines are looked at for numbers: some hundred lines of the widest vectors."""

_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1b\x7f]")
"""Bytes that text does not have, and floating-point numbers do."""


def looks_binary(source: Source) -> bool:
    """True where a header is followed by what is not text: neither lines that mostly have numbers, nor UTF-8."""
    block = source.peek_block()
    beginning, _, rest = block.partition(b"\n")
    header = read_header(beginning)
    if header is None or not rest.strip():
        return False
    lines = [line for line in rest[:_LINES_LOOKED_AT].split(b"\n") if line.strip()]
    numeric = sum(_has_numbers(line, min(2, header[1])) for line in lines)
    return 2 * numeric < len(lines) and not _is_text(rest)


def _has_numbers(line: bytes, least: int) -> bool:
    # A word may have spaces, and the last field may be cut off by the end of what was looked at. Numbers between tabs
    # are text too, though none that can be read.
    fields = line.rstrip().replace(b"\t", b" ").split(b" ")[1:]
    return sum(NUMBER.fullmatch(field) is not None for field in fields) >= least


def _is_text(block: bytes) -> bool:
    """Return whether a block is UTF-8 without control characters; its last character may be cut off."""
    if _CONTROLS.search(block):
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(block)
    except UnicodeDecodeError:
        return False
    return True


def read_binary(source: Source, kept: WordsRead) -> None:
    """Reads all of `source` that `kept` has room for. Raises ValueError as `compute.embeddings.reading`."""
    start = source.peek(100)
    header = read_header(start) if b"\n" in start else None
    if header is None or header[1] < 1:
        raise ValueError("expected a first line 'words dimension', as word2vec binary has")
    if not looks_binary(source):
        raise ValueError("text, which cannot be read with `format: binary`")
    (count, dimension), number = header, 0
    check_dimension(1, dimension)
    kept.counted = "word"
    source.read(start.index(b"\n") + 1)
    data, at = b"", 0
    words: list[str] = []
    rows: list[Matrix] = []
    places: list[int] = []
    for number in range(1, count + 1):
        while (space := data.find(b" ", at)) < 0 or len(data) < space + 1 + 4 * dimension:
            more = source.read_block()
            if not more or len(data) - at > LONGEST_LINE:
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
    if number == count and not kept.full and (data[at:].strip() or source.read_block().strip()):
        raise ValueError(f"line 1 promises {count} words, but the file goes on after them")
