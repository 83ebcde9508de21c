"""word2vec and GloVe text: a line a word, with or without a first line "words dimension".

Parsed in blocks of whole lines by compiled code, several blocks at once. A line in which it finds anything unusual is
read again by Python, which is slower and says what is wrong with it.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice, pairwise
from typing import NamedTuple

import numpy as np

from compute.embeddings.formats.parsing import THREADS, count_lines, parse_lines
from compute.embeddings.formats.stream import LONGEST_LINE, Source
from compute.embeddings.formats.words_read import WordsRead, check_dimension
from compute.embeddings.vectors import Matrix

NUMBER = re.compile(rb"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?(?:nan|inf|infinity)", re.IGNORECASE)
"""What a field must be to be one of a vector's."""

_SAMPLE_LINES = 100
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class _Block(NamedTuple):
    """Whole lines, each with a line feed, how many they are, and the number of the first."""

    first: int
    lines: int
    text: bytes


class _Parsed(NamedTuple):
    """What is in some lines, of which `lines` are not blank: words, their vectors [n, d] and places, and the malformed
    lines, each with its place and what is wrong."""

    lines: int
    words: list[str]
    matrix: Matrix
    places: Sequence[int]
    malformed: list[tuple[int, str]]


def read_text(source: Source, kept: WordsRead) -> None:
    """Reads all of `source` that `kept` has room for. Raises ValueError as `compute.embeddings.reading`."""
    blocks = _blocks(source)
    block = next(blocks)
    header = read_header(block.text)
    if header is not None:
        block = _Block(2, block.lines - 1, block.text.partition(b"\n")[2])
    while not block.text or block.text.isspace():
        nothing = _Block(block.first, 0, b"")
        block = next(blocks, nothing)
        if block is nothing:
            raise ValueError(f"line {block.first}: expected a word and its numbers, found the end of the file")
    dimension = _checked_dimension(block, header)
    lines = 0
    for parsed in _parsed(chain([block], blocks), dimension, kept):
        lines += parsed.lines
        if parsed.words:
            kept.add(parsed.words, parsed.matrix, parsed.places)
        for place, why in parsed.malformed:
            kept.leave_out(place, why)
    kept.check_share(lines)
    if header is not None and not kept.full and lines != header[0]:
        cut_off = " (is it cut off?)" if lines < header[0] else ""
        raise ValueError(f"line 1 promises {header[0]} words, the file has {lines}{cut_off}")
    if header is not None and kept.number > header[0]:  # as far as the limit, no matter what comes after
        raise ValueError(f"line 1 promises {header[0]} words, the file has {kept.number} or more")


def _blocks(source: Source) -> Iterator[_Block]:
    """Yield the text in blocks of whole lines, at least one."""
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
        text, rest = b"".join((rest, memoryview(more)[:end])), more[end:]
        yield _Block(number, count := count_lines(text), text)
        number += count
    if rest or number == 1:
        yield _Block(number, 1, rest + b"\n")


def _parsed(blocks: Iterable[_Block], dimension: int, kept: WordsRead) -> Iterator[_Parsed]:
    """Yield the blocks parsed, in order, several at once; no more of them are taken than `kept` may have room for."""
    ahead: deque[tuple[int, Future[_Parsed]]] = deque()
    waiting = 0
    with ThreadPoolExecutor(THREADS) as pool:
        for block in blocks:
            ahead.append((block.lines, pool.submit(_parse, block, dimension)))
            waiting += block.lines
            while ahead and (len(ahead) > THREADS or waiting >= kept.room):
                count, parsed = ahead.popleft()
                waiting -= count
                yield parsed.result()
            if kept.full:
                return
        for _, parsed in ahead:
            yield parsed.result()


def read_header(text: bytes) -> tuple[int, int] | None:
    """(words, dimension) if the first line is two whole numbers."""
    fields = text.partition(b"\n")[0].split()
    if len(fields) == 2 and all(field.isdigit() for field in fields):
        return int(fields[0]), int(fields[1])
    return None


