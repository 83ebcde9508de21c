"""NN-Rank: the votes against a reference in NumPy, planted worlds, and what a study may ask of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from compute.engine.plan import study_jobs
from compute.errors import JobError, UserError
from compute.plugin import Context, Job
from compute.plugins.items import Items
from compute.plugins.nn_rank import NnRank, vote_shares
from compute.store.artifacts import ArtifactStore
from compute.study.file import read_study
from compute.study.schema import Study
from tests.helpers.tiny_model import tiny_model

LANGUAGES = ("de", "en", "es", "fr")
TARGET = "it"
TINY = Path(__file__).parents[2] / "studies" / "tiny.yml"


def reference(similarity: np.ndarray, source: np.ndarray, sources: int, k: int) -> np.ndarray:
    """Each source's share of the votes of all queries, from every token by itself: similarity [queries, tokens]."""
    votes = np.zeros(sources)
    for row in similarity:
        least = np.sort(row)[::-1][: min(k, len(row))][-1]
        near, equal = row > least + 1e-5 * abs(least), np.abs(row - least) <= 1e-5 * abs(least)
        left = min(k, len(row)) - near.sum()
        votes += np.bincount(source, near + equal * left / equal.sum(), minlength=sources)
    return votes / votes.sum()


@examples(max_examples=60, deadline=None)
@given(
    arrays(np.int64, (7, 3), elements=st.integers(0, 3)).filter(lambda counts: (counts.sum(1) > 0).all()),
    arrays(np.int64, 4, elements=st.integers(1, 3)),
    st.integers(1, 9),
    st.integers(0, 99),
)
def test_votes_are_those_of_every_token_by_itself(counts: np.ndarray, asked: np.ndarray, k: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    keys, queries = draw.normal(size=(7, 5)).astype(np.float32), draw.normal(size=(4, 5)).astype(np.float32)
    owner = [(row, source) for row in range(7) for source in range(3) for _ in range(counts[row, source])]
    rows, source = (np.array(part) for part in zip(*owner, strict=True))
    expected = reference(np.repeat(queries @ keys.T, asked, axis=0)[:, rows], source, 3, k)
    found = vote_shares(*(torch.tensor(one) for one in (queries, asked, keys, counts)), k)
    assert found == pytest.approx(expected, abs=1e-9)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    for part in tiny_model():
        part.save_pretrained(folder)
    return folder


def write(folder: Path, texts: Mapping[tuple[str, str], Sequence[str]]) -> None:
    """Write questions with these contexts, by language and split."""
    for (language, split), contexts in texts.items():
        path = folder / language / f"{split}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [
            {"item_id": f"{split}{number}", "context": text, "choices": ["0", "1"], "gold": number % 2}
            for number, text in enumerate(contexts)
        ]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def world(folder: Path, words: Mapping[str, str]) -> None:
    """Texts of 8 words, drawn of each language's own."""
    texts = {}
    for number, (language, own) in enumerate(words.items()):
        for split in ("train", "test"):
            draw = np.random.default_rng([number, split == "test"])
            texts[language, split] = [" ".join(draw.choice(own.split(), 8)) for _ in range(30)]
    write(folder, texts)


def study_of(checkpoint: Path, folder: Path, settings: Mapping[str, Any] | None = None, **others: Any) -> Study:
    return Study.model_validate(
        {
            "study": "s",
            "models": [{"name": "tiny", "checkpoint": str(checkpoint)}],
            "tasks": {"mine": {"folder": str(folder)}},
            "sources": {"tasks": ["mine"], "languages": list(LANGUAGES)},
            "targets": {"tasks": ["mine"], "languages": [TARGET]},
            "seeds": [1],
            "plugins": {"nn_rank": settings or {}},
            **others,
        }
    )


def jobs_of(study: Study) -> list[Job]:
    return [job for job in study_jobs(study).values() if job.plugin == "nn_rank"]


