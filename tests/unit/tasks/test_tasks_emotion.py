"""Lines of XED are traced to the annotated line they translate, and no film is on two sides."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from compute.plugin import Context, Job
from compute.plugins.items import Items, TaskData
from compute.store.artifacts import ArtifactStore
from compute.tasks import cataloged, emotion, emotion_lines
from compute.tasks.emotion import EMOTION, MALFORMED, REPEATED, SEVERAL, UNSAFE
from compute.tasks.emotion_lines import PROJECTIONS, Line, known_lines, normalized
from maintenance import emotion_lines as maintained
from maintenance.emotion_lines import derive

FILMS = [f"1990/{number}" for number in range(100, 140)]
LINES = 12


def english(film: str, line: int) -> str:
    return "No." if line == 0 else f"Line {line} of {film}, Bobby!"


def german(film: str, line: int) -> str:
    return {0: "Nein.", 1: "Doch!", 2: "Doch!"}.get(line, f"Zeile {line} aus {film}")


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of XED's form: 40 films of 12 annotated lines, projected into every language."""
    monkeypatch.setattr(maintained, "_DRAWS", 200)
    files: dict[str, list[str]] = {"subtitle-retrieval/students/student_annotations.csv": ["\tdb_id\tphrase"]}
    annotated = files["subtitle-retrieval/students/student_annotations.csv"]
    pairs: list[str] = []
    projected: list[str] = []
    for film in FILMS:
        for line in range(LINES):
            document = f"en/{film}/7.xml.gz"
            annotated.append(f"0\t1\t{english(film, line)}\t1\t{line}\t{document}\tx")
            pairs.append(f"{document}\tde/{film}/8.xml.gz\t{line}\t{line}\t{english(film, line)}\t{german(film, line)}")
            if line not in (1, 5):  # of the two "Doch!" only the second was projected
                projected.append(f"{german(film, line)}\t{'1, 2' if line == 3 else 1 + line % 8}")
    for language in PROJECTIONS:
        files[f"subtitle-retrieval/students/pairs-{language}.txt"] = pairs
        files[f"Projections/{language}-projections.tsv"] = projected
    files["subtitle-retrieval/students/pairs-fi.txt"] = [pair.replace("Zeile", "Rivi") for pair in pairs]
    files["AnnotatedData/fi-annotated.tsv"] = [f"rivi 4 aus {FILMS[0]} !\t1", "Aivan muuta\t2"]
    files["AnnotatedData/en-annotated.tsv"] = [
        f"Line 4 of {FILMS[0]} , [PERSON] !\t1", "[PERSON] !\t1", "No .\t1", "Something else\t2", "Both\t1, 2",
    ]  # fmt: skip
    for name, lines in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def table(clone: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The clone, its table in place of ours."""
    (clone / "table.tsv").write_text("\n".join(derive(clone)) + "\n", encoding="utf-8")
    monkeypatch.setattr(emotion_lines, "TABLE", clone / "table.tsv")
    known_lines.cache_clear()
    yield clone
    known_lines.cache_clear()


def test_every_line_is_traced_to_the_line_it_translates(table: Path) -> None:
    known = known_lines("de")
    lines = (table / "Projections/de-projections.tsv").read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        text, labels = line.split("\t")
        if "," in labels:
            assert number not in known
        elif text.startswith("Zeile"):
            _, place, _, film = text.split()
            assert known[number].source == f"{film}:{place}"
        elif text == "Doch!":  # which of the two it was cannot be told; the film can
            assert known[number].split is not None and known[number].source is None


def test_films_are_on_one_side_in_all_languages(table: Path) -> None:
    splits: dict[str, set[str | None]] = {}
    for language in (*PROJECTIONS, "en", "fi"):
        for line in known_lines(language).values():
            if line.source is not None:
                splits.setdefault(line.source.split(":")[0], set()).add(line.split)
    assert set(splits) == set(FILMS)
    assert all(len(sides) == 1 for sides in splits.values())
    sides = [next(iter(side)) for side in splits.values()]
    assert sides.count("train") in range(24, 33) and sides.count("test") in range(5, 12) and "dev" in sides


def test_a_line_whose_original_stands_on_two_sides_is_trained_on_or_dropped(table: Path) -> None:
    lines = (table / "Projections/de-projections.tsv").read_text(encoding="utf-8").splitlines()
    sides = {known_lines("de")[number].split for number, line in enumerate(lines, start=1) if line == "Nein.\t1"}
    assert sides == {"train", None}


def test_english_and_finnish_lines_are_found_by_their_text(table: Path) -> None:
    known = known_lines("en")
    assert known[1] == known_lines("de")[4] == Line(known[1].split, f"{FILMS[0]}:4")
    assert known[2] == Line(None, None)  # a masked name alone could be any line
    assert known[3] == Line(None, None)  # "No." is said in films of all three splits
    assert 4 not in known and 5 not in known
    assert known_lines("fi") == {1: known[1]}


def test_an_alignment_that_does_not_fit_is_an_error(clone: Path) -> None:
    path = clone / "Projections/de-projections.tsv"
    path.write_text("Davon steht nichts da\t1\n", encoding="utf-8")
    with pytest.raises(ValueError, match="not in list"):
        list(derive(clone))


def test_lines_that_are_no_questions_are_counted(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "en-annotated.tsv"
    path.write_text(
        "Line 4 of 1990/100 , [PERSON] !\t1\n[PERSON] !\t1\nNo .\t1\nSomething else\t2\nBoth\t1, 2\nsix\tcells\there\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(emotion, "fetch", lambda entry: path)
    monkeypatch.setattr(cataloged, "fetch", lambda entry: path)
    notes: list[str] = []
    config = TaskData(task="emotion", language="en", prompt="cloze", sha256="", prompt_name=None, folder=None)
    job = Job("items", "0", config, label="items of emotion/en")
    list(Items().run([job], Context("cpu", ArtifactStore(tmp_path / "artifacts"), note=notes.append)))
    assert notes == [f"items of emotion/en: rows left out: 2 ({UNSAFE}), 1 ({SEVERAL}), 1 ({MALFORMED})"]
    assert EMOTION.dropped("en") == {UNSAFE: 2, SEVERAL: 1, MALFORMED: 1, REPEATED: 0}
    splits = EMOTION.read("en", [path])
    kept = {question.item_id: question for located in splits.values() for question, _ in located}
    assert {one: question.parallel_id for one, question in kept.items()} == {"1": "1990/100:4", "4": None}
    assert kept["4"].choices[kept["4"].gold] == "anticipation"


def test_a_text_is_in_one_split_of_a_language_though_its_rows_are_of_several_films(tmp_path: Path) -> None:
    path = tmp_path / "fi-annotated.tsv"
    path.write_text("".join(f"Rivi {n % 150} {'!' * (n % 3)}\t{1 + n % 8}\n" for n in range(90_000, 90_600)))
    splits = EMOTION.read("fi", [path])
    texts = {split: {normalized(one.fields["text"]) for one, _ in located} for split, located in splits.items()}
    assert all(texts.values())
    assert not (texts["train"] & texts["test"] or texts["train"] & texts["dev"] or texts["dev"] & texts["test"])
