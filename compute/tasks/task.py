"""What a task is: questions as a source states them, and the prompts by which they are put to a model.

A new task is one `Task` (a subclass with `questions`, or an entry in a table of an existing subclass, as in
`compute.tasks.numerals`) and one line in the registry of `compute.tasks`.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from string import Formatter
from typing import Any, Literal

from compute.names import UnknownName

Kind = Literal["choice", "generation"]
Split = Literal["train", "dev", "test"]
Style = Literal["cloze", "lettered"]

SPLITS: tuple[Split, ...] = ("train", "dev", "test")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class Question:
    """One question, before any prompt is written.

    Attributes:
        item_id: unique within (task, language).
        parallel_id: shared by the question's translations; None where there are none.
        fields: its texts by name, for a prompt's template.
        choices: the answers to choose from; of a generation task the one right answer.
        gold: index of the right choice, from 0.
        place: file and row it was read from, for what is said of it; None where it was made. No part of its identity.
        chat: (role, text) of the messages by which it is put to a model with a chat template. Empty: the prompt is the
            user's one message.
    """

    item_id: str
    parallel_id: str | None
    fields: Mapping[str, str]
    choices: tuple[str, ...]
    gold: int
    place: str | None = field(default=None, compare=False)
    chat: tuple[tuple[str, str], ...] = ()


_IDENTITY = tuple(field.name for field in fields(Question) if field.name not in ("place", "chat"))


@dataclass(frozen=True)
class Item:
    """A question as put to a model. What is scored is `context` followed by each choice's text.

    Attributes:
        item_id: as the question's.
        parallel_id: as the question's.
        context: the rendered prompt, without the answer.
        choices: the answers to choose from, each with the delimiter before it.
        gold: index of the right choice, from 0.
        place: as the question's.
        delimiter: what parts the choices from the context: no part of an answer's length, nor of an answer in a chat.
        chat: as the question's. A last message of the assistant's is one that the choices go on with.
    """

    item_id: str
    parallel_id: str | None
    context: str
    choices: tuple[str, ...]
    gold: int
    place: str | None = field(default=None, compare=False)
    delimiter: str = " "
    chat: tuple[tuple[str, str], ...] = ()

    @property
    def label(self) -> str:
        """Return what an error calls it: its id, and where it stands."""
        return f"item {self.item_id}" + (f" ({self.place})" if self.place else "")

    @property
    def answers(self) -> tuple[str, ...]:
        """The choices' own texts."""
        return tuple(choice.removeprefix(self.delimiter) for choice in self.choices)

    @property
    def chat_choices(self) -> tuple[str, ...]:
        """The choices as they follow in a chat: without the delimiter, but where the assistant's message is begun."""
        role, text = self.chat[-1] if self.chat else ("user", "")
        return self.choices if role == "assistant" and not text[-1:].isspace() else self.answers


@dataclass(frozen=True)
class Prompt:
    """How a question is written for a model.

    Attributes:
        id: the name by which a study asks for it.
        template: of the context, for `str.format`, over the question's fields. In the lettered style the template
            names `{options}` too: a line "A. <choice>" for each choice.
        style: what is chosen from: the answers' own texts (cloze) or their letters (lettered).
        delimiter: between context and answer.
    """

    id: str
    template: str
    style: Style = "cloze"
    delimiter: str = " "

    @property
    def label(self) -> str:
        """`<id>@<first 8 hexadecimal digits of a sha256>` of all the rest: another wording is another prompt."""
        text = json.dumps([self.template, self.style, self.delimiter], ensure_ascii=False)
        return f"{self.id}@{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    def item(self, question: Question) -> Item:
        """Return the question in this prompt's words.

        Raises:
            UnknownName: the template names a field that the question does not have.
            ValueError: more choices than letters.
        """
        fields, answers = dict(question.fields), question.choices
        if self.style == "lettered":
            if len(question.choices) > len(LETTERS):
                place = question.place or f"item {question.item_id}"
                raise ValueError(f"{place}: {len(question.choices)} choices, and there are {len(LETTERS)} letters")
            answers = tuple(LETTERS[: len(question.choices)])
            fields["options"] = "\n".join(
                f"{letter}. {choice}" for letter, choice in zip(answers, question.choices, strict=True)
            )
        for _, name, _, _ in Formatter().parse(self.template):
            if name is not None and name not in fields:
                raise UnknownName(f"field of prompt {self.id!r}", name, fields)
        return Item(
            question.item_id,
            question.parallel_id,
            self.template.format(**fields),
            tuple(self.delimiter + answer for answer in answers),
            question.gold,
            question.place,
            self.delimiter,
            question.chat,
        )


