"""Task `arithmetic`: word problems of primary school, answered in digits (MGSM; Shi et al., ICLR 2023).

A target only: the source has no training data in these languages. The first 250 test problems of GSM8K, translated
by people; every row has the same answer in all languages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from compute.catalog import CatalogedFile, find
from compute.errors import UserError
from compute.tasks.answers import final_number
from compute.tasks.cataloged import CatalogedTask
from compute.tasks.checks import Located
from compute.tasks.reading import read_tsv
from compute.tasks.task import Generation, Prompt, Question, Split

REPOSITORY = "google-research/url-nlp"


@dataclass(frozen=True, kw_only=True)
class Arithmetic(CatalogedTask):
    """A word problem and the number that solves it; `parallel_id` is the row."""

    def sources(self, language: str) -> tuple[CatalogedFile, ...]:
        return (find(REPOSITORY, f"mgsm/mgsm_{language}.tsv"),)

    def read(self, language: str, paths: Sequence[Path]) -> Mapping[Split, list[Located]]:
        located = []
        for place, row in read_tsv(paths[0], ("problem", "answer"), header=False, quoted=False):
            number = final_number(row["answer"])
            if number is None:
                raise UserError(f"{place}: answer: expected a number, found {row['answer']!r}")
            fields = {"problem": row["problem"].strip()}
            located.append((Question(str(place.row), str(place.row), fields, (number,), 0), place))
        return {"test": located}


ARITHMETIC = Arithmetic(
    name="arithmetic",
    kind="generation",
    primary_metric="exact_match",
    prompts=(
        Prompt("steps", "Question: {problem}\nSolve it step by step and end with the number.\nAnswer:"),
        Prompt("direct", "Question: {problem}\nAnswer:"),
    ),
    generation=Generation(stop=("Question:",), max_new_tokens=512, answer="final_number"),
    chance=0.0,
    languages=("de", "en", "es", "fr", "ru"),
    splits=("test",),
    licence="CC-BY-4.0",
    source_url=f"https://github.com/{REPOSITORY}/tree/main/mgsm",
)
