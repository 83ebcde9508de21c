"""A user's own task, without Python: a folder of JSONL, and a few lines in the study.

    <folder>/<language>/train.jsonl   dev.jsonl   test.jsonl

    {"item_id": "7", "parallel_id": "7", "context": "2 + 2 =", "choices": ["3", "4"], "gold": 1}

Languages are ISO 639-1 codes, else 639-3. A split is there if its file is; without `train.jsonl` a language is a
target only. `parallel_id` is shared by an item's translations; leave it out where there are none.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from string import Formatter
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from compute.errors import UserError, reading
from compute.names import UnknownName
from compute.project import expand
from compute.store.digests import content_digest
from compute.tasks.checks import Located, check_distinct_choices, check_meanings, check_questions, with_places
from compute.tasks.order import fair_order
from compute.tasks.reading import Place, identifier, integer, known_keys_only, read_json_lines, text, texts
from compute.tasks.task import SPLITS, Prompt, Question, Split, Style, Task
from compute.values import Section

Fields = tuple[tuple[str, str], ...]

KEYS = ("item_id", "context", "choices", "gold", "parallel_id")


class FolderPrompt(Section):
    """How the questions are written; a bare text is a template of the cloze style."""

    template: str = Field(description="over {context}; in the lettered style {options} too")
    style: Style = Field("cloze", description="cloze: the answer is scored; lettered: its letter is")
    delimiter: str = Field(" ", description="between context and answer")

    @model_validator(mode="after")
    def _template_fits(self) -> FolderPrompt:
        try:
            parts = [part for part in Formatter().parse(self.template) if part[1] is not None]
        except ValueError as error:
            raise ValueError(f"template: {error}; a brace that is meant is written twice") from None
        expected = ("context", "options") if self.style == "lettered" else ("context",)
        names = [name for _, name, _, _ in parts if name is not None]
        for _, name, specification, conversion in parts:
            if name not in expected:
                raise UnknownName("field of the template", str(name), expected)
            if specification or conversion:
                raise ValueError(f"template: write {{{name}}} alone, without a format")
        for name in expected:
            if name not in names:
                raise ValueError(f"template: {{{name}}} is missing, and the {self.style} style needs it")
        return self


def _bare_template(value: object) -> object:
    return {"template": value} if isinstance(value, str) else value


CLOZE = FolderPrompt(template="{context}")
LETTERED = FolderPrompt(template="{context}\n{options}\nAnswer:", style="lettered")


class FolderTaskSettings(Section):
    """What a study says of a folder; only `folder` is required."""

    folder: str = Field(min_length=1, description="path of the folder, from where the command is run")
    prompts: dict[str, Annotated[FolderPrompt, BeforeValidator(_bare_template)]] = Field(
        default={"cloze": CLOZE, "lettered": LETTERED}, min_length=1, description="by name; the first is the default"
    )
    fields: dict[Literal["item_id", "context", "choices", "gold", "parallel_id"], str] = Field(
        default_factory=dict,
        description="what the files call a key, where they call it otherwise: {context: question, gold: answer}",
    )
    chance: float | None = Field(
        None, ge=0, le=1, description="accuracy of a guess; left out: 1 / number of choices, if all have as many"
    )
    primary_metric: Literal["acc", "acc_norm", "acc_bytes"] = Field("acc", description="the metric that verdicts use")
    licence: str = Field("NOASSERTION", min_length=1, description="SPDX identifier of the data")
    source_url: str = Field("", description="where the data come from")


@dataclass(frozen=True, kw_only=True)
class FolderTask(Task):
    """A task over the files of a folder.

    Attributes:
        files: by language, those that are there by split.
        sizes: questions in each.
        fields: what the files call a key of ours, where they call it otherwise.
    """

    files: Mapping[str, Mapping[Split, Path]]
    sizes: Mapping[str, Mapping[Split, int]]
    fields: Fields = ()

    @classmethod
    def open(cls, name: str, settings: FolderTaskSettings, language: str | None = None) -> FolderTask:
        """Open the task in a folder. All of it is read and checked, once a process: a study of bad data never starts.

        Later openings look at the files of their language alone, and read all again when one of them has changed.

        Args:
            language: the splits of the task are those of this language; None: those of any.

        Raises:
            UserError: there is no such folder, nothing in it, or what is in it is not as described above; the line
                names the file and row.
            UnknownName: the folder does not have the language.
        """
        fields = tuple(sorted(settings.fields.items()))
        contents = _contents(expand(settings.folder), fields, language)
        files = contents.files
        if language is not None and language not in files:
            raise UnknownName(f"language of task {name!r}", language, files)
        of_interest = [files[language]] if language is not None else list(files.values())
        return cls(
            name=name,
            prompts=tuple(Prompt(id=key, **prompt.model_dump()) for key, prompt in settings.prompts.items()),
            chance=_chance(contents.choices) if settings.chance is None else settings.chance,
            languages=tuple(files),
            licence=settings.licence,
            source_url=settings.source_url,
            splits=tuple(split for split in SPLITS if any(split in of_language for of_language in of_interest)),
            primary_metric=settings.primary_metric,
            files=files,
            sizes=contents.sizes,
            fields=fields,
        )

    def questions(self, language: str, split: Split) -> list[Question]:
        """See `Task.questions`."""
        self.check_language(language)
        located = _located(_versions(self.files[language]), self.fields).get(split, ())
        return list(fair_order(with_places(located)))

    def size(self, language: str, split: Split) -> int:
        """See `Task.size`. As of when the folder was read."""
        self.check_language(language)
        return self.sizes[language].get(split, 0)

    def digest(self, language: str) -> str:
        """See `Task.digest`. Over the files' bytes, and what their keys are called if that is said."""
        self.check_language(language)
        digest = hashlib.sha256()
        for split, (path, _, _) in _versions(self.files[language]):
            digest.update(f"{split} {content_digest(path)}\n".encode())
        for ours, theirs in self.fields:
            digest.update(f"{ours}={theirs}\n".encode())
        return digest.hexdigest()