def visit(study: Study, folder: Path) -> dict[str, dict[str, float] | str]:
    """By target: the value of each source, or why there is none."""
    context = Context("cpu", ArtifactStore(folder / "artifacts"))
    list(Items().run([job for job in study_jobs(study).values() if job.plugin == "items"], context))
    found: dict[str, dict[str, float] | str] = {}
    for job, outcome in NnRank().run(jobs_of(study), context):
        target = job.config.target.language
        if isinstance(outcome, JobError):
            found[target] = str(outcome)
            continue
        rows = outcome["source_similarities"]
        assert {(row["target_language"], row["measure"]) for row in rows} == {(target, "nn_rank")}
        assert {row["model"] for row in rows} == {job.config.model}
        found[target] = {row["source_language"]: row["value"] for row in rows}
    return found


PLANTED = {
    "de": "sieben acht neun zehn elf",
    "en": "odd even number which true",
    "es": "mayor menor igual cierto falso",
    "fr": "plus moins petit grand vrai",
    TARGET: "elf zehn neun acht sieben",
}
NOTHING = dict.fromkeys(LANGUAGES, "plus moins petit grand vrai odd even") | {TARGET: "sieben acht neun zehn elf"}


def test_a_planted_source_is_first_and_nothing_is_found_where_nothing_is(checkpoint: Path, tmp_path: Path) -> None:
    world(tmp_path / "planted", PLANTED)
    world(tmp_path / "nothing", NOTHING)
    planted = visit(study_of(checkpoint, tmp_path / "planted"), tmp_path)[TARGET]
    by_product = visit(study_of(checkpoint, tmp_path / "planted", {"similarity": "inner product"}), tmp_path)[TARGET]
    nothing = visit(study_of(checkpoint, tmp_path / "nothing"), tmp_path)[TARGET]
    assert isinstance(planted, dict) and isinstance(nothing, dict) and isinstance(by_product, dict)
    assert planted["de"] > 0.8 and by_product["de"] > 0.8 and sum(planted.values()) == pytest.approx(1)
    assert max(nothing.values()) < 0.4 and len(nothing) == len(LANGUAGES)


def test_lengths_of_states_count_by_inner_product_alone() -> None:
    """A state of great length, as causal models have some, is by inner product the nearest of all."""
    draw = np.random.default_rng(0)
    target = draw.normal(size=(40, 16)) + 3
    alike, long = target + 0.1 * draw.normal(size=(40, 16)), 50 * (draw.normal(size=(5, 16)) + 3)
    keys, counts = np.concatenate([alike, long]), np.repeat([[1, 0], [0, 1]], [40, 5], axis=0)

    def shares(keys: np.ndarray, queries: np.ndarray) -> list[float]:
        given = (torch.tensor(queries).float(), torch.ones(40, dtype=torch.int64), torch.tensor(keys).float())
        return vote_shares(*given, torch.tensor(counts), 5)

    assert shares(keys, target)[1] == 1
    unit_keys, unit_target = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in (keys, target))
    assert shares(unit_keys, unit_target)[0] > 0.8


@pytest.mark.parametrize(("similarity", "neighbours", "items"), [("inner product", 5, 12), ("cosine", 3, 7)])
def test_shares_are_those_of_a_loop_over_texts(
    checkpoint: Path, tmp_path: Path, similarity: str, neighbours: int, items: int
) -> None:
    """Every text read by itself, and every token's neighbours searched among all."""
    shared = {language: f"{words} number plus" for language, words in PLANTED.items()}
    world(tmp_path / "data", shared)
    settings = {"similarity": similarity, "neighbours": neighbours, "items": items, "layer": 2}
    study = study_of(checkpoint, tmp_path / "data", settings)
    found = visit(study, tmp_path)[TARGET]
    model, tokenizer = tiny_model()
    special = set(tokenizer.all_special_ids)

    def states(language: str, split: str) -> np.ndarray:
        rows = []
        for item in study.task("mine", language).items(language, split)[:items]:  # type: ignore[arg-type]
            ids = tokenizer(item.context)["input_ids"]
            with torch.no_grad():
                hidden = model(input_ids=torch.tensor([ids]), output_hidden_states=True).hidden_states[2][0]
            rows += [hidden[place].numpy() for place, token in enumerate(ids) if place and token not in special]
        vectors = np.array(rows)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True) if similarity == "cosine" else vectors

    pool = [states(language, "train") for language in LANGUAGES]
    source = np.repeat(range(len(pool)), [len(part) for part in pool])
    expected = reference(states(TARGET, "test") @ np.concatenate(pool).T, source, len(pool), neighbours)
    assert isinstance(found, dict)
    assert [found[language] for language in LANGUAGES] == pytest.approx(expected.tolist(), abs=2e-3)


