"""Inference across languages: ESIM learns a generated rule, and the collections it reads."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from compute.catalog import MIRROR_VARIABLE
from compute.embeddings.downstream.esim import EnhancedSequentialInference
from compute.embeddings.downstream.networks import Esim
from compute.embeddings.downstream.own_files import OwnPairs
from compute.embeddings.downstream.texts import Texts, embed
from compute.embeddings.downstream.xnli import Xnli
from compute.embeddings.vectors import Vectors
from compute.errors import UserError
from tests.helpers.rotated import random_rotation
from tests.helpers.translated import word

QUICK = EnhancedSequentialInference(hidden=24, dropout=0, epochs=12, learning_rate=0.01)
N_WORDS = 16


def opposites() -> dict[str, Vectors]:
    """English and German, turned round and mapped back: word i means word i, and 2i the opposite of 2i + 1; and French,
    each of whose words a wrong map has brought to the place of another. (A mere rotation would not do: what words of
    one language are to each other survives it, and that is most of what the rule needs.)"""
    rng = np.random.default_rng(0)
    half = rng.normal(size=(N_WORDS // 2, 12))
    english = np.stack([half, -half], axis=1).reshape(N_WORDS, 12) + 0.1 * rng.normal(size=(N_WORDS, 12))
    rotation = random_rotation(rng, 12)
    return {
        language: Vectors([word(i, language) for i in range(N_WORDS)], matrix.astype(np.float32))
        for language, matrix in (
            ("en", english),
            ("de", english @ rotation @ rotation.T),
            ("fr", english[rng.permutation(N_WORDS)]),
        )
    }


def pairs(rng: np.random.Generator, n: int) -> tuple[list[list[int]], list[list[int]], np.ndarray]:
    """Premises of three words and hypotheses of one that is among them (0), whose opposite is (1), or neither (2)."""
    premises, hypotheses, labels = [], [], rng.integers(3, size=n)
    for label in labels:
        of_premise = rng.permutation(N_WORDS // 2)[:4] * 2 + rng.integers(2, size=4)
        about = int(of_premise[3] if label == 2 else of_premise[rng.integers(3)] ^ int(label == 1))
        premises.append(of_premise[:3].tolist())
        hypotheses.append([about])
    return premises, hypotheses, labels


def sentences(numbers: list[list[int]], *languages: str) -> Texts:
    """The sentences in each of the languages, one language after the other."""
    vectors = opposites()
    together = Vectors(
        [one for language in languages for one in vectors[language].words],
        np.concatenate([vectors[language].matrix for language in languages]),
    )
    return embed([[word(i, language) for i in one] for language in languages for one in numbers], together)


def test_a_rule_learnt_in_one_language_holds_in_the_other_where_the_map_is_right() -> None:
    rng = np.random.default_rng(1)
    premises, hypotheses, labels = pairs(rng, 1_000)
    asked, about, gold = pairs(rng, 150)
    train = sentences(premises, "en"), sentences(hypotheses, "en")
    found = QUICK.predict(train, labels, (sentences(asked, "de", "fr"), sentences(about, "de", "fr")), seed=3)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    right_map, wrong_map = (found.argmax(axis=1) == np.tile(gold, 2)).reshape(2, 150).mean(axis=1)
    assert right_map > 0.9
    assert wrong_map < 0.75


def test_what_a_pair_is_next_to_does_not_change_what_is_said_of_it() -> None:
    torch.manual_seed(0)
    network = Esim(dimension=5, classes=3, hidden=4, dropout=0.5).eval()
    lengths = [torch.tensor([3, 1, 6]), torch.tensor([2, 5, 1])]
    words = []
    for of_sentence in lengths:
        filled = torch.randn(3, int(of_sentence.max()), 5)
        filled[torch.arange(filled.shape[1])[None] >= of_sentence[:, None]] = 0
        words.append(filled)
    with torch.no_grad():
        together = network(*zip(words, lengths, strict=True))
        for i in range(3):
            alone = [(side[i : i + 1, : n[i]], n[i : i + 1]) for side, n in zip(words, lengths, strict=True)]
            torch.testing.assert_close(network(*alone)[0], together[i], atol=1e-6, rtol=1e-5)


def test_the_same_seed_gives_the_same_and_unknown_sentences_are_answered() -> None:
    premises, hypotheses, labels = pairs(np.random.default_rng(1), 40)
    quick = QUICK.model_copy(update={"epochs": 1})
    train = sentences(premises, "en"), sentences(hypotheses, "en")
    unknown = sentences([[], [0]], "en"), sentences([[1], []], "en")
    first, again, other = (quick.predict(train, labels, unknown, seed=seed) for seed in (7, 7, 8))
    assert first.tobytes() == again.tobytes() != other.tobytes()
    assert np.isfinite(first).all()


# Collections


def parquet(path: Path, **columns: list[object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(columns).write_parquet(path)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mirror with the files of the hub, cut to three pairs."""
    monkeypatch.setenv(MIRROR_VARIABLE, str(tmp_path))
    multi_nli = tmp_path / "nyu-mll" / "multi_nli" / "da70db2af9d09693783c3320c4249840212ee221"
    parquet(
        multi_nli / "data" / "train-00000-of-00001.parquet",
        pairID=["1", "2", "3"],
        premise=["A man.", "A dog.", "?"],
        hypothesis=["A person.", "A cat.", "?"],
        label=[0, 2, -1],
    )
    xnli = tmp_path / "facebook" / "xnli" / "b8dd5d7af51114dbda02c0e3f6133f332186418e"
    parquet(xnli / "de" / "test-00000-of-00001.parquet", premise=["Ein Mann."], hypothesis=["Ein Hund."], label=[1])
    parquet(xnli / "tr" / "test-00000-of-00001.parquet", premise=["Adam."], hypothesis=["Hayır."], label=[3])
    parquet(xnli / "fr" / "test-00000-of-00001.parquet", sentence=["Un homme."])
    return tmp_path