_Version = tuple[Path, int, int]
"""A file, its size and its time of change: what was read once is read again when one of them differs."""


def _version(path: Path) -> _Version:
    with reading(path):
        stat = path.stat()
        return path, stat.st_size, stat.st_mtime_ns


def _versions(files: Mapping[Split, Path]) -> tuple[tuple[Split, _Version], ...]:
    return tuple((split, _version(path)) for split, path in files.items())


@dataclass(frozen=True)
class _Contents:
    """What was found in a folder when all of it was read.

    Attributes:
        changed: the folder's own time of change: languages come and go.
        files: by language and split.
        versions: of each language's files.
        sizes: questions of each of them.
        choices: how many choices questions have, and where one of them stands.
    """

    changed: int
    files: Mapping[str, Mapping[Split, Path]]
    versions: Mapping[str, tuple[tuple[Split, _Version], ...]]
    sizes: Mapping[str, Mapping[Split, int]]
    choices: Mapping[int, Place]

    def still_holds(self, folder: Path, language: str) -> bool:
        """Tell whether the folder has the languages it had, and this one the files."""
        files = _files_of(folder / language)
        return folder.stat().st_mtime_ns == self.changed and _versions(files) == self.versions.get(language)


_known: dict[tuple[Path, Fields], _Contents] = {}


def _contents(folder: Path, fields: Fields, language: str | None) -> _Contents:
    """Return what is in a folder, read and checked whole unless it was before."""
    known = _known.get((folder, fields))
    if known is not None and language is not None and folder.is_dir() and known.still_holds(folder, language):
        return known
    files = _files(folder)
    versions = {code: _versions(of_language) for code, of_language in files.items()}
    if known is None or known.versions != versions:
        located = {code: _located(of_language, fields) for code, of_language in versions.items()}
        check_meanings(located.values())
        sizes = {code: {split: len(rows) for split, rows in splits.items()} for code, splits in located.items()}
        known = _Contents(folder.stat().st_mtime_ns, files, versions, sizes, _choices(located.values()))
    known = replace(known, changed=folder.stat().st_mtime_ns)
    _known[folder, fields] = known
    return known


def _files_of(directory: Path) -> dict[Split, Path]:
    return {split: path for split in SPLITS if (path := directory / f"{split}.jsonl").is_file()}


def _files(folder: Path) -> dict[str, dict[Split, Path]]:
    """By language and split, in order."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    found: dict[str, dict[Split, Path]] = {}
    for directory in sorted(path for path in folder.iterdir() if path.is_dir()):
        splits = _files_of(directory)
        if splits and not re.fullmatch("[a-z]{2,3}", directory.name):
            raise UserError(f"{directory}: expected the code of a language (ISO 639-1, else 639-3)")
        if splits:
            found[directory.name] = splits
    if not found:
        raise UserError(f"{folder}: no <language>/<split>.jsonl in it; splits are {', '.join(SPLITS)}")
    return found


@lru_cache(maxsize=256)
def _located(files: tuple[tuple[Split, _Version], ...], fields: Fields) -> dict[Split, list[Located]]:
    splits = {split: _read(path, dict(fields)) for split, (path, _, _) in files}
    check_questions("choice", splits)
    check_distinct_choices(splits)
    return splits


def _read(path: Path, fields: Mapping[str, str]) -> list[Located]:
    item_id, context, choices, gold, parallel_id = (fields.get(key, key) for key in KEYS)
    located = []
    for place, record in read_json_lines(path):
        known_keys_only(record, (item_id, context, choices, gold, parallel_id), place)
        question = Question(
            identifier(record, item_id, place),
            identifier(record, parallel_id, place) if record.get(parallel_id) is not None else None,
            {"context": text(record, context, place)},
            texts(record, choices, place),
            integer(record, gold, place),
        )
        located.append((question, place))
    if not located:
        raise UserError(f"{path}: no questions in it")
    return located


def _choices(languages: Iterable[Mapping[Split, Sequence[Located]]]) -> dict[int, Place]:
    numbers: dict[int, Place] = {}
    for splits in languages:
        for located in splits.values():
            for question, place in located:
                numbers.setdefault(len(question.choices), place)
    return numbers


def _chance(choices: Mapping[int, Place]) -> float:
    """Return 1 / number of choices. Raises UserError if not all questions have as many."""
    if len(choices) > 1:
        (one, place), (other, other_place) = list(choices.items())[:2]
        raise UserError(
            f"{other_place}: {other} choices, and {one} in {place}: say the task's `chance`, the accuracy of a guess"
        )
    return 1 / next(iter(choices))