@dataclass(frozen=True)
class Generation:
    """How a generation task's answer is made (greedily) and read.

    Attributes:
        stop: texts that end the answer, themselves left out.
        max_new_tokens: the longest answer.
        answer: for `compute.tasks.answers.open_judge`: how the answer is read off what was generated.
        settings: further ones, as transformers' `generate` takes them.
    """

    stop: tuple[str, ...]
    max_new_tokens: int
    answer: str
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def identity(self) -> dict[str, Any]:
        """Return what stands for it in job keys; without settings the same as before there were any."""
        return {name: value for name, value in asdict(self).items() if name != "settings" or value}


@dataclass(frozen=True, kw_only=True)
class Task(ABC):
    """A task in one or more languages, with all that identifies it.

    Attributes:
        name: as in study files and in `raw.tasks`.
        prompts: how its questions may be put; the first is used unless a study names another.
        chance: accuracy of a guess, 0 to 1.
        languages: ISO 639-1 codes, else 639-3.
        licence: SPDX identifier of the data.
        source_url: where the data come from.
        splits: those that have questions; a task without `train` is a target only.
        kind: whether a choice is scored or a text generated.
        primary_metric: the metric that marts report by default.
        generation: of a generation task.
    """

    name: str
    prompts: tuple[Prompt, ...]
    chance: float
    languages: tuple[str, ...]
    licence: str
    source_url: str
    splits: tuple[Split, ...] = SPLITS
    kind: Kind = "choice"
    primary_metric: str = "acc"
    generation: Generation | None = None

    @abstractmethod
    def questions(self, language: str, split: Split) -> list[Question]:
        """Return the questions of a split, always in the same order: the first n are a fair sample of it.

        Empty for a split that the task does not have.

        Raises:
            UnknownName: a language that the task does not have.
            compute.errors.UserError: data that cannot be had or are damaged; the line names file and row.
        """

    def check_language(self, language: str) -> None:
        """Raise UnknownName for a language that the task does not have."""
        if language not in self.languages:
            raise UnknownName(f"language of task {self.name!r}", language, self.languages)

    def dropped(self, language: str) -> Mapping[str, int]:
        """Return how many rows of a language's source are no questions, by reason; empty where all are. Raises as
        above."""
        return {}

    def size(self, language: str, split: Split) -> int | None:
        """Return how many questions a split has; None where only reading data that may have to be fetched would
        tell."""
        return len(self.questions(language, split))

    def counted(self, language: str, split: Split) -> int | None:
        """Return how many questions a split has, for a study that asks for a number of them: where `size` does not
        know, the data are read if whoever computes reads the same. None: not even so."""
        return self.size(language, split)

    @property
    def facts(self) -> dict[str, str | float]:
        """Return what `raw.tasks` says of the task, the digest of its data apart."""
        return {
            "task": self.name,
            "kind": self.kind,
            "primary_metric": self.primary_metric,
            "chance": self.chance,
            "licence": self.licence,
            "source_url": self.source_url,
        }

    def prompt(self, name: str | None = None) -> Prompt:
        """Return the prompt of that id; the first if None.

        Raises:
            UnknownName: the task has no such prompt.
        """
        if name is None:
            return self.prompts[0]
        found = next((prompt for prompt in self.prompts if prompt.id == name), None)
        if found is None:
            raise UnknownName(f"prompt of task {self.name!r}", name, [prompt.id for prompt in self.prompts])
        return found

    def items(self, language: str, split: Split, prompt: str | None = None) -> list[Item]:
        """Return the questions of a split under the prompt of that id."""
        render = self.prompt(prompt).item
        return [render(question) for question in self.questions(language, split)]

    def digest(self, language: str) -> str:
        """sha256 (hexadecimal) that stands for all questions of a language in all splits: the revision of the data.

        Here it is over the questions themselves; a task whose data are pinned may derive it without reading them. An
        empty chat is left out: tasks that were there before chats were have the digests that they had.
        """
        digest = hashlib.sha256()
        encode = json.JSONEncoder(ensure_ascii=False).encode
        for split in self.splits:
            for question in self.questions(language, split):
                # Not `asdict`, which copies every text of them, and takes three times as long as the rest.
                content = {name: getattr(question, name) for name in _IDENTITY}
                if question.chat:
                    content["chat"] = question.chat
                digest.update(encode([split, content]).encode())
        return digest.hexdigest()
