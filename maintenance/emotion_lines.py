"""Derives `compute/tasks/emotion_lines.tsv`, which `compute.tasks.emotion_lines` describes.

python -m maintenance.emotion_lines <clone of Helsinki-NLP/XED> > compute/tasks/emotion_lines.tsv
"""

from __future__ import annotations

import random
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from compute.tasks.emotion_lines import COLUMNS, LABELS, PROJECTIONS, normalized
from compute.tasks.order import stable_hash
from compute.tasks.reading import read_lines, read_tsv
from compute.tasks.task import Split

_SHARES: dict[Split, float] = {"train": 0.7, "dev": 0.1, "test": 0.2}
_DRAWS = 20_000
Source = tuple[str, str]
"""A film (year and number in OpenSubtitles) and the number of a line, or of several joined, in its subtitles."""


def derive(clone: Path) -> Iterator[str]:
    """Yield the lines of the table, from a clone of Helsinki-NLP/XED at the cataloged commit."""
    annotated = _annotated_lines(clone / "subtitle-retrieval/students/student_annotations.csv")
    candidates = {language: _projected(clone, language) for language in PROJECTIONS}
    candidates |= {
        "en": _english(clone / "AnnotatedData/en-annotated.tsv", annotated),
        "fi": _finnish(clone),
    }
    films = _split_films(candidates)
    rivals = _films_by_text(annotated)
    yield "\t".join(COLUMNS)
    for language in sorted(candidates):
        rows: dict[tuple[str, str], dict[int, str]] = defaultdict(dict)
        for number, sources in sorted(candidates[language].items()):
            of_films = {film for film, _ in sources}
            english = {film for source in sources for text in annotated.get(source, ()) for film in rivals[text]}
            splits = {films[film] for film in of_films | english}
            film = next(iter(of_films)) if len(of_films) == 1 else "-"
            split: str = next(iter(splits)) if len(splits) == 1 else "none"
            if {films[film] for film in of_films} == {"train"}:
                split = "train"
            is_known = len(sources) == 1 and split != "none"
            rows[film if split != "none" else "-", split][number] = f":{next(iter(sources))[1]}" if is_known else ""
        for (film, split), lines in sorted(rows.items()):
            steps = (line - before for line, before in zip(lines, [0, *lines], strict=False))
            parts = (f"{step}{source}" for step, source in zip(steps, lines.values(), strict=True))
            yield "\t".join((language, film, split, " ".join(parts)))


def _single_label_lines(path: Path) -> Iterator[tuple[int, str, bool]]:
    """Number and text of the well-formed lines, and whether they have one label only."""
    for place, line in read_lines(path):
        cells = line.split("\t")
        if len(cells) == 2 and LABELS.fullmatch(cells[1]):
            yield place.row, cells[0], len(cells[1]) == 1


def _film(document: str) -> str:
    return "/".join(document.split("/")[1:3])


def _annotated_lines(path: Path) -> dict[Source, set[str]]:
    """Return the normalized English text (rarely: texts) of each annotated line."""
    found: dict[Source, set[str]] = defaultdict(set)
    for _, line in read_lines(path):
        cells = line.split("\t")
        if len(cells) > 5 and re.match(r"(en|da)/\d+/\d+/", cells[5]):
            found[_film(cells[5]), cells[4]].add(normalized(cells[2]))
    return found


