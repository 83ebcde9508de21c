"""Questions survive the way to disk and back, whatever their texts are."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compute.errors import JobError
from compute.tasks import SPLITS, Question
from compute.tasks.store import load_questions, save_questions

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
QUESTIONS = st.lists(
    st.builds(
        Question,
        item_id=TEXT,
        parallel_id=st.none() | TEXT,
        fields=st.dictionaries(TEXT, TEXT, max_size=3),
        choices=st.lists(TEXT, max_size=4).map(tuple),
        gold=st.integers(0, 3),
    ),
    max_size=4,
)
AWKWARD = Question("ü\u2028\u0085\r", "\r\n", {"a": "क्या\n\u202eمرحبا", "": "\x00{}"}, ("😀", " \t", ""), 2)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(SPLITS), QUESTIONS))
def test_what_is_loaded_is_what_was_saved(questions):
    with tempfile.TemporaryDirectory() as name:
        save_questions(Path(name), questions)
        assert {split: load_questions(Path(name), split) for split in SPLITS} == {
            split: questions.get(split, []) for split in SPLITS
        }


def test_texts_keep_their_line_ends_and_their_fields_keep_their_order(tmp_path):
    save_questions(tmp_path, {"test": [AWKWARD, AWKWARD]})
    loaded = load_questions(tmp_path, "test")
    assert loaded == [AWKWARD, AWKWARD]
    assert list(loaded[0].fields) == ["a", ""]


def test_a_missing_file_and_a_damaged_row_are_named(tmp_path):
    with pytest.raises(JobError, match=r"train\.jsonl: No such file"):
        load_questions(tmp_path, "train")
    save_questions(tmp_path, {"train": [AWKWARD, AWKWARD]})
    path = tmp_path / "train.jsonl"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(JobError, match=r"train\.jsonl, row 2: damaged"):
        load_questions(tmp_path, "train")
    path.write_text('{"item_id": "a"}\n', encoding="utf-8")
    with pytest.raises(JobError, match=r"row 1: damaged \(KeyError"):
        load_questions(tmp_path, "train")
