"""The four benchmarks of "Donors and Recipients" (Dymkiewicz et al., arXiv 2511.13368), in its aligned versions.

Data sets on the Hugging Face hub, one configuration a language, with the same train and test ids in all of them. Dev
is the tenth of train that the paper's trainer held out: the rows in the order of their ids, permuted by NumPy's
generator of seed 42, the first tenth rounded up (what `datasets`' `train_test_split(test_size=0.1, seed=42)` does).

Prompts: `lettered` is what the paper trains with (TruthfulQA apart, which it trains as `cloze`), `cloze` what it
evaluates with, as lm-evaluation-harness's multilingual tasks write it (Global-MMLU apart, which those ask as
`lettered`). Two things of the paper's evaluation are not here: its six-example English preamble of TruthfulQA, and its
order of TruthfulQA's choices, which always has the right one first; here it is shuffled, alike in all languages.

Schema and ids are those of the paper's repository (github.com/kdymkiewicz/Donors-and-Recipients at 5869b71:
`dataset_processors/`, `split_benchmarks.py`). The files' names are how `datasets` names what it publishes. It gives no
revision of the published data sets and no digests, so the branch `main` is read and the number of rows is checked.
"""

from __future__ import annotations

import math
import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from compute.catalog import HubFile
from compute.errors import UserError
from compute.tasks.cataloged import CatalogedTask
from compute.tasks.checks import Located, check_questions
from compute.tasks.order import stable_hash
from compute.tasks.reading import Place, Record, identifier, text, texts
from compute.tasks.task import LETTERS, Prompt, Question, Split

LANGUAGES = ("ar", "bn", "de", "en", "es", "fr", "hi", "id", "it", "pt", "zh")
DEV_SHARE, DEV_SEED = 0.1, 42


@dataclass(frozen=True, kw_only=True)
class CoreGridTask(CatalogedTask):
    """A benchmark of the paper.

    Attributes:
        repository: the data set on the hub.
        id_column: the column whose values all languages share: `parallel_id`.
        rows: how many the published files have.
    """

    repository: str
    id_column: str
    rows: tuple[tuple[str, int], ...] = (("train", 300), ("test", 400))
    languages: tuple[str, ...] = LANGUAGES

    @abstractmethod
    def question(self, item_id: str, row: Record, place: Place) -> Question:
        """Return a row as a question. Raises UserError, naming the row."""

    def sources(self, language: str) -> tuple[HubFile, ...]:
        return tuple(
            HubFile(self.repository, "main", f"{language}/{part}-00000-of-00001.parquet", self.licence)
            for part, _ in self.rows
        )

    def size(self, language: str, split: Split) -> int | None:
        """See `Task.size`. Other numbers of rows are refused when the files are read."""
        self.check_language(language)
        rows = dict(self.rows)
        dev = _held_out(rows["train"])
        return {"train": rows["train"] - dev, "dev": dev, "test": rows["test"]}[split]

    def read(self, language: str, paths: Sequence[Path]) -> Mapping[Split, list[Located]]:
        train, test = (self._read(path, number) for path, (_, number) in zip(paths, self.rows, strict=True))
        permuted = np.random.default_rng(DEV_SEED).permutation(len(train))
        held_out = set(permuted[: _held_out(len(train))].tolist())
        return {
            "train": [one for position, one in enumerate(train) if position not in held_out],
            "dev": [one for position, one in enumerate(train) if position in held_out],
            "test": test,
        }

    def check(self, splits: Mapping[Split, list[Located]]) -> None:
        # Machine translation has made some choices the same; published scores include such questions.
        check_questions(self.kind, splits)

    def _read(self, path: Path, number: int) -> list[Located]:
        """Return the questions of a file in the order of their ids."""
        try:
            rows = pl.read_parquet(path).to_dicts()
        except (OSError, pl.exceptions.PolarsError) as error:
            raise UserError(f"{path}: not a Parquet file: {str(error).splitlines()[0]}") from None
        if len(rows) != number:
            raise UserError(f"{path}: {len(rows)} rows, and {number} were published")
        places = [Place(path, position) for position in range(1, len(rows) + 1)]
        ids = [identifier(row, self.id_column, place) for row, place in zip(rows, places, strict=True)]
        order = sorted(range(len(rows)), key=lambda position: rows[position][self.id_column])
        return [(self.question(ids[at], rows[at], places[at]), places[at]) for at in order]


def _held_out(rows: int) -> int:
    """Return how many of `rows` of train are dev."""
    return math.ceil(DEV_SHARE * rows)


def _tidy(raw: str) -> str:
    """Without WikiHow's marks in square brackets and one of two spaces, as the harness's multilingual tasks do it.

    Unlike there a text that is nothing but brackets stays as it is: an empty choice cannot be scored.
    """
    tidied = re.sub(r"\[.*?\]", "", raw.strip().replace(" [title]", ". ")).replace("  ", " ")
    return tidied if tidied.strip() else raw.strip()


def _with_parentheses(choices: Sequence[str]) -> str:
    return "\n".join(f"{letter}) {choice}" for letter, choice in zip(LETTERS, choices, strict=False))


