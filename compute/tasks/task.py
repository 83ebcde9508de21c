"""What a task is: named questions with a fixed prompt, the same for every model.

A new task is one `Task` (a subclass with `items`, or an entry in a table of an existing subclass, as in
`compute.tasks.numerals`) and one line in the registry of `compute.tasks`.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

Kind = Literal["choice", "generation"]
Split = Literal["train", "dev", "test"]

SPLITS: tuple[Split, ...] = ("train", "dev", "test")


@dataclass(frozen=True)
class Item:
    """One question. What is scored is `context` followed by each choice's text.

    Attributes:
        item_id: unique within (task, language).
        parallel_id: shared by the item's translations; None where there are none.
        context: the rendered prompt, without the answer.
        choices: the answers to choose from, each with its own leading space if it needs one.
        gold: index of the right choice, from 0.
    """

    item_id: str
    parallel_id: str | None
    context: str
    choices: tuple[str, ...]
    gold: int


@dataclass(frozen=True)
class Prompt:
    """A prompt format; `template` is a `str.format` template over named parts."""

    id: str
    template: str

    @property
    def label(self) -> str:
        """`<id>@<first 8 hexadecimal digits of the template's sha256>`: another wording is another prompt."""
        return f"{self.id}@{hashlib.sha256(self.template.encode()).hexdigest()[:8]}"

    def render(self, **parts: str) -> str:
        """The context for these parts."""
        return self.template.format(**parts)


@dataclass(frozen=True, kw_only=True)
class Task(ABC):
    """A task in one or more languages, with all that identifies it.

    Attributes:
        name: as in study files and in `raw.tasks`.
        prompt: how its contexts are written.
        chance: accuracy of a guess, 0 to 1.
        languages: ISO 639-1 codes, else 639-3.
        licence: SPDX identifier of the data.
        source_url: where the data come from.
        kind: whether a choice is scored or a text generated.
        primary_metric: the metric that marts report by default.
    """

    name: str
    prompt: Prompt
    chance: float
    languages: tuple[str, ...]
    licence: str
    source_url: str
    kind: Kind = "choice"
    primary_metric: str = "acc"

    @abstractmethod
    def items(self, language: str, split: Split) -> list[Item]:
        """The items of a split, always in the same order: the first n are a fair sample of it.

        Raises:
            compute.names.UnknownName: a language that the task does not have.
        """

    def digest(self, language: str) -> str:
        """sha256 (hexadecimal) over all items of a language in all splits: the revision of the data."""
        digest = hashlib.sha256()
        for split in SPLITS:
            for item in self.items(language, split):
                fields = [split, item.item_id, item.parallel_id, item.context, item.choices, item.gold]
                digest.update(json.dumps(fields, ensure_ascii=False).encode())
        return digest.hexdigest()