def _checked_dimension(block: _Block, header: tuple[int, int] | None) -> int:
    """Return how many numbers most of the first lines end with.

    Raises:
        ValueError: none, or another number than the header says.
    """
    sizes, aligned = {}, 0
    lines = enumerate(block.text.split(b"\n"), start=block.first)
    for number, line in islice(((number, line) for number, line in lines if line.strip()), _SAMPLE_LINES):
        fields = _stripped(line).split(b" ")
        numbers = 0
        while numbers < len(fields) - 1 and NUMBER.fullmatch(fields[-1 - numbers]):
            numbers += 1
        sizes[number] = numbers
        aligned += numbers > 0 and not fields[-1 - numbers]
    dimension = Counter(sizes.values()).most_common(1)[0][0]
    like_most = next(number for number, size in sizes.items() if size == dimension)
    if dimension == 0 or 2 * aligned > len(sizes):
        raise ValueError(f"line {like_most}: expected a word and its numbers, separated by single spaces")
    check_dimension(like_most, dimension)
    _check_words(block, dimension)
    if header is not None and header[1] != dimension:
        raise ValueError(f"line 1 says {header[1]} dimensions, but line {like_most} has {dimension} numbers")
    return dimension


def _check_words(block: _Block, dimension: int) -> None:
    """Refuse a text whose first words end in a tab and a number, or count its lines: they are words and more.

    Raises:
        ValueError: half of them do.
    """
    lines = [line for line in block.text.split(b"\n")[:_SAMPLE_LINES] if line.strip()]
    words = [_stripped(line).rsplit(b" ", dimension)[0] for line in lines]
    with_numbers = sum(NUMBER.fullmatch(word.rpartition(b"\t")[2]) is not None for word in words if b"\t" in word)
    if 2 * with_numbers > len(words):
        raise ValueError(
            f"line {block.first}: expected a word and its numbers, separated by single spaces, found a tab"
        )
    counts = [word.partition(b" ")[0] for word in words if b" " in word]
    numbers = [int(count) for count in counts if count.isdigit()]
    if len(words) > 2 and len(numbers) == len(words) and all(b - a == 1 for a, b in pairwise(numbers)):
        raise ValueError(f"line {block.first}: expected a word and its numbers, found a line number before the word")


def _parse(block: _Block, dimension: int) -> _Parsed:
    """All lines of a block, the odd ones by Python, one by one."""
    matrix = np.empty((block.lines, dimension), dtype=np.float32)
    spans, odd = parse_lines(block.text, matrix)
    if not odd:
        try:
            words = [block.text[start:end].decode() for start, end in spans]
        except UnicodeDecodeError:
            pass
        else:
            return _Parsed(block.lines, words, matrix, range(block.first, block.first + block.lines), [])
    words, rows, blank = list[str](), list[int](), 0
    malformed = list[tuple[int, str]]()
    for row, (start, end) in enumerate(spans):
        try:
            if end > 0:
                word = _decoded(block.text[start:end])
            elif line := _stripped(block.text[start:-end]):
                word, numbers = _word_and_numbers(line, dimension)
                with np.errstate(over="ignore"):  # infinity is refused later
                    matrix[row] = numbers
            else:
                blank += 1
                continue
        except ValueError as error:
            malformed.append((block.first + row, str(error)))
            continue
        words.append(word)
        rows.append(row)
    return _Parsed(block.lines - blank, words, matrix[rows], [block.first + row for row in rows], malformed)


def _stripped(line: bytes) -> bytes:
    """Return a line without the space or carriage return that some programs end it with."""
    return line.removesuffix(b"\r").removesuffix(b" ")


def _word_and_numbers(line: bytes, dimension: int) -> tuple[str, list[float]]:
    """Return a line, split from its right. Raises ValueError saying what is wrong with it."""
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
    return _decoded(encoded), [float(field) for field in fields]


def _decoded(word: bytes) -> str:
    """Raises ValueError if it is not UTF-8."""
    try:
        return word.decode()
    except UnicodeDecodeError:
        raise ValueError("the word is not UTF-8") from None
