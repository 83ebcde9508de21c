"""Task `causal`: the likelier cause or effect of a premise, of two (XCOPA; Ponti et al., EMNLP 2020).

The source's 100 validation items are split into train and dev by `idx`, alike in all languages; its test is test.

The source's `question` (cause or effect) is wrong in some languages: always "effect" in Thai, and for 103 Turkish,
43 Swahili, 9 Indonesian and 9 Italian items of 600 not that of the other languages, where the choices themselves
say which it is. Estonian, Haitian, Quechua, Tamil, Vietnamese and Chinese agree on every item, so the relation of an
item is read from the Estonian file for all languages. `label` agrees everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from compute.catalog import CatalogedFile, find
from compute.errors import UserError
from compute.tasks.cataloged import CatalogedTask
from compute.tasks.checks import Located
from compute.tasks.order import stable_hash
from compute.tasks.reading import integer, read_json_lines, text
from compute.tasks.task import Prompt, Question, Split

REPOSITORY = "cambridgeltl/xcopa"
DEV_ITEMS = 20
_RELATIONS_FROM = "et"


@dataclass(frozen=True, kw_only=True)
class Causal(CatalogedTask):
    """A premise, "Cause" or "Effect", and two sentences; `parallel_id` is the source's split and `idx`."""

    def sources(self, language: str) -> tuple[CatalogedFile, ...]:
        return tuple(
            find(REPOSITORY, f"data/{of}/{part}.{of}.jsonl")
            for of in (language, _RELATIONS_FROM)
            for part in ("val", "test")
        )

    def read(self, language: str, paths: Sequence[Path]) -> Mapping[Split, list[Located]]:
        val, test, val_relations, test_relations = paths
        located = _read("val", val, val_relations)
        dev = set(sorted((question.item_id for question, _ in located), key=stable_hash)[:DEV_ITEMS])
        return {
            "train": [one for one in located if one[0].item_id not in dev],
            "dev": [one for one in located if one[0].item_id in dev],
            "test": _read("test", test, test_relations),
        }


def _read(part: str, path: Path, relations_path: Path) -> list[Located]:
    relations = {
        integer(row, "idx", place): text(row, "question", place) for place, row in read_json_lines(relations_path)
    }
    located = []
    for place, row in read_json_lines(path):
        idx = integer(row, "idx", place)
        if relations.get(idx) not in ("cause", "effect"):
            raise UserError(f"{place}: {relations_path} does not say whether item {idx} asks for cause or effect")
        question = Question(
            f"{part}-{idx}",
            f"{part}-{idx}",
            {"premise": text(row, "premise", place).strip(), "relation": relations[idx].capitalize()},
            (text(row, "choice1", place).strip(), text(row, "choice2", place).strip()),
            integer(row, "label", place),
        )
        located.append((question, place))
    return located


CAUSAL = Causal(
    name="causal",
    prompts=(
        Prompt("cloze", "{premise}\n{relation}:"),
        Prompt("lettered", "{premise}\n{relation}?\n{options}\nAnswer:", style="lettered"),
    ),
    chance=1 / 2,
    languages=("et", "ht", "id", "it", "qu", "sw", "ta", "th", "tr", "vi", "zh"),
    licence="CC-BY-4.0",
    source_url=f"https://github.com/{REPOSITORY}",
)