def _films_by_text(annotated: Mapping[Source, set[str]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for (film, _), texts in annotated.items():
        for text in texts:
            found[text].add(film)
    return found


def _pairs(clone: Path, language: str) -> list[tuple[Source, str]]:
    """Return the annotated line that each aligned line translates, and the normalized text of the latter."""
    columns = ("annotated", "document", "source", "target", "original", "text")
    path = clone / f"subtitle-retrieval/students/pairs-{language}.txt"
    return [
        ((_film(row["annotated"]), row["source"].replace(" ", "+")), normalized(row["text"]))
        for _, row in read_tsv(path, columns, header=False, quoted=False)
    ]


def _projected(clone: Path, language: str) -> dict[int, set[Source]]:
    """Candidates for each line of a projection that has one label.

    The projection is a subsequence of the alignment. The earliest and the latest way to fit it in bound where each
    line can be from; where both give the same annotated line, that is it.
    """
    pairs = _pairs(clone, language)
    lines = list(_single_label_lines(clone / f"Projections/{language}-projections.tsv"))
    # "nan" stands for what the authors' tools made of an empty cell: it has no place in the alignment.
    lines = [line for line in lines if normalized(line[1]) != "nan"]
    texts, wanted = [text for _, text in pairs], [normalized(text) for _, text, _ in lines]
    earliest = _fit(texts, wanted)
    latest = [len(pairs) - 1 - position for position in reversed(_fit(texts[::-1], wanted[::-1]))]
    return {
        number: {pairs[first][0], pairs[last][0]}
        for (number, _, is_single), first, last in zip(lines, earliest, latest, strict=True)
        if is_single
    }


def _fit(texts: Sequence[str], wanted: Iterable[str]) -> list[int]:
    """Return the first places at which `wanted` is a subsequence of `texts`. Raises ValueError if it is none."""
    places, start = [], 0
    for text in wanted:
        place = texts.index(text, start)
        places.append(place)
        start = place + 1
    return places


def _english(path: Path, annotated: Mapping[Source, set[str]]) -> dict[int, set[Source]]:
    """Candidates for each English line; names are masked as [PERSON] and [LOCATION] in it."""
    by_text: dict[str, set[Source]] = defaultdict(set)
    for source, texts in annotated.items():
        for text in texts:
            by_text[text].add(source)
    everything = "\n".join(by_text)
    found: dict[int, set[Source]] = {}
    for number, line, is_single in _single_label_lines(path):
        if not is_single:
            continue
        parts = [normalized(part) for part in re.split(r"\[[A-Z]+\]", line)]
        if len(parts) == 1:
            sources = by_text.get(parts[0], set())
        else:
            pattern = re.compile("^" + ".+".join(map(re.escape, parts)) + "$", re.MULTILINE)
            sources = {source for match in pattern.findall(everything) for source in by_text[match]}
        if sources:
            found[number] = sources
    return found


def _finnish(clone: Path) -> dict[int, set[Source]]:
    by_text: dict[str, set[Source]] = defaultdict(set)
    for source, text in _pairs(clone, "fi"):
        by_text[text].add(source)
    return {
        number: by_text[normalized(line)]
        for number, line, is_single in _single_label_lines(clone / "AnnotatedData/fi-annotated.tsv")
        if is_single and normalized(line) in by_text
    }


def _split_films(candidates: Mapping[str, Mapping[int, set[Source]]]) -> dict[str, Split]:
    """Return a split for each film: of many draws the one whose shares are nearest to those wanted in every
    language."""
    sizes: dict[str, Counter[str]] = {
        language: Counter(film for sources in candidates[language].values() for film in {film for film, _ in sources})
        for language in PROJECTIONS
    }
    films = sorted({film for counts in sizes.values() for film in counts})
    films += sorted({film for found in candidates.values() for s in found.values() for film, _ in s} - set(films))
    draw = random.Random(stable_hash("emotion films"))
    best: tuple[float, dict[str, Split]] = (float("inf"), {})
    for _ in range(_DRAWS):
        split_of: dict[str, Split] = dict(
            zip(films, draw.choices(list(_SHARES), list(_SHARES.values()), k=len(films)), strict=True)
        )
        worst = 0.0
        for counts in sizes.values():
            of_split: Counter[str] = Counter()
            for film, count in counts.items():
                of_split[split_of[film]] += count
            for split, share in _SHARES.items():
                worst = max(worst, abs(of_split[split] / counts.total() - share) / share)
        best = min(best, (worst, split_of), key=lambda one: one[0])
    return best[1]


if __name__ == "__main__":
    for row in derive(Path(sys.argv[1])):
        print(row)
