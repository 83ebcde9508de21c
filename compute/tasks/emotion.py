"""Task `emotion`: the emotion of a subtitle, eight ways (XED; Öhman et al., COLING 2020).

Lines with several emotions are left out, and counted. English and Finnish lines were annotated; the other languages'
are subtitles of the same films and carry the label of the English line that they translate. The files have no ids:
`compute.tasks.emotion_lines` says which line is which. So:

* Films are split, not lines. All translations of a line, and all lines of a film, are on one side in every language.
* `parallel_id` names the annotated line. All but 0 to 4 lines of a projection have one.
* A line whose text, or whose English original's text, occurs on two sides is trained on or left out.
* English and Finnish lines that are in none of the films that others translate (half and nine tenths of them) have
  no `parallel_id` and are split by a hash of their text.

What cannot be guarded: of those last lines no film is known, so neighbours may be on two sides, and an English and a
Finnish one may translate each other. And one text may be a word of two languages ("ok", "calma"): of all texts of
test 13 stand in another language's train.
"""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from compute.catalog import CatalogedFile, fetch, find
from compute.tasks.cataloged import CatalogedTask
from compute.tasks.checks import Located
from compute.tasks.emotion_lines import ANNOTATED, LABELS, PROJECTIONS, TABLE, known_lines, normalized
from compute.tasks.order import stable_hash
from compute.tasks.reading import read_lines
from compute.tasks.task import SPLITS, Prompt, Question, Split

REPOSITORY = "Helsinki-NLP/XED"
EMOTIONS = ("anger", "anticipation", "disgust", "fear", "joy", "sadness", "surprise", "trust")
"""In the order of the source's labels 1 to 8."""

MALFORMED = "not a text and its labels"
SEVERAL = "several emotions"
UNSAFE = "stands, or its English original does, in films of two splits"
REPEATED = "its text is also in an earlier split"


@dataclass(frozen=True, kw_only=True)
class Emotion(CatalogedTask):
    """A subtitle and eight emotions; an item is its line in the source's file."""

    def sources(self, language: str) -> tuple[CatalogedFile, ...]:
        path = (
            f"AnnotatedData/{language}-annotated.tsv"
            if language in ANNOTATED
            else f"Projections/{language}-projections.tsv"
        )
        return (find(REPOSITORY, path),)

    def rules(self) -> tuple[str, ...]:
        return (_table_digest(),)

    def read(self, language: str, paths: Sequence[Path]) -> Mapping[Split, list[Located]]:
        return _read(language, paths[0])[0]

    def dropped(self, language: str) -> dict[str, int]:
        """See `Task.dropped`."""
        self.check_language(language)
        return dict(_read(language, fetch(self.sources(language)[0]))[1])


@cache
def _table_digest() -> str:
    return hashlib.sha256(TABLE.read_bytes()).hexdigest()


def _read(language: str, path: Path) -> tuple[dict[Split, list[Located]], Counter[str]]:
    """Return the questions, and how many lines are none, by reason."""
    splits: dict[Split, list[Located]] = {split: [] for split in SPLITS}
    dropped: Counter[str] = Counter()
    known = known_lines(language)
    for place, line in read_lines(path):
        cells = next(csv.reader([line], delimiter="\t"), [])
        if len(cells) != 2 or not cells[0].strip() or not LABELS.fullmatch(cells[1]):
            dropped[MALFORMED] += 1
            continue
        if len(cells[1]) > 1:
            dropped[SEVERAL] += 1
            continue
        origin = known.get(place.row)
        split = _split_by_text(cells[0]) if origin is None else origin.split
        if split is None:
            dropped[UNSAFE] += 1
            continue
        item_id, parallel_id = str(place.row), None if origin is None else origin.source
        question = Question(item_id, parallel_id, {"text": cells[0].strip()}, EMOTIONS, int(cells[1]) - 1)
        splits[split].append((question, place))
    seen: set[str] = set()
    for split in SPLITS:
        texts = [normalized(question.fields["text"]) for question, _ in splits[split]]
        fresh = [one for one, text in zip(splits[split], texts, strict=True) if text not in seen]
        dropped[REPEATED] += len(splits[split]) - len(fresh)
        splits[split] = fresh
        seen.update(texts)
    return splits, dropped


def _split_by_text(text: str) -> Split:
    tenth = int(stable_hash("emotion", normalized(text))[:8], 16) % 10
    return "test" if tenth < 2 else "dev" if tenth == 2 else "train"


EMOTION = Emotion(
    name="emotion",
    prompts=(
        Prompt("cloze", "Subtitle: {text}\nEmotion:"),
        Prompt(
            "lettered",
            "Subtitle: {text}\nWhich emotion does the subtitle express?\n{options}\nAnswer:",
            style="lettered",
        ),
    ),
    chance=1 / len(EMOTIONS),
    languages=tuple(sorted((*ANNOTATED, *PROJECTIONS))),
    licence="CC-BY-4.0",
    source_url=f"https://github.com/{REPOSITORY}",
)
