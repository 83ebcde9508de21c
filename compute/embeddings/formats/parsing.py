"""Compiled parsing of lines "word number number ...": the inner loop of reading vectors.

Only what cannot be got wrong is decided here; any other line is left for Python, which also says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from compute.embeddings.vectors import Matrix

THREADS: int = numba.config.NUMBA_NUM_THREADS
"""How many may parse at once: no lock is held while they do."""

_NEWLINE, _RETURN, _SPACE, _DOT, _PLUS, _MINUS, _ZERO, _E = b"\n\r .+-0e"

_MOST_DIGITS = 19
"""As many as always fit into 64 bits."""

_EXACT_INTEGER = 2**53
_EXACT_POWER = 22
_LARGEST_POWER = 60
_POWERS = np.array([float(f"1e{power}") for power in range(_LARGEST_POWER + 1)])
_SIGNS = np.array([1.0, -1.0])

_DOUBT = 2.0**-50
"""More than what the integer, the power and their quotient may be off in all, relative to the quotient: a rounding
of 2^-53 each."""

_Text = numba.types.Array(numba.uint8, 1, "C", readonly=True)


def _compiled(signature: Any) -> Callable[[Any], Any]:
    """Compiled once a machine, or once a process where neither this folder nor the user's cache can be written to."""

    def compile_function(function: Any) -> Any:
        try:
            return numba.njit(signature, nogil=True, cache=True)(function)
        except RuntimeError:
            return numba.njit(signature, nogil=True)(function)

    return compile_function


@_compiled(numba.int64(_Text, numba.float32[:, ::1], numba.int64[:, ::1]))
def _parse(text: Any, matrix: Any, spans: Any) -> Any:
    position = row = odd = 0
    while position < len(text):
        start = position
        while text[position] != _SPACE and text[position] != _NEWLINE:
            position += 1
        spans[row, 0], spans[row, 1] = start, position
        good = position > start
        column = 0
        while good and column < matrix.shape[1]:
            if text[position] != _SPACE:
                good = False
                break
            position += 1
            negative = text[position] == _MINUS
            if negative or text[position] == _PLUS:
                position += 1
            first = position
            integer = np.uint64(0)
            digit = np.uint64(text[position]) - np.uint64(_ZERO)  # of anything but a digit: 10 or more, it wraps
            while digit < 10:
                integer = integer * np.uint64(10) + digit
                position += 1
                digit = np.uint64(text[position]) - np.uint64(_ZERO)
            digits = position - first
            power: Any = 0
            if text[position] == _DOT:
                position += 1
                first = position
                digit = np.uint64(text[position]) - np.uint64(_ZERO)
                while digit < 10:
                    integer = integer * np.uint64(10) + digit
                    position += 1
                    digit = np.uint64(text[position]) - np.uint64(_ZERO)
                power = first - position
                digits -= power
            if digits == 0 or digits > _MOST_DIGITS:
                good = False
                break
            if text[position] | 32 == _E:
                position += 1
                below = text[position] == _MINUS
                if below or text[position] == _PLUS:
                    position += 1
                first = position
                exponent: Any = 0
                digit = np.uint64(text[position]) - np.uint64(_ZERO)
                while digit < 10 and exponent < 1000:
                    exponent = exponent * 10 + np.int64(digit)
                    position += 1
                    digit = np.uint64(text[position]) - np.uint64(_ZERO)
                if position == first:
                    good = False
                    break
                power += -exponent if below else exponent
            if power < -_LARGEST_POWER or power > _LARGEST_POWER:
                good = False
                break
            value = np.float64(integer)
            value = value / _POWERS[-power] if power <= 0 else value * _POWERS[power]
            exact = integer <= _EXACT_INTEGER and -_EXACT_POWER <= power <= _EXACT_POWER
            if not exact and np.float32(value * (1 - _DOUBT)) != np.float32(value * (1 + _DOUBT)):
                good = False
                break
            matrix[row, column] = np.float32(value * _SIGNS[np.int64(negative)])
            column += 1
        if good:
            if text[position] == _SPACE:
                position += 1
            if text[position] == _RETURN:
                position += 1
            good = text[position] == _NEWLINE
        if not good:
            while text[position] != _NEWLINE:
                position += 1
            spans[row, 1] = -position
            odd += 1
        row += 1
        position += 1
    return odd


@_compiled(numba.int64(_Text))
def _count(text: Any) -> Any:
    newlines = 0
    for byte in text:
        newlines += byte == _NEWLINE
    return newlines


def count_lines(text: bytes) -> int:
    """Return how many line feeds are in `text`; `bytes.count` takes several times as long."""
    return int(_count(np.frombuffer(text, dtype=np.uint8)))


def parse_lines(text: bytes, matrix: Matrix) -> tuple[list[list[int]], int]:
    """Parse `text`, lines of a word and d numbers, each with a single space before it.

    A number is what `float` makes of it, rounded to float32. Decimal digits that fit into 53 bits, times or divided by
    a power of ten up to 10^22, are rounded once by the processor (Clinger 1990, How to read floating point numbers
    accurately); of others the two ends of what they may be are rounded, and must agree.

    Args:
        text: whole lines; the last, too, ends with a line feed.
        matrix: float32 [lines, d], written to. A row is undefined where its line is odd.

    Returns:
        For each line where it starts and where its word ends, or, if it is odd, the negative of where the line ends;
        and how many are odd: those that are not so made, or have a number that is not certain.
    """
    spans = np.empty((len(matrix), 2), dtype=np.int64)
    odd = _parse(np.frombuffer(text, dtype=np.uint8), matrix, spans)
    return spans.tolist(), odd
