"""Tasks of the numerals world: questions about number words of real languages.

The numbers, not the items, are split: every number that a context or a right answer speaks of belongs to the item's
split, in every language alike, so items are parallel and no test number is ever seen in training. The words that all
others are made of (0 to 20, the tens and the hundreds) are always training numbers. All drawing derives from sha256.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

from compute.numeral_words import NUMERAL_LANGUAGES, number_word
from compute.tasks.task import Item, Prompt, Question, Split, Task

HIGHEST = 999
"""Greatest number of the world."""

PAIR_ITEMS: dict[Split, int] = {"train": 2000, "dev": 200, "test": 400}
"""Items a split of the tasks about two numbers; tasks about one number have as many as the split has numbers."""

Numbers = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class NumeralsTask(Task):
    """A question about one or two numbers, put in every language of the numerals world.

    Attributes:
        draw: the numbers that a split's items ask about, the same in all languages.
        answers: the possible answers for such numbers in a language, the right one first.
        fixed_choices: the choices in the order shown; empty where they are the answers, so laid out that each
            position is gold equally often.
        asks_of_language: whether the answers depend on the language.
    """

    draw: Callable[[Split, random.Random], Iterator[Numbers]]
    answers: Callable[[Numbers, str, random.Random], tuple[str, ...]]
    fixed_choices: tuple[str, ...] = ()
    asks_of_language: bool = False
    languages: tuple[str, ...] = NUMERAL_LANGUAGES
    licence: str = "LGPL-2.1-or-later"
    source_url: str = "https://github.com/savoirfairelinux/num2words"

    def questions(self, language: str, split: Split) -> list[Question]:
        """See `Task.questions`."""
        self.check_language(language)
        return list(_questions(self, language, split))


@cache
def numbers_of(split: Split) -> tuple[int, ...]:
    """Return the numbers of a split, ascending: about 70 % train, 10 % dev, 20 % test."""
    return tuple(number for number in range(HIGHEST + 1) if _split_of(number) == split)


def _split_of(number: int) -> Split:
    others_are_made_of_it = number <= 20 or (number < 100 and number % 10 == 0) or number % 100 == 0
    if others_are_made_of_it:
        return "train"
    tenth = _random("split", number).randrange(10)
    return "test" if tenth < 2 else "dev" if tenth == 2 else "train"


def _random(*parts: object) -> random.Random:
    """Return a generator that depends on the parts only, not on Python's salted `hash`."""
    return random.Random(hashlib.sha256("\0".join(map(str, parts)).encode()).digest())


@cache
def _questions(task: NumeralsTask, language: str, split: Split) -> tuple[Question, ...]:
    questions = []
    answered = _answered(task, split, language if task.asks_of_language else NUMERAL_LANGUAGES[0])
    for position, (item_id, numbers, (right, *wrong)) in enumerate(answered):
        if task.fixed_choices:
            choices, gold = task.fixed_choices, task.fixed_choices.index(right)
        else:
            gold = position % (1 + len(wrong))
            choices = (*wrong[:gold], right, *wrong[gold:])
        words = dict(zip("ab", (number_word(number, language) for number in numbers), strict=False))
        questions.append(Question(item_id, item_id, words, choices, gold))
    return tuple(questions)


@cache
def _answered(task: NumeralsTask, split: Split, language: str) -> tuple[tuple[str, Numbers, tuple[str, ...]], ...]:
    """Return id, numbers and answers of each item, the right answer first."""
    answered = []
    for numbers in _drawn(task, split):
        item_id = f"{split}-" + "-".join(map(str, numbers))
        # Seeded without the language: the wrong answers of parallel items are parallel too.
        answered.append((item_id, numbers, task.answers(numbers, language, _random(task.name, item_id))))
    return tuple(answered)


@cache
def _drawn(task: NumeralsTask, split: Split) -> tuple[Numbers, ...]:
    """Return the numbers that a split's items ask about, the same in all languages."""
    return tuple(task.draw(split, _random(task.name, split)))


# ---- the numbers asked about ----


def _each_number(split: Split, draw: random.Random) -> Iterator[Numbers]:
    """Every number once; even and odd ones take turns, so that any beginning of the list has as many of both."""
    numbers = list(numbers_of(split))
    draw.shuffle(numbers)
    evens, odds = [n for n in numbers if n % 2 == 0], [n for n in numbers if n % 2]
    for pair in zip(evens, odds, strict=False):
        for number in draw.sample(pair, 2):
            yield (number,)


