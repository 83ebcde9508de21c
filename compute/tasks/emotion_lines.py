"""Where the lines of XED come from, so that `emotion` can be split without a leak: `emotion_lines.tsv`.

XED's files have no ids. Its projections are subtitles of the same films in other languages, with the labels of the
English line that each translates, and its English and Finnish files have lines of those films too. XED's repository
has what says which line is which: the alignments from which the projections were made
(`subtitle-retrieval/students/pairs-<language>.txt`) and the list of lines that were annotated
(`student_annotations.csv`). Every projection turns out to be its alignment with lines left out, so each line of it is
identified by order and text; English and Finnish lines are identified by text.

The table gives for each line that has one label its film and the annotated line that it translates: in `lines`,
`<steps from the line before>:<number of the annotated line in the film's subtitles>`. Films, not lines, are split. A
line that could stand on two sides is in no split: one whose text, or whose English original's text, also occurs in a
film of another split, unless its own film is one to train on. English and Finnish lines that are in none of the 60
films are in no row: nothing translates them, and they may be split by their text.

XED is CC BY 4.0; the table holds numbers of lines, no text. To derive it again:

    python -m maintenance.emotion_lines <clone of Helsinki-NLP/XED> > compute/tasks/emotion_lines.tsv
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from compute.tasks.reading import read_tsv
from compute.tasks.task import Split

TABLE = Path(__file__).with_suffix(".tsv")
COLUMNS = ("language", "film", "split", "lines")
PROJECTIONS = ("ar", "de", "es", "fr", "hr", "it", "pt", "ru")
ANNOTATED = ("en", "fi")
LABELS = re.compile(r"[1-8](, [1-8])*")


@dataclass(frozen=True)
class Line:
    """What is known of a line of a file of XED.

    Attributes:
        split: None if the line must not be used.
        source: `<film>:<line>`, shared by translations; None where only the film is known.
    """

    split: Split | None
    source: str | None


def normalized(text: str) -> str:
    """Letters and digits alone, case folded: what two ways to write the same subtitle have in common."""
    return re.sub(r"[\W_]+", "", text).casefold()


@cache
def known_lines(language: str) -> Mapping[int, Line]:
    """Return what is known of the lines of a language's file, by their number from 1."""
    found: dict[int, Line] = {}
    for _, row in read_tsv(TABLE, COLUMNS, header=True, quoted=False):
        if row["language"] == language:
            split = None if row["split"] == "none" else row["split"]
            line = 0
            for part in row["lines"].split():
                steps, _, number = part.partition(":")
                line += int(steps)
                found[line] = Line(split, f"{row['film']}:{number}" if number else None)
    return found