def test_a_target_is_no_candidate_for_itself_and_what_cannot_be_read_fails_alone(
    checkpoint: Path, tmp_path: Path
) -> None:
    world(tmp_path / "data", PLANTED)
    write(tmp_path / "data", {("fr", "train"): ["1 2 3 4 5 6 7 8 9 " * 12]})
    targets = {"tasks": ["mine"], "languages": ["de", "fr"]}
    found = visit(study_of(checkpoint, tmp_path / "data", targets=targets), tmp_path)
    assert isinstance(found["fr"], dict) and found["fr"].keys() == {"de", "en", "es"}
    assert str(found["de"]).startswith("source mine/fr: ") and "and the model takes 64" in str(found["de"])
    short = visit(study_of(checkpoint, tmp_path / "data", {"layer": 3}, targets=targets), tmp_path)
    assert set(short.values()) == {"layer 3: expected 1 to 2, as many as the model has"}


def test_keys_hold_what_decides_and_nothing_else(checkpoint: Path, tmp_path: Path) -> None:
    world(tmp_path / "data", PLANTED)

    def keys(settings: Mapping[str, Any] | None = None, **others: Any) -> list[str]:
        return [job.key for job in jobs_of(study_of(checkpoint, tmp_path / "data", settings, **others))]

    turned = {"tasks": ["mine"], "languages": list(reversed(LANGUAGES))}
    assert keys() == keys(sources=turned) == keys({"items": 50}) == keys({"items": 30}, seeds=[1, 2])
    others = [{"items": 3}, {"layer": 1}, {"neighbours": 1}, {"similarity": "inner product"}]
    assert len({*keys(), *(key for settings in others for key in keys(settings))}) == 5
    fewer = {"tasks": ["mine"], "languages": ["de", "en"]}
    assert keys(sources=fewer) != keys()
    (job,) = jobs_of(study_of(checkpoint, tmp_path / "data"))
    assert {source.items for source in job.config.sources} == {30} and job.batch == "tiny"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("  nn_rank: {neighbors: 3}", "unknown key 'neighbors'; did you mean 'neighbours'?"),
        ("  nn_rank: {layer: 0}", "plugins.nn_rank.layer: input should be greater than or equal to 1"),
        ("  nn_rank: {items: some}", "plugins.nn_rank.items: "),
        ("  nn_rank: {similarity: dot}", "plugins.nn_rank.similarity: "),
    ],
)
def test_a_wrong_setting_is_one_line(tmp_path: Path, change: str, told: str) -> None:
    file = tmp_path / "tiny.yml"
    file.write_text(f"{TINY.read_text()}plugins:\n{change}\n")
    with pytest.raises(UserError) as error:
        read_study(file)
    assert told in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"plugins": {"nn_rank": {"layer": 2}}}, "layer 2: expected 1 to 1, as many as model 'small' has"),
        ({"sources": None}, "and there are no sources to tune on"),
        (
            {
                "sources": {"tasks": ["parity"], "languages": ["de"]},
                "targets": {"tasks": ["parity"], "languages": ["de"]},
            },
            "other than the target itself, and parity/de is the only one",
        ),
    ],
)
def test_a_study_that_it_cannot_rank_is_refused_in_one_line(changes: Mapping[str, Any], told: str) -> None:
    study = read_study(TINY).model_dump(exclude_unset=True) | {"plugins": {"nn_rank": {}}} | changes
    with pytest.raises(UserError) as error:
        study_jobs(Study.model_validate(study))
    assert told in str(error.value) and "\n" not in str(error.value)