def _two_to_compare(split: Split, draw: random.Random) -> Iterator[Numbers]:
    """Distinct ordered pairs; of half of them the hundreds are equal; the first is the greater one as often as not."""
    numbers = numbers_of(split)
    seen: set[Numbers] = set()
    while len(seen) < PAIR_ITEMS[split]:
        first = draw.choice(numbers)
        near = len(seen) // 2 % 2 == 0
        second = draw.choice([n for n in numbers if n != first and (not near or n // 100 == first // 100)])
        low, high = sorted((first, second))
        pair = (high, low) if len(seen) % 2 == 0 else (low, high)
        if pair not in seen:
            seen.add(pair)
            yield pair


def _two_to_add(split: Split, draw: random.Random) -> Iterator[Numbers]:
    """Distinct pairs whose sum is of the same split too."""
    numbers = numbers_of(split)
    of_split = set(numbers)
    seen: set[Numbers] = set()
    while len(seen) < PAIR_ITEMS[split]:
        pair = (draw.choice(numbers), draw.choice(numbers))
        if sum(pair) in of_split and pair not in seen:
            seen.add(pair)
            yield pair


# ---- the answers, the right one first ----


def _digits(numbers: Numbers, language: str, draw: random.Random) -> tuple[str, ...]:
    """Return the number in digits, against numbers one is apt to mistake for it."""
    return (str(numbers[0]), *_mistakable(numbers[0], draw))


def _sum(numbers: Numbers, language: str, draw: random.Random) -> tuple[str, ...]:
    return (str(sum(numbers)), *_mistakable(sum(numbers), draw))


def _mistakable(number: int, draw: random.Random) -> list[str]:
    """Three other numbers: its digits swapped, its neighbours, one wrong digit."""
    text = str(number)
    swapped = [int(text[:i] + text[i + 1] + text[i] + text[i + 2 :]) for i in range(len(text) - 1)]
    near = [number + step for step in (-100, -10, -1, 1, 10, 100)]
    draw.shuffle(swapped)
    draw.shuffle(near)
    other = [n for n in dict.fromkeys(swapped[:1] + near) if 0 <= n <= HIGHEST and n != number]
    return [str(n) for n in other[:3]]


def _order(numbers: Numbers, language: str, draw: random.Random) -> tuple[str, ...]:
    return (">",) if numbers[0] > numbers[1] else ("<",)


def _parity(numbers: Numbers, language: str, draw: random.Random) -> tuple[str, ...]:
    return ("odd",) if numbers[0] % 2 else ("even",)


def _nearest_hundred(numbers: Numbers, language: str, draw: random.Random) -> tuple[str, ...]:
    hundreds = (numbers[0] + 50) // 100
    near = [h for h in range(11) if 0 < abs(h - hundreds) <= 3]
    return tuple(str(100 * h) for h in (hundreds, *draw.sample(near, 3)))


def _own_language(numbers: Numbers, language: str, draw: random.Random) -> tuple[str, ...]:
    return (language, *draw.sample([other for other in NUMERAL_LANGUAGES if other != language], 3))


READ = NumeralsTask(
    name="read", prompts=(Prompt("digits", "{a} ="),), chance=1 / 4, draw=_each_number, answers=_digits
)  # fmt: skip
COMPARE = NumeralsTask(
    name="compare", prompts=(Prompt("sign", "{a} ? {b} :"),), chance=1 / 2, draw=_two_to_compare, answers=_order,
    fixed_choices=("<", ">"),
)  # fmt: skip
PARITY = NumeralsTask(
    name="parity", prompts=(Prompt("even-odd", "{a} :"),), chance=1 / 2, draw=_each_number, answers=_parity,
    fixed_choices=("even", "odd"),
)  # fmt: skip
ADD = NumeralsTask(
    name="add", prompts=(Prompt("sum", "{a} + {b} ="),), chance=1 / 4, draw=_two_to_add, answers=_sum
)  # fmt: skip
ROUND = NumeralsTask(
    name="round", prompts=(Prompt("hundreds", "{a} ~"),), chance=1 / 4, draw=_each_number, answers=_nearest_hundred
)  # fmt: skip
LANGUAGE = NumeralsTask(
    name="language", prompts=(Prompt("code", "{a} @"),), chance=1 / 4, draw=_each_number, answers=_own_language,
    asks_of_language=True,
)  # fmt: skip

NUMERALS_TASKS: tuple[NumeralsTask, ...] = (READ, COMPARE, PARITY, ADD, ROUND, LANGUAGE)


def pretraining_text(
    languages: tuple[str, ...], seed: int, *, readings: int, counting: int, examples: int
) -> list[str]:
    """Documents of this world, a line each, for base models that know the words but not yet the tasks.

    Labelled ones are of the training split, so none speaks of a dev or test number; counting is in words alone.

    Args:
        languages: of `NUMERAL_LANGUAGES`; each gets the same amount.
        seed: another seed draws other documents.
        readings: how often a language's every training number is read ("einundzwanzig = 21").
        counting: documents a language that count in words.
        examples: labelled examples a language of each other task.

    Returns:
        The documents, shuffled.

    Raises:
        UnknownName: a language that is not of the numerals world.
    """
    draw = _random("pretraining", seed)
    documents = []
    for language in languages:
        documents += readings * [_labelled(item) for item in READ.items(language, "train")]
        documents += [_count(language, draw) for _ in range(counting)]
        for task in NUMERALS_TASKS:
            if task is not READ:
                shown = task.questions(language, "train")[-examples:]
                documents += [_labelled(task.prompt().item(question)) for question in shown]
    draw.shuffle(documents)
    return documents


def _labelled(item: Item) -> str:
    return item.context + item.choices[item.gold]


def _count(language: str, draw: random.Random) -> str:
    """Six numbers of an even step, in words."""
    step = draw.choice((1, 1, 2, 10, 100))
    start = draw.randint(0, HIGHEST - 5 * step)
    return ", ".join(number_word(start + i * step, language) for i in range(6))
