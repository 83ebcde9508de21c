"""PDF whose bytes depend on what it shows alone: the library that writes it numbers its parts in no fixed order."""

from __future__ import annotations

import re
from itertools import pairwise

_START = re.compile(rb"startxref\s+(\d+)\s+%%EOF\s*\Z")
_REFERENCE = re.compile(rb"\b(\d+) 0 R\b")
_RESOURCES = re.compile(rb"(?: */[a-z]+\d+ \d+ 0 R\n)+")
"""What a page draws with, by names of its own: fonts, groups, opacities."""


def in_fixed_order(pdf: bytes) -> bytes:
    """Return the same document, its resources by name and its objects numbered in the order in which they are reached.

    Read is the form that svg2pdf writes: one table of offsets, no object within another. Any other is returned as it
    is.
    """
    end = _START.search(pdf)
    if end is None or not pdf.startswith(b"xref\n", int(end[1])):
        return pdf
    table, _, trailer = pdf[int(end[1]) : end.start()].partition(b"trailer")
    offsets = {int(line[:10]): n for n, line in enumerate(table.split(b"\n")[2:]) if line[17:18] == b"n"}
    starts = [*sorted(offsets), int(end[1])]
    parts = {offsets[start]: _parted(pdf[start:after]) for start, after in pairwise(starts)}
    reached: dict[int, int] = {}
    waiting = [int(n) for n in _REFERENCE.findall(trailer)]
    while waiting:
        n = waiting.pop(0)
        if n not in reached:
            reached[n] = len(reached) + 1
            waiting += [int(found) for found in _REFERENCE.findall(parts[n][0])]

    def renumbered(text: bytes) -> bytes:
        return _REFERENCE.sub(lambda found: b"%d 0 R" % reached[int(found[1])], text)

    written = bytearray(pdf[: starts[0]])
    places = []
    for n, number in reached.items():
        places.append(len(written))
        written += b"%d 0 obj" % number + renumbered(parts[n][0]) + parts[n][1]
    start = len(written)
    written += b"xref\n0 %d\n0000000000 65535 f\r\n" % (len(places) + 1)
    written += b"".join(b"%010d 00000 n\r\n" % place for place in places)
    size = re.sub(rb"/Size \d+", b"/Size %d" % (len(places) + 1), renumbered(trailer))
    return bytes(written + b"trailer" + size + b"startxref\n%d\n%%%%EOF" % start)


def _parted(written: bytes) -> tuple[bytes, bytes]:
    """Return an object without its number: what may refer to others, resources by name; and its stream."""
    _, _, text = written.partition(b" 0 obj")
    values, begins, stream = text.partition(b"\nstream\n")
    by_name = _RESOURCES.sub(lambda found: b"".join(sorted(found[0].splitlines(keepends=True))), values)
    return by_name, begins + stream
