"""What a study asks for and will not get is said before anything runs, and decides no key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from compute.catalog.fetching import MIRROR_VARIABLE
from compute.engine.plan import study_jobs
from compute.errors import UserError
from compute.study.file import read_study
from compute.study.remarks import remarks
from compute.study.schema import Study

TINY = (Path(__file__).parents[2] / "studies" / "tiny.yml").read_text()
FILES = "{train: '{source}-{target}', test: '{source}-{target}'}"
MADE = TINY[TINY.index("models:") : TINY.index("sources:")]


def study(folder: Path, limits: str) -> Study:
    """Return a study of 16 questions to train on, 4 for the eval loss and 8 to ask, with limits of its own."""
    for split, n in (("train", 16), ("dev", 4), ("test", 8)):
        rows = [
            {"item_id": f"{split}{i}", "context": f"{split} {i}", "choices": ["a", "b"], "gold": i % 2}
            for i in range(n)
        ]
        path = folder / "mine" / "de" / f"{split}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = folder / "study.yml"
    path.write_text(
        f"study: s\n{MADE}tasks: {{mine: {{folder: {folder}/mine}}}}\nsources: {{tasks: [mine], languages: [de]}}\n"
        f"targets: {{tasks: [mine, parity], languages: [de]}}\nseeds: [1]\nitems: {limits}\n"
    )
    return read_study(path)


def test_more_items_than_there_are_is_said_and_is_the_same_as_all(tmp_path: Path) -> None:
    exactly = study(tmp_path, "{train: 16, dev: 4, test: 8}")
    assert list(remarks(exactly)) == []
    more = study(tmp_path, "{train: 1600, dev: 5, test: 8}")
    assert list(remarks(more)) == [
        "items.train: 1600 asked for, and there are fewer, which are all used: mine/de 16",
        "items.dev: 5 asked for, and there are fewer, which are all used: mine/de 4",
    ]
    assert study_jobs(more).keys() == study_jobs(exactly).keys()
    assert study_jobs(study(tmp_path, "{train: 15, dev: 4, test: 8}")).keys() != study_jobs(exactly).keys()


def test_more_than_public_data_have_is_said_before_they_are_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MIRROR_VARIABLE, str(tmp_path))
    path = tmp_path / "study.yml"

    def with_test_items(n: int) -> Study:
        path.write_text(
            f"study: s\n{MADE}sources: {{tasks: [causal], languages: [et]}}\n"
            f"targets: {{tasks: [causal, arc_challenge], languages: [id]}}\nseeds: [1]\nitems: {{test: {n}}}\n"
        )
        return read_study(path)

    assert list(remarks(with_test_items(400))) == []
    assert list(remarks(with_test_items(500))) == [
        "items.test: 500 asked for, and there are fewer, which are all used: arc_challenge/id 400"
    ]
    assert study_jobs(with_test_items(500)).keys() == study_jobs(with_test_items(501)).keys()
    assert study_jobs(with_test_items(500)).keys() != study_jobs(with_test_items(499)).keys()


def test_each_target_has_as_many_as_it_has(tmp_path: Path) -> None:
    (line,) = remarks(study(tmp_path, "{test: 100000}"))
    assert line.startswith(
        "items.test: 100000 asked for, and there are fewer, which are all used: mine/de 8, parity/de "
    )


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("tasks: [parity], languages: [en, de]", "tasks: [topic], languages: [en, de]", "7: sources.tasks[0]"),
        ("  test_size: 50", "  dictionaries: xling-eval", "18: embeddings.dictionaries"),
        (
            "{sentences: 1500, epochs: 1, dimension: 16}}", f"{{corpus: bible}}}}\n  dictionaries: {FILES}",
            "14: embeddings.vectors.ft",
        ),
    ],
)  # fmt: skip
def test_a_mirror_that_is_not_there_is_said_at_planning(
    old: str, new: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "study.yml"
    path.write_text(TINY.replace(old, new))
    monkeypatch.setenv(MIRROR_VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(UserError) as told:
        read_study(path)
    assert str(told.value).startswith(f"{path}:{place}")
    assert str(told.value).endswith("nowhere; expected a directory or an http(s) base URL")
