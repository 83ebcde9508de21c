"""Task `topic`: what a sentence is about, seven ways (SIB-200; Adelani et al., EACL 2024).

The sentences are FLORES-200's, translated by people from the same English ones; the splits are the source's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from compute.catalog import CatalogedFile, find
from compute.errors import UserError
from compute.names import UnknownName
from compute.tasks.cataloged import CatalogedTask
from compute.tasks.checks import Located
from compute.tasks.reading import read_tsv
from compute.tasks.task import SPLITS, Prompt, Question, Split

REPOSITORY = "dadelani/sib-200"
TOPICS = ("entertainment", "geography", "health", "politics", "science/technology", "sports", "travel")
FOLDERS = {
    "ar": "arb_Arab", "de": "deu_Latn", "en": "eng_Latn", "es": "spa_Latn", "fi": "fin_Latn", "fr": "fra_Latn",
    "hi": "hin_Deva", "hr": "hrv_Latn", "it": "ita_Latn", "pt": "por_Latn", "ru": "rus_Cyrl", "tr": "tur_Latn",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Topic(CatalogedTask):
    """A sentence and seven topics; `parallel_id` is the source's `index_id`."""

    def sources(self, language: str) -> tuple[CatalogedFile, ...]:
        return tuple(find(REPOSITORY, f"data/annotated/{FOLDERS[language]}/{split}.tsv") for split in SPLITS)

    def read(self, language: str, paths: Sequence[Path]) -> Mapping[Split, list[Located]]:
        return {split: _read(path) for split, path in zip(SPLITS, paths, strict=True)}


def _read(path: Path) -> list[Located]:
    located = []
    for place, row in read_tsv(path, ("index_id", "category", "text"), header=True, quoted=True):
        if row["category"] not in TOPICS:
            raise UserError(f"{place}: {UnknownName('topic', row['category'], TOPICS)}")
        fields = {"text": row["text"].strip()}
        question = Question(row["index_id"], row["index_id"], fields, TOPICS, TOPICS.index(row["category"]))
        located.append((question, place))
    return located


TOPIC = Topic(
    name="topic",
    prompts=(
        Prompt("cloze", "Text: {text}\nTopic:"),
        Prompt("lettered", "Text: {text}\nWhat is the topic of the text?\n{options}\nAnswer:", style="lettered"),
    ),
    chance=1 / len(TOPICS),
    languages=tuple(FOLDERS),
    licence="Apache-2.0 AND CC-BY-SA-4.0",
    source_url=f"https://github.com/{REPOSITORY}",
)
