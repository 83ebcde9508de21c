"""Random order and drawing that any machine repeats: all of it from sha256, none from Python's salted `hash`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from compute.tasks.task import Question


def stable_hash(*parts: str) -> str:
    """sha256 (hexadecimal) of texts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def fair_order(questions: Iterable[Question]) -> tuple[Question, ...]:
    """Return the questions in an order by `parallel_id` alone (`item_id` where there is none).

    The first n are a random sample, and of a parallel task the same one in every language.
    """
    return tuple(
        sorted(
            questions, key=lambda question: (stable_hash(question.parallel_id or question.item_id), question.item_id)
        )
    )
