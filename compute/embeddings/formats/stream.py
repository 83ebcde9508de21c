"""Bytes of a file of word vectors, from wherever they come: unzipped, looked at beforehand, read once."""

from __future__ import annotations

import gzip
from typing import Any, Protocol, cast

BLOCK_BYTES = 1 << 22
"""Read at once."""

LONGEST_LINE = 1 << 26
"""A longer line, or word, is no word vector's."""

_GZIP_MAGIC = b"\x1f\x8b"


class ByteStream(Protocol):
    """What can be read from: an open file, a download."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""


class Source:
    """Bytes that are read once, unzipped if they are gzipped, and can be looked at beforehand."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._ahead = b""
        if self.peek(2) == _GZIP_MAGIC:
            whole = cast(Any, _Rejoined(self._ahead, stream))  # gzip asks for more than it uses
            self._stream, self._ahead = gzip.GzipFile(fileobj=whole), b""

    def peek(self, size: int) -> bytes:
        """Return the next `size` bytes, fewer at the end; they will be read again."""
        while len(self._ahead) < size and (more := self._stream.read(size - len(self._ahead))):
            self._ahead += more
        return self._ahead[:size]

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes, fewer at the end."""
        data = self.peek(size)
        self._ahead = self._ahead[size:]
        return data

    def end_lines_with_feeds(self) -> None:
        """Read carriage returns as line feeds from now on, if they alone end the lines of text that comes next."""
        beginning = self.peek_block()
        if b"\r" in beginning and b"\n" not in beginning:
            self._stream, self._ahead = _WithLineFeeds(self._ahead, self._stream), b""

    def peek_block(self) -> bytes:
        """Return what `read_block` will give."""
        return self.peek(BLOCK_BYTES)

    def read_block(self) -> bytes:
        """Return the next `BLOCK_BYTES`, fewer at the end."""
        return self.read(BLOCK_BYTES)


class _Rejoined:
    """A stream with the bytes already taken from its beginning put back."""

    def __init__(self, beginning: bytes, rest: ByteStream) -> None:
        self._beginning, self._rest = beginning, rest

    def read(self, size: int) -> bytes:
        taken, self._beginning = self._beginning[:size], self._beginning[size:]
        return taken or self._rest.read(size)


class _WithLineFeeds(_Rejoined):
    """A stream whose lines end with carriage returns, as if they ended with line feeds."""

    def read(self, size: int) -> bytes:
        return super().read(size).replace(b"\r", b"\n")