def _lettered_choices(row: Record, place: Place) -> tuple[list[str], int]:
    """Return the columns `option_a`, `option_b`, ... that have a text, and the index of `answer` among them."""
    letters = [letter for letter in "ABCDE" if row.get(f"option_{letter.lower()}")]
    answer = text(row, "answer", place).strip().upper()
    if answer not in letters:
        raise UserError(f"{place}: answer: expected one of {', '.join(letters) or 'option_a ...'}, found {answer!r}")
    return [text(row, f"option_{letter.lower()}", place) for letter in letters], letters.index(answer)


@dataclass(frozen=True, kw_only=True)
class ArcChallenge(CoreGridTask):
    """Questions of school science (Clark et al., 2018), machine-translated."""

    def question(self, item_id: str, row: Record, place: Place) -> Question:
        raw, gold = _lettered_choices(row, place)
        choices = tuple(_tidy(choice) for choice in raw)
        fields = {
            "question": _tidy(text(row, "instruction", place)),
            "options_in_parentheses": _with_parentheses(choices),
        }
        return Question(item_id, item_id, fields, choices, gold)


@dataclass(frozen=True, kw_only=True)
class GlobalMmluLite(CoreGridTask):
    """Exam questions of 57 subjects (Singh et al., 2025), translated by people or checked by them."""

    def question(self, item_id: str, row: Record, place: Place) -> Question:
        choices, gold = _lettered_choices(row, place)
        return Question(item_id, item_id, {"question": text(row, "question", place).strip()}, tuple(choices), gold)


@dataclass(frozen=True, kw_only=True)
class HellaSwag(CoreGridTask):
    """The likeliest ending of a description (Zellers et al., 2019), machine-translated."""

    def question(self, item_id: str, row: Record, place: Place) -> Question:
        first, second = (text(row, key, place) if row.get(key) is not None else "" for key in ("ctx_a", "ctx_b"))
        label = identifier(row, "label", place)
        if not label.strip().isdecimal():
            raise UserError(f"{place}: label: expected the number of an ending, found {label!r}")
        choices = tuple(_tidy(ending) for ending in texts(row, "endings", place))
        fields = {
            "description": _tidy(f"{text(row, 'activity_label', place)}: {first} {second.capitalize()}"),
            "options_in_parentheses": _with_parentheses(choices),
        }
        return Question(item_id, item_id, fields, choices, int(label))


@dataclass(frozen=True, kw_only=True)
class TruthfulQa(CoreGridTask):
    """Questions that people answer wrongly (Lin et al., 2022), one right answer (mc1), machine-translated.

    Choices are shuffled by a hash of the question's id and their place, so that a letter does not give the answer away.
    """

    def question(self, item_id: str, row: Record, place: Place) -> Question:
        choices = texts(row, "mc1_targets_choices", place)
        labels = row.get("mc1_targets_labels")
        if not isinstance(labels, list) or (labels.count(1), labels.count(0)) != (1, len(choices) - 1):
            raise UserError(f"{place}: mc1_targets_labels: expected a 1 and otherwise 0, one for each choice")
        order = sorted(range(len(choices)), key=lambda position: stable_hash(item_id, str(position)))
        fields = {"question": _tidy(text(row, "question", place))}
        return Question(item_id, item_id, fields, tuple(choices[at] for at in order), order.index(labels.index(1)))


_CLOZE = Prompt("cloze", "Question: {question}\nAnswer:")

ARC_CHALLENGE = ArcChallenge(
    name="arc_challenge",
    repository="Dr4kl3s/arc_challenge_core_grid_seed42",
    id_column="id",
    prompts=(
        _CLOZE,
        Prompt("lettered", "Question: {question}\n{options_in_parentheses}\nAnswer:", style="lettered"),
    ),
    chance=1 / 4,
    licence="CC-BY-NC-4.0",
    source_url="https://huggingface.co/datasets/Dr4kl3s/arc_challenge_core_grid_seed42",
    primary_metric="acc_norm",
)
GLOBAL_MMLU_LITE = GlobalMmluLite(
    name="global_mmlu_lite",
    repository="Dr4kl3s/global_mmlu_lite_core_grid_seed42",
    id_column="sample_id",
    rows=(("train", 215), ("test", 400)),
    prompts=(_CLOZE, Prompt("lettered", "{question}\n{options}\nAnswer:", style="lettered")),
    chance=1 / 4,
    licence="Apache-2.0",
    source_url="https://huggingface.co/datasets/Dr4kl3s/global_mmlu_lite_core_grid_seed42",
)
HELLASWAG = HellaSwag(
    name="hellaswag",
    repository="Dr4kl3s/hellaswag_coregrid_seed42",
    id_column="id",
    prompts=(
        Prompt("cloze", "{description}"),
        Prompt("lettered", "{description}\n{options_in_parentheses}\nAnswer:", style="lettered"),
    ),
    chance=1 / 4,
    licence="CC-BY-NC-4.0",
    source_url="https://huggingface.co/datasets/Dr4kl3s/hellaswag_coregrid_seed42",
    primary_metric="acc_norm",
)
TRUTHFULQA = TruthfulQa(
    name="truthfulqa",
    repository="Dr4kl3s/truthfulqa_coregrid_seed42",
    id_column="truth_id",
    prompts=(_CLOZE, Prompt("lettered", "Question: {question}\n{options}\nAnswer:", style="lettered")),
    # Questions have 2 to 13 choices; this is the level of chance reported for mc1 over all 817 of them.
    chance=0.226,
    licence="CC-BY-NC-4.0",
    source_url="https://huggingface.co/datasets/Dr4kl3s/truthfulqa_coregrid_seed42",
)