@pytest.mark.usefixtures("hub")
def test_multinli_and_xnli_are_read_as_the_hub_has_them() -> None:
    assert Xnli().train("en") == [
        ("0", "A man.", "A person.", "entailment"),
        ("1", "A dog.", "A cat.", "contradiction"),
    ]
    assert Xnli().test("de") == [("0", "Ein Mann.", "Ein Hund.", "neutral")]
    with pytest.raises(UserError, match=r"row 1: label: expected 0, 1, 2 or -1, found 3"):
        Xnli().test("tr")
    with pytest.raises(UserError, match=r"fr/test-00000-of-00001\.parquet: not a Parquet file of sentence pairs"):
        Xnli().test("fr")


def test_xnli_is_learnt_in_english_and_known_without_files() -> None:
    assert Xnli().covers("en", "sw") and not Xnli().covers("de", "en") and not Xnli().covers("en", "fi")
    assert Xnli().digest("en", "de") != Xnli().digest("en", "fr")


def test_own_pairs(tmp_path: Path) -> None:
    for language, part in (("en", "train"), ("de", "test")):
        (tmp_path / language).mkdir()
        pair = {"item_id": "7", "premise": language, "hypothesis": part, "label": "neutral"}
        (tmp_path / language / f"{part}.jsonl").write_text(json.dumps(pair))
    collection = OwnPairs(tmp_path)
    assert collection.covers("en", "de") and not collection.covers("de", "en")
    assert collection.train("en") == [("7", "en", "train", "neutral")]
    assert collection.test("de") == [("7", "de", "test", "neutral")]
    (tmp_path / "de" / "test.jsonl").write_text('{"item_id": "7", "premise": "a", "label": "b"}')
    with pytest.raises(UserError, match=r"test\.jsonl, row 1: hypothesis is missing"):
        collection.test("de")
