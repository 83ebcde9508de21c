"""A task: which of two numbers is the longer word?"""

from __future__ import annotations

import random

from compute.numeral_words import NUMERAL_LANGUAGES, number_word
from compute.tasks import Prompt, Question, Split, Task

_RANGES: dict[str, tuple[int, int]] = {"train": (0, 60), "dev": (60, 80), "test": (80, 120)}


class LongerWord(Task):
    """Questions that are made; a task with data reads them here, and says where they come from."""

    def questions(self, language: str, split: Split) -> list[Question]:
        draw = random.Random(f"longer {language} {split}")
        first, last = _RANGES[split]
        questions = []
        for number in range(first, last):
            words = [number_word(number, language), number_word(draw.randrange(first, last), language)]
            if len(words[0]) == len(words[1]):
                continue
            gold = max((0, 1), key=lambda place: len(words[place]))
            fields = {"one": words[0], "other": words[1]}
            questions.append(Question(f"{split}-{number}", None, fields, (words[0], words[1]), gold))
        return questions


LONGER = LongerWord(
    name="longer",
    prompts=(Prompt("plain", "{one}, {other}: longer is"),),
    chance=0.5,
    languages=tuple(sorted(NUMERAL_LANGUAGES)),
    licence="CC0-1.0",
    source_url="https://example.org/longer",
)
