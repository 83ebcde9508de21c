"""The paper's four benchmarks, on small files of the published schema laid out as a mirror."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from compute.catalog import MIRROR_VARIABLE
from compute.errors import UserError
from compute.tasks import load_task
from compute.tasks.core_grid import LANGUAGES, CoreGridTask

TRAIN, TEST = 25, 8
Publish = Callable[..., CoreGridTask]


def rows(name: str, part: str, language: str, number: int) -> list[dict[str, Any]]:
    """Rows as the paper's repository reads them; the ids of a part are those of every language."""
    ids = [f"{part}_{position * 7 % number:03d}" for position in range(number)]
    options = {f"option_{letter}": f" {letter} {language}" for letter in "abcd"}
    match name:
        case "arc_challenge":
            return [
                {"id": one, "instruction": f"Why [sic] is  {one}?", **options, "option_e": None, "answer": "c"}
                for one in ids
            ]
        case "global_mmlu_lite":
            return [{"sample_id": one, "question": f"Why is {one}? ", **options, "answer": "B"} for one in ids]
        case "hellaswag":
            return [
                {
                    "id": one, "activity_label": "Cooking", "ctx_a": f"[header] Someone is {one}.", "ctx_b": "he THEN",
                    "endings": [f"{letter} {language}. [step] Done" for letter in "abcd"], "label": "3",
                }
                for one in ids
            ]  # fmt: skip
        case _:
            start = 0 if part == "train" else 1000
            return [
                {
                    "truth_id": start + position * 7 % number, "question": f"Is it true? ({position})",
                    "mc1_targets_choices": [f"{letter} {language}" for letter in "abcde"],
                    "mc1_targets_labels": [1, 0, 0, 0, 0],
                }
                for position in range(number)
            ]  # fmt: skip


@pytest.fixture
def publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Publish:
    monkeypatch.setenv(MIRROR_VARIABLE, str(tmp_path))

    def write(name: str, languages: tuple[str, ...] = ("de", "zh"), **changes: Any) -> CoreGridTask:
        task = load_task(name)
        assert isinstance(task, CoreGridTask)
        task = replace(task, rows=(("train", TRAIN), ("test", TEST)))
        for language in languages:
            for entry, (part, number) in zip(task.sources(language), task.rows, strict=True):
                path = tmp_path / entry.key
                path.parent.mkdir(parents=True, exist_ok=True)
                table = rows(name, part, language, number)
                table[-1] |= changes if part == "test" else {}
                pl.DataFrame(table, strict=False).write_parquet(path)
        return task

    return write


NAMES = ("arc_challenge", "global_mmlu_lite", "hellaswag", "truthfulqa")


@pytest.mark.parametrize("name", NAMES)
def test_languages_share_their_ids_and_dev_is_what_the_paper_s_trainer_held_out(publish: Publish, name: str) -> None:
    task = publish(name)
    ids = {
        (language, split): [question.parallel_id for question in task.questions(language, split)]
        for language in ("de", "zh")
        for split in task.splits
    }
    assert [len(ids["de", split]) for split in task.splits] == [22, 3, 8]
    assert [task.size("de", split) for split in task.splits] == [22, 3, 8]
    for split in task.splits:
        assert ids["de", split] == ids["zh", split]
    datasets = pytest.importorskip("datasets")
    published = sorted(rows(name, "train", "de", TRAIN), key=lambda row: row[task.id_column])
    held_out = datasets.Dataset.from_list(published).train_test_split(test_size=0.1, seed=42)["test"]
    assert set(ids["de", "dev"]) == {str(row) for row in held_out[task.id_column]}


def test_arc_is_put_as_the_harness_and_the_paper_put_it(publish: Publish) -> None:
    task = publish("arc_challenge")
    cloze = {item.item_id: item for item in task.items("de", "test")}["test_003"]
    assert cloze.context == "Question: Why is test_003?\nAnswer:"  # no brackets, and one space for two
    assert (cloze.choices, cloze.gold) == ((" a de", " b de", " c de", " d de"), 2)
    lettered = {item.item_id: item for item in task.items("de", "test", "lettered")}["test_003"]
    assert lettered.context == "Question: Why is test_003?\nA) a de\nB) b de\nC) c de\nD) d de\nAnswer:"
    assert (lettered.choices, task.primary_metric) == ((" A", " B", " C", " D"), "acc_norm")


