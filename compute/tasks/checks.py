"""What questions of any source must be like before a model is asked them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from compute.errors import UserError
from compute.tasks.reading import Place
from compute.tasks.task import Kind, Question, Split

Located = tuple[Question, Place]
"""A question and the row it was read from."""


def with_places(located: Iterable[Located]) -> Iterator[Question]:
    """Yield the questions, each knowing its row."""
    return (replace(question, place=str(place)) for question, place in located)


def check_questions(kind: Kind, splits: Mapping[Split, Sequence[Located]]) -> None:
    """Refuses questions of one language that cannot be asked soundly.

    Checked are: ids that are there and unique over all splits; no `parallel_id` in two splits; fields and choices
    that are not blank and are Unicode text; at least two choices (one answer, of a generation task); gold one of
    them. A whole context (the field `context`) may be empty: of a minimal pair the sentences are the choices.

    Raises:
        UserError: the line names the file and row, and the other one where two rows disagree.
    """
    items: dict[str, tuple[Split, Place]] = {}
    for split, located in splits.items():
        for question, place in located:
            _check_question(kind, question, place)
            seen_split, seen = items.setdefault(question.item_id, (split, place))
            if seen is not place:
                overlap = "" if seen_split == split else f": {seen_split} and {split} overlap"
                raise UserError(f"{place}: item_id {question.item_id!r} is also in {seen}{overlap}")
    check_meanings([splits])


def check_meanings(languages: Iterable[Mapping[Split, Sequence[Located]]]) -> None:
    """Refuses a `parallel_id` that stands in two splits, of one language or of two.

    Raises:
        UserError: the line names both files and rows.
    """
    meanings: dict[str, tuple[Split, Place]] = {}
    for splits in languages:
        for split, located in splits.items():
            for question, place in located:
                if question.parallel_id is not None:
                    seen_split, seen = meanings.setdefault(question.parallel_id, (split, place))
                    if seen_split != split:
                        raise UserError(
                            f"{place}: parallel_id {question.parallel_id!r} is also in {seen}: "
                            f"{seen_split} and {split} overlap"
                        )


def check_distinct_choices(splits: Mapping[Split, Sequence[Located]]) -> None:
    """Refuses a question two of whose choices are the same text.

    Apart from `check_questions`, because machine-translated benchmarks have such questions and published scores
    include them.

    Raises:
        UserError: the line names the file and row.
    """
    for located in splits.values():
        for question, place in located:
            for (one, text), (other, same) in combinations(enumerate(question.choices, start=1), 2):
                if text == same:
                    raise UserError(f"{place}: choices {one} and {other} are the same: {text!r:.60}")


def _check_question(kind: Kind, question: Question, place: Place) -> None:
    if not question.item_id.strip():
        raise UserError(f"{place}: item_id is empty")
    if question.parallel_id is not None and not question.parallel_id.strip():
        raise UserError(f"{place}: parallel_id is empty; leave it out where there are no translations")
    for name, text in question.fields.items():
        if name != "context" and not text.strip():
            raise UserError(f"{place}: {name} is empty")
    number = len(question.choices)
    if kind == "choice" and number < 2:
        raise UserError(f"{place}: {number} choice{'s' * (number != 1)}; expected at least 2")
    if kind == "generation" and number != 1:
        raise UserError(f"{place}: {number} answers; expected 1")
    for position, choice in enumerate(question.choices, start=1):
        if not choice.strip():
            raise UserError(f"{place}: choice {position} of {number} is empty")
    if not 0 <= question.gold < number:
        raise UserError(f"{place}: gold is {question.gold}; expected 0 to {number - 1}")
    for text in (question.item_id, question.parallel_id or "", *question.fields.values(), *question.choices):
        try:
            text.encode()
        except UnicodeEncodeError:
            raise UserError(f"{place}: not Unicode text (half of a surrogate pair): {text!a:.60}") from None
