"""The numerals world: parallel over languages, disjoint splits, right answers, the same on every run."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compute.names import UnknownName
from compute.numeral_words import NUMERAL_LANGUAGES, number_word
from compute.tasks import SPLITS, load_task
from compute.tasks.numerals import NUMERALS_TASKS, NumeralsTask, numbers_of, pretraining_text
from compute.tasks.task import Item

tasks = pytest.mark.parametrize("task", NUMERALS_TASKS, ids=lambda task: task.name)


def _numbers(item: Item) -> list[int]:
    return [int(part) for part in item.item_id.split("-")[1:]]


def test_splits_part_the_numbers() -> None:
    parts = [set(numbers_of(split)) for split in SPLITS]
    assert set.union(*parts) == set(range(1000))
    assert sum(map(len, parts)) == 1000
    assert len(numbers_of("test")) >= 150


@tasks
def test_items_are_parallel_and_of_their_split_in_every_language(task: NumeralsTask) -> None:
    for split in SPLITS:
        own = set(numbers_of(split))
        english = task.items("en", split)
        assert len({item.item_id for item in english}) == len(english) >= 70
        for language in NUMERAL_LANGUAGES:
            items = task.items(language, split)
            assert [item.item_id for item in items] == [item.parallel_id for item in english]
            assert all(own.issuperset(_numbers(item)) for item in items)
            assert all(number_word(n, language) in item.context for item in items for n in _numbers(item))


@tasks
def test_gold_positions_are_balanced_and_choices_differ(task: NumeralsTask) -> None:
    for split in SPLITS:
        for items in (task.items("fi", split), task.items("fi", split)[:100]):
            counts = Counter(item.gold for item in items)
            assert max(counts.values()) - min(counts.values()) <= 1
            assert len(counts) == round(1 / task.chance)
            assert all(len(set(item.choices)) == len(item.choices) == len(counts) for item in items)


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(NUMERAL_LANGUAGES), st.sampled_from(SPLITS), st.integers(min_value=0))
def test_gold_is_right(language: str, split: str, at: int) -> None:
    def gold(name: str) -> tuple[list[int], str]:
        items = load_task(name).items(language, split)  # type: ignore[arg-type]
        item = items[at % len(items)]
        return _numbers(item), item.choices[item.gold].strip()

    numbers, answer = gold("read")
    assert answer == str(numbers[0])
    numbers, answer = gold("compare")
    assert (numbers[0] > numbers[1]) == (answer == ">")
    numbers, answer = gold("parity")
    assert (numbers[0] % 2 == 0) == (answer == "even")
    numbers, answer = gold("add")
    assert answer == str(sum(numbers)) and sum(numbers) in numbers_of(split)  # type: ignore[arg-type]
    numbers, answer = gold("round")
    assert abs(int(answer) - numbers[0]) <= 50
    assert gold("language")[1] == language


def test_digests_are_stable_and_tell_tasks_and_languages_apart() -> None:
    digests = {(task.name, language): task.digest(language) for task in NUMERALS_TASKS for language in ("de", "fi")}
    assert len(set(digests.values())) == len(digests)
    assert load_task("read").digest("de") == digests["read", "de"]
    assert re.fullmatch(r"digits@[0-9a-f]{8}", load_task("read").prompt().label)


def test_pretraining_text_labels_no_dev_or_test_number() -> None:
    languages = ("de", "pt", "uk")
    documents = pretraining_text(languages, 0, readings=1, counting=20, examples=15)
    assert documents == pretraining_text(languages, 0, readings=1, counting=20, examples=15)
    held_out = {number_word(n, language) for language in languages for split in SPLITS[1:] for n in numbers_of(split)}
    for document in documents:
        words = re.split(r" (?:[=?:+~@]|[<>]) ?", document)
        if len(words) > 1:
            assert held_out.isdisjoint(words), document


def test_unknown_names_suggest_the_nearest() -> None:
    with pytest.raises(UnknownName, match="compare"):
        load_task("compar")
    with pytest.raises(UnknownName, match="language"):
        load_task("read").items("xx", "test")