def test_arc_has_as_many_choices_as_the_row(publish: Publish) -> None:
    task = publish("arc_challenge", option_e="[OH-]", option_d="", answer="E")
    (item,) = (item for item in task.items("de", "test", "lettered") if len(item.choices) == 4 and item.gold == 3)
    assert item.context.endswith("\nA) a de\nB) b de\nC) c de\nD) [OH-]\nAnswer:")


def test_global_mmlu_is_put_as_the_harness_puts_it(publish: Publish) -> None:
    task = publish("global_mmlu_lite")
    item = {item.item_id: item for item in task.items("zh", "test", "lettered")}["test_003"]
    assert item.context == "Why is test_003?\nA.  a zh\nB.  b zh\nC.  c zh\nD.  d zh\nAnswer:"
    assert (item.choices, item.gold, task.primary_metric) == ((" A", " B", " C", " D"), 1, "acc")


def test_hellaswag_is_put_as_the_harness_and_the_paper_put_it(publish: Publish) -> None:
    task = publish("hellaswag")
    cloze = {item.item_id: item for item in task.items("de", "test")}["test_003"]
    assert cloze.context == "Cooking: Someone is test_003. He then"
    assert (cloze.choices[0], cloze.gold) == (" a de. Done", 3)
    lettered = {item.item_id: item for item in task.items("de", "test", "lettered")}["test_003"]
    assert lettered.context.startswith("Cooking: Someone is test_003. He then\nA) a de. Done\nB) b de.")


def test_truthfulqa_s_letters_do_not_give_the_answer_away(publish: Publish) -> None:
    task = publish("truthfulqa")
    questions = {language: task.questions(language, "train") for language in ("de", "zh")}
    assert len({question.gold for question in questions["de"]}) == 5
    for german, chinese in zip(questions["de"], questions["zh"], strict=True):
        assert german.choices[german.gold] == "a de"
        assert [choice[0] for choice in german.choices] == [choice[0] for choice in chinese.choices]


@pytest.mark.parametrize("name", NAMES)
def test_planning_reads_no_file(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MIRROR_VARIABLE, "/no/such/place")
    task = load_task(name)
    assert task.languages == LANGUAGES and len(task.languages) == 11
    digests = {task.digest(language) for language in task.languages}
    assert len(digests) == 11
    assert replace(task, revision=2).digest("de") not in digests


@pytest.mark.parametrize(
    ("name", "changes", "complaint"),
    [
        ("arc_challenge", {"answer": "1"}, "row 8: answer: expected one of A, B, C, D, found '1'"),
        ("arc_challenge", {"instruction": None}, "row 8: instruction: expected a text, found null"),
        ("hellaswag", {"label": ""}, "row 8: label: expected the number of an ending, found ''"),
        ("hellaswag", {"label": "4"}, "row 8: gold is 4; expected 0 to 3"),
        ("hellaswag", {"endings": ["a", "", "c", "d"]}, "row 8: choice 2 of 4 is empty"),
        (
            "truthfulqa",
            {"mc1_targets_labels": [1, 0, 0, 1, 0]},
            "row 8: mc1_targets_labels: expected a 1 and otherwise",
        ),
        ("truthfulqa", {"truth_id": 1000}, "row 8: item_id '1000' is also in"),
    ],
)
def test_a_bad_row_is_named(publish: Publish, name: str, changes: dict[str, Any], complaint: str) -> None:
    task = publish(name, **changes)
    with pytest.raises(UserError, match=rf"/main/de/test-00000-of-00001\.parquet, {complaint}"):
        task.questions("de", "test")


def test_a_file_that_is_not_the_published_one_is_refused(publish: Publish, tmp_path: Path) -> None:
    task = publish("hellaswag")
    path = tmp_path / task.sources("de")[1].key
    with pytest.raises(UserError, match=r"test-00000-of-00001\.parquet: 8 rows, and 400 were published"):
        replace(task, rows=(("train", TRAIN), ("test", 400))).questions("de", "test")
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(UserError, match=r"test-00000-of-00001\.parquet: not a Parquet file"):
        replace(task, revision=2).questions("de", "test")
