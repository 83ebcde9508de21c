"""word2vec binary: a line "words dimension", then for each word its text, a space, and d float32, little-endian."""

from __future__ import annotations

import numpy as np

from compute.embeddings.formats.kept import Kept
from compute.embeddings.formats.stream import LONGEST_LINE, Source
from compute.embeddings.formats.text import NUMBER, read_header
from compute.embeddings.vectors import Matrix


def looks_binary(source: Source) -> bool:
    """True where a header is not followed by a line of text with numbers."""
    beginning, _, rest = source.peek(1 << 14).partition(b"\n")
    header, rest = read_header(beginning), rest.lstrip()  # text may have blank lines there
    if header is None or not rest:
        return False
    # A word may have spaces, and the last field may be cut off by the end of what was looked at. Numbers between tabs
    # are text too, though none that can be read.
    fields = rest.partition(b"\n")[0].rstrip().replace(b"\t", b" ").split(b" ")[1:]
    return sum(NUMBER.fullmatch(field) is not None for field in fields) < min(2, header[1])


def read_binary(source: Source, kept: Kept) -> None:
    """Reads all of `source` that `kept` has room for. Raises ValueError as `compute.embeddings.reading`."""
    start = source.peek(100)
    header = read_header(start) if b"\n" in start else None
    if header is None or header[1] < 1:
        raise ValueError("expected a first line 'words dimension', as word2vec binary has")
    if not looks_binary(source):
        raise ValueError("text, which cannot be read with `format: binary`")
    (count, dimension), number = header, 0
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
