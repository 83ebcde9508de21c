"""How a generated text is read as an answer, and when that answer is right.

To add one: a function from text to answer and, where equal texts are not the test, one that compares; then a line in
`ANSWERS`. Tasks of lm-evaluation-harness bring their own way, see `compute.tasks.lm_eval_answers`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Protocol

from compute.names import UnknownName
from compute.tasks import LM_EVAL
from compute.tasks.task import Item


class Judge(Protocol):
    """Whatever tells right from wrong answers."""

    def judge(self, item: Item, text: str) -> tuple[str | None, bool]:
        """Return what is stored as the answer in a generated `text`, None if there is none, and whether it is right."""


def _equal(prediction: str, gold: str) -> bool:
    return prediction == gold


@dataclass(frozen=True)
class Answer:
    """A way to read answers.

    Attributes:
        read: the answer in a generated text, in the form that is stored; None if there is none.
        same: whether a read answer is the gold one.
    """

    read: Callable[[str], str | None]
    same: Callable[[str, str], bool] = _equal

    def is_right(self, prediction: str | None, gold: str) -> bool:
        """Return whether what was read is the right answer; no answer is a wrong one."""
        return prediction is not None and self.same(prediction, gold)

    def judge(self, item: Item, text: str) -> tuple[str | None, bool]:
        """See `Judge.judge`."""
        prediction = self.read(text)
        return prediction, self.is_right(prediction, item.choices[item.gold].strip())


_GROUP = "[.,'’٬،，．\u0020\u00a0\u2009\u202f]"
_MINUS = "-−‒–﹣－"
_NUMBER = re.compile(
    rf"""
    (?:(?<![^\W_])(?P<sign>[{_MINUS}]))?            # a sign, but not the dash of "3-5" or "x-2"
    [$€£¥₹₽]?                                       # "-$5" is minus five
    (?P<digits>
        \d+ (?:{_GROUP}\d+)*                        # "1,234.5", "80 000": sorted out by _canonical
        | (?<!\d)[.,٫]\d+                           # ".5"
    )
    (?P<fraction>٫\d+)?                             # the Arabic decimal separator has no other use
    """,
    re.VERBOSE,
)
_GROUPED = re.compile(rf"[1-9]\d{{0,2}}({_GROUP})\d{{3}}(?:\1\d{{3}})*")
_GROUPED_BY_HUNDREDS = re.compile(r"[1-9]\d?(?:,\d{2})+,\d{3}")
_ENDS_IN_A_FRACTION = re.compile(r"(?P<whole>.*)(?P<point>[.,，．])(?P<fraction>\d+)")


def final_number(text: str) -> str | None:
    """Return the last number in a text, in canonical form: ASCII digits, no grouping, a point, no zeros that say
    nothing.

    Digits may be of any script; the minus sign too. Groups of three are thousands whatever separates them (comma,
    point, space, apostrophe), so "80.000" is eighty thousand in every language: a language model that solves word
    problems writes far more round thousands than decimals with exactly three places. Lakhs and crores ("1,00,000")
    are read as well. Otherwise a comma or point is the decimal one.
    """
    found = None
    for match in _NUMBER.finditer(text):
        for number in _canonical(_ascii_digits(match["digits"] + (match["fraction"] or "").replace("٫", "."))):
            found = f"-{number}" if match["sign"] and number != "0" else number
    return found


def same_number(prediction: str, gold: str) -> bool:
    """Return whether two texts are the same number; a gold answer may be grouped ("2,125")."""
    try:
        return Decimal(prediction) == Decimal(final_number(gold) or gold)
    except InvalidOperation:
        return False


def _ascii_digits(text: str) -> str:
    return "".join(str(unicodedata.digit(char)) if char.isdecimal() else char for char in text)


def _canonical(text: str) -> list[str]:
    """Return the numbers that a run of digits and separators stands for, each in canonical form."""
    if _GROUPED.fullmatch(text) or _GROUPED_BY_HUNDREDS.fullmatch(text):
        return [re.sub(r"\D", "", text)]
    fraction = _ENDS_IN_A_FRACTION.fullmatch(text)
    if fraction is not None:
        whole, point = fraction["whole"], fraction["point"]
        grouped = _GROUPED.fullmatch(whole) or _GROUPED_BY_HUNDREDS.fullmatch(whole)
        if grouped and point not in whole:
            return [_plain(re.sub(r"\D", "", whole), fraction["fraction"])]
        if whole.isdigit() or not whole:
            return [_plain(whole or "0", fraction["fraction"])]
    if text.isdigit():
        return [_plain(text, "")]
    # No one number is written like this ("12, 13, 14"): each is read alone.
    return [number for part in re.split(r"\D+", text) if part for number in _canonical(part)]


def _plain(whole: str, fraction: str) -> str:
    whole, fraction = whole.lstrip("0") or "0", fraction.rstrip("0")
    return f"{whole}.{fraction}" if fraction else whole


ANSWERS: dict[str, Answer] = {"final_number": Answer(read=final_number, same=same_number)}
"""By the name that `Generation.answer` gives."""


def open_judge(name: str) -> Judge:
    """Return what judges the answers of a task whose `Generation.answer` is `name`.

    Raises:
        UnknownName: neither in `ANSWERS` nor a task of lm-evaluation-harness.
    """
    if name.startswith(LM_EVAL):
        from compute.tasks.lm_eval_answers import HarnessJudge

        return HarnessJudge.of(name)
    if name not in ANSWERS:
        raise UnknownName("way to read answers", name, ANSWERS)
    return ANSWERS[name]
