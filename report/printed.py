"""Numbers as the page prints them."""

from __future__ import annotations

from datetime import datetime

MINUS = "−"


def signed(value: float, digits: int = 1) -> str:
    """+3.2, −0.4, 0.0: a sign on everything but zero, with a true minus."""
    text = f"{abs(value):.{digits}f}"
    if float(text) == 0:
        return text
    return (MINUS if value < 0 else "+") + text


def interval(low: float, high: float) -> str:
    """[−1.0, +2.3]"""
    return f"[{signed(low)}, {signed(high)}]"


def percent(value: float) -> str:
    """41 % from 41.2: shares of a few hundred cells carry no decimals."""
    return f"{value:.0f} %"


def share(value: float) -> str:
    """A value between 0 and 1 in three decimals."""
    return f"{value:.3f}"


def count(value: float) -> str:
    """12 345 as 12,345."""
    return f"{value:,.0f}"


def megabytes(value: float) -> str:
    """Bytes in MiB."""
    return f"{value / 2**20:,.0f} MiB"


def seconds(value: float) -> str:
    """8.1 s, or 4 min 05 s."""
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes:,} min {rest:02d} s"


def moment(value: datetime) -> str:
    """A time in UTC, to the minute."""
    return f"{value:%Y-%m-%d %H:%M} UTC"


def plural(number: int, noun: str) -> str:
    """1 model, 3 models."""
    return f"{count(number)} {noun}" if number == 1 else f"{count(number)} {noun}s"
