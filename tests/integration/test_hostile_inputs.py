"""Damaged inputs at every reader: read to the end, or refused in one line. A part of `make torture`."""

from __future__ import annotations

from pathlib import Path

import pytest

from compute.embeddings.reading import read_vectors
from compute.errors import UserError
from tests.helpers.importing import Place
from tests.torture.hostile import at_a_reader


def test_a_damaged_input_is_read_or_refused(tmp_path: Path) -> None:
    assert [line for number in range(280) for line in at_a_reader(number, 5, tmp_path / "now")] == []


@pytest.mark.parametrize(
    "content",
    [b"w " + b"0.5 " * 20_000 + b"\n", b"1 5000000\nw " + bytes(100), b"2 5000000\nw 1 2 3\n"],
    ids=["text", "binary", "header"],
)
def test_vectors_of_more_dimensions_than_any_have_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "v.vec").write_bytes(content)
    with pytest.raises(ValueError, match=r"v\.vec: line 1.* dimensions"):
        read_vectors(tmp_path / "v.vec")


@pytest.mark.parametrize("section", ["n-shot", "n-samples", "group_subtasks", "groups", "higher_is_better"])
def test_a_section_that_is_no_mapping_is_named(section: str, tmp_path: Path) -> None:
    place = Place(tmp_path)
    whole = f'{{"results": {{}}, "configs": {{}}, "config": {{}}, "{section}": [1, 2]}}'
    with pytest.raises(UserError, match=rf"results_x\.json: {section}: expected a mapping, found '\[1, 2\]'"):
        place.take("lm-eval", place.write("out/results_x.json", whole).parent)
