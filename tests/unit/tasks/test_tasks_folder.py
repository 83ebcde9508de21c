"""A user's folder of JSONL is a task, and whatever is wrong in it is a line that names the file and the row."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from compute.errors import UserError
from compute.names import UnknownName
from compute.tasks import open_task
from compute.tasks.folder import FolderTask, FolderTaskSettings
from compute.tasks.store import load_questions, save_questions

GOOD = {"item_id": "1", "context": "zwei plus zwei ist", "choices": ["drei", "vier"], "gold": 1}

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_rows(name: str, *rows: Any) -> Path:
        path = tmp_path / "capitals" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
        path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        return tmp_path / "capitals"

    return write_rows


def item(number: int | str, **changes: Any) -> dict[str, Any]:
    return {**GOOD, "item_id": str(number), **changes}


def task(folder: Path, language: str | None = None, **settings: Any) -> FolderTask:
    return FolderTask.open("capitals", FolderTaskSettings(folder=str(folder), **settings), language)


def test_a_folder_is_a_task(write: Write) -> None:
    write("de/train.jsonl", *(item(number, parallel_id=f"p{number}") for number in range(40)))
    write("de/test.jsonl", item("t", parallel_id="pt"))
    write("fr/test.jsonl", item("t", parallel_id="pt", context="deux et deux font", choices=["trois", "quatre"]))
    folder = write("README.md", "not a language")
    found = task(folder, "de")
    assert (found.languages, found.splits, found.chance) == (("de", "fr"), ("train", "test"), 0.5)
    assert {one.item_id for one in found.questions("de", "train")} == {str(number) for number in range(40)}
    assert [one.item_id for one in found.questions("de", "train")[:3]] != ["0", "1", "2"]  # a sample, not a beginning
    assert found.questions("de", "dev") == []
    (asked,) = task(folder, "fr").items("fr", "test")
    assert (asked.context, asked.choices, asked.gold) == ("deux et deux font", (" trois", " quatre"), 1)
    (lettered,) = found.items("de", "test", "lettered")
    assert (lettered.context, lettered.choices) == (
        "zwei plus zwei ist\nA. drei\nB. vier\nAnswer:",
        (" A", " B"),
    )


def test_a_language_without_training_data_is_a_target_only(write: Write) -> None:
    write("de/train.jsonl", item(1))
    write("de/test.jsonl", item(2))
    folder = write("fr/test.jsonl", item(3))
    assert task(folder, "de").splits == ("train", "test")
    assert task(folder, "fr").splits == ("test",)
    assert task(folder).splits == ("train", "test")


def test_files_may_call_their_keys_otherwise(write: Write) -> None:
    row = {"id": "1", "question": "2 + 2 =", "choices": ["3", "4"], "answer": 1}
    settings = {"item_id": "id", "context": "question", "gold": "answer"}
    folder = write("de/test.jsonl", row)
    (asked,) = task(folder, fields=settings).questions("de", "test")
    assert (asked.item_id, asked.fields["context"], asked.gold) == ("1", "2 + 2 =", 1)
    with pytest.raises(UserError, match="unknown key 'id'"):
        task(folder)
    with pytest.raises(UserError, match="unknown key 'item_id'"):
        task(write("fr/test.jsonl", item(1)), fields=settings)
    with pytest.raises(ValidationError, match="contxt"):
        FolderTaskSettings(folder="x", fields={"contxt": "question"})


def test_a_study_opens_it_by_name(write: Write) -> None:
    settings = FolderTaskSettings(folder=str(write("de/test.jsonl", item(1))), licence="CC0-1.0")
    again = FolderTaskSettings(**settings.model_dump(mode="json"))
    assert open_task("capitals", "de", {"capitals": again}).licence == "CC0-1.0"
    with pytest.raises(UnknownName, match="unknown language 'fr' of task 'capitals'"):
        open_task("capitals", "fr", {"capitals": again})


def test_the_digest_is_that_of_the_language_s_files(write: Write) -> None:
    write("fr/test.jsonl", item(1))
    folder = write("de/test.jsonl", item(1))
    before = {language: task(folder).digest(language) for language in ("de", "fr")}
    assert before["de"] == before["fr"]
    write("de/test.jsonl", item(1, gold=0))
    assert task(folder).questions("de", "test")[0].gold == 0
    assert task(folder).digest("de") != before["de"]
    assert task(folder).digest("fr") == before["fr"]


def test_prompts_of_its_own(write: Write) -> None:
    folder = write("de/test.jsonl", item(1, context="{braces} stay"))
    prompts = {"asked": "Q: {context}\nA:", "exam": {"template": "{context}\n{options}\n=", "style": "lettered"}}
    found = task(folder, "de", prompts=prompts)
    assert found.items("de", "test")[0].context == "Q: {braces} stay\nA:"
    assert found.items("de", "test", "exam")[0].choices == (" A", " B")


@pytest.mark.parametrize(
    ("prompt", "complaint"),
    [
        ("{contxt}", "unknown field 'contxt' of the template; did you mean 'context'"),
        ("no field", "{context} is missing"),
        ("{context", "a brace that is meant is written twice"),
        ("{context.__class__}", "unknown field '.*' of the template"),
        ("{context!r}", "without a format"),
        ({"template": "{context}", "style": "lettered"}, "{options} is missing"),
        ({"template": "{context}\n{options}"}, "unknown field 'options' of the template"),
    ],
)
def test_a_template_that_does_not_fit_is_refused(prompt: Any, complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint.replace("{", r"\{").replace("}", r"\}")):
        FolderTaskSettings(folder="x", prompts={"own": prompt})


def test_chance_must_be_said_where_questions_have_different_numbers_of_choices(write: Write) -> None:
    folder = write("de/test.jsonl", item(1), item(2, choices=["a", "b", "c"]))
    with pytest.raises(UserError, match=r"test\.jsonl, row 2: 3 choices, and 2 in \S+, row 1: say the task's `chance`"):
        task(folder)
    assert task(folder, chance=0.4).chance == 0.4


def test_a_minimal_pair_has_no_context(write: Write) -> None:
    folder = write("de/train.jsonl", item(1, context="", choices=["Er schläft", "Er schlafen"], gold=0))
    (asked,) = task(folder).items("de", "train")
    assert asked.context == "" and asked.choices == (" Er schläft", " Er schlafen")


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ('{"item_id": "1",', "row 2: not JSON: Expecting property name"),
        ("[" * 100_000, "row 2: not JSON: RecursionError"),
        ('["a", "b"]', "row 2: expected a JSON object, found a list"),
        ({"item_id": "2", "context": "x", "gold": 0}, "row 2: choices is missing; found item_id, context, gold"),
        (item(2, paralel_id="7"), "row 2: unknown key 'paralel_id'; did you mean 'parallel_id'"),
        (item(2, choices="drei"), "row 2: choices: expected a list of texts, found a text ('drei')"),
        (item(2, choices=["drei", 4]), "row 2: choices: number 2: expected a text, found a number (4)"),
        (item(2, choices=["drei"]), "row 2: 1 choice; expected at least 2"),
        (item(2, choices=["drei", " "]), "row 2: choice 2 of 2 is empty"),
        (item(2, choices=["drei", "vier", "drei"]), "row 2: choices 1 and 3 are the same: 'drei'"),
        (item(2, gold=2), "row 2: gold is 2; expected 0 to 1"),
        (item(2, gold=-1), "row 2: gold is -1; expected 0 to 1"),
        (item(2, gold="1"), "row 2: gold: expected a whole number, found a text ('1')"),
        (item(2, gold=1.0), "row 2: gold: expected a whole number, found a number (1.0)"),
        (item(2, gold=True), "row 2: gold: expected a whole number, found true"),
        (item(2, context=None), "row 2: context: expected a text, found null"),
        (item(""), "row 2: item_id is empty"),
        (item(2, parallel_id=" "), "row 2: parallel_id is empty"),
        (item(1), "row 2: item_id '1' is also in {folder}/de/test.jsonl, row 1"),
        ('{"item_id": "2", "context": "\\ud800", "choices": ["a", "b"], "gold": 0}', "row 2: not Unicode text"),
    ],
    ids=lambda value: value[:60] if isinstance(value, str) else "",
)
def test_a_bad_row_is_named(write: Write, row: Any, complaint: str) -> None:
    folder = write("de/test.jsonl", GOOD, row)
    with pytest.raises(UserError) as refused:
        task(folder)
    message = str(refused.value)
    assert message.startswith(f"{folder}/de/test.jsonl, {complaint.format(folder=folder)}")
    assert "\n" not in message and len(message) < 300 + 2 * len(str(folder))


def test_a_file_that_is_not_utf_8_is_named(write: Write) -> None:
    folder = write("de/test.jsonl", GOOD)
    path = folder / "de/test.jsonl"
    path.write_bytes(path.read_bytes() + json.dumps(item(2, context="für"), ensure_ascii=False).encode("latin-1"))
    with pytest.raises(UserError, match=r"de/test\.jsonl, row 2: not UTF-8 text \(byte \d+ of the row\)"):
        task(folder)


def test_a_byte_order_mark_and_foreign_line_ends_are_no_mistake(write: Write) -> None:
    folder = write("de/test.jsonl", GOOD)
    path = folder / "de/test.jsonl"
    text = json.dumps(item(2, context="a\u2028b"), ensure_ascii=False)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n") + text.encode())
    assert {one.fields["context"] for one in task(folder).questions("de", "test")} == {GOOD["context"], "a\u2028b"}


def test_an_item_knows_its_row_after_the_way_through_the_store(write: Write, tmp_path: Path) -> None:
    folder = write("de/test.jsonl", GOOD, item(2))
    found = task(folder)
    save_questions(tmp_path, {"test": found.questions("de", "test")})
    labels = {found.prompt().item(question).label for question in load_questions(tmp_path, "test")}
    assert labels == {f"item {row} ({folder}/de/test.jsonl, row {row})" for row in (1, 2)}


def test_a_question_with_more_choices_than_letters_names_its_row(write: Write) -> None:
    folder = write("de/test.jsonl", GOOD, item(2, choices=[str(n) for n in range(27)]))
    found = task(folder, chance=0.1)
    assert len(found.items("de", "test", "cloze")) == 2
    with pytest.raises(ValueError, match=r"de/test\.jsonl, row 2: 27 choices, and there are 26 letters"):
        found.items("de", "test", "lettered")


@pytest.mark.parametrize(("one", "other"), [("train", "test"), ("train", "dev"), ("dev", "test")])
def test_splits_must_not_overlap(write: Write, one: str, other: str) -> None:
    write(f"de/{one}.jsonl", item(1, parallel_id="a"))
    folder = write(f"de/{other}.jsonl", item(2, parallel_id="b"), item(3, parallel_id="a"))
    with pytest.raises(UserError) as overlap:
        task(folder)
    assert str(overlap.value) == (
        f"{folder}/de/{other}.jsonl, row 2: parallel_id 'a' is also in {folder}/de/{one}.jsonl, row 1: "
        f"{one} and {other} overlap"
    )
    write(f"de/{other}.jsonl", item(1, parallel_id="b"))
    with pytest.raises(UserError, match=rf"item_id '1' is also in \S+, row 1: {one} and {other} overlap"):
        task(folder)


def test_a_meaning_must_not_be_trained_on_in_one_language_and_tested_in_another(write: Write) -> None:
    write("de/train.jsonl", item(1, parallel_id="a"))
    folder = write("fr/test.jsonl", item(1, parallel_id="a"))
    with pytest.raises(UserError, match=r"fr/test\.jsonl, row 1: parallel_id 'a' is also in \S+de/train\.jsonl, row 1"):
        task(folder, "fr")


def test_a_folder_that_is_none_is_named(write: Write, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere: no such folder"):
        task(tmp_path / "nowhere")
    folder = write("notes.txt", "nothing")
    with pytest.raises(UserError, match=r"no <language>/<split>\.jsonl in it; splits are train, dev, test"):
        task(folder)
    write("deu_Latn/test.jsonl", GOOD)
    with pytest.raises(UserError, match=r"deu_Latn: expected the code of a language"):
        task(folder)
    (folder / "deu_Latn").rename(folder / "de")
    write("de/test.jsonl")
    with pytest.raises(UserError, match=r"de/test\.jsonl: no questions in it"):
        task(folder)


def test_a_language_opened_later_is_read_again_where_its_files_changed_and_no_other(write: Write) -> None:
    folder = write("de/test.jsonl", item(1))
    write("fr/test.jsonl", item(1))
    assert task(folder).size("fr", "test") == 1
    write("fr/test.jsonl", item(1), item(2))
    write("de/test.jsonl", "not JSON")
    with pytest.raises(UserError, match=r"de/test\.jsonl, row 1: "):
        task(folder, "fr")
    write("de/test.jsonl", item(1))
    assert task(folder, "fr").size("fr", "test") == 2
    write("de/test.jsonl", "not JSON")
    task(folder, "fr")
    write("it/test.jsonl", item(1))
    with pytest.raises(UserError, match=r"de/test\.jsonl, row 1: "):
        task(folder, "fr")
