"""The cataloged Bibles and vectors trained on them against those made with the same recipe (../shared/golden)."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from compute.catalog import MIRROR_VARIABLE
from compute.embeddings.corpora import BIBLES, bible_verses
from compute.embeddings.reading import read_vectors
from compute.embeddings.settings import BibleVectors
from compute.embeddings.training import train_vectors

SHARED = Path(__file__).parents[2].parent / "shared"
GOLDEN, MIRROR = SHARED / "golden", SHARED / "data"
SLOW = "TRANSFER_SLOW_TESTS"

pytestmark = pytest.mark.skipif(
    not (GOLDEN.is_dir() and MIRROR.is_dir()), reason=f"reference vectors and texts are not at {SHARED}"
)


@pytest.fixture(autouse=True)
def mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MIRROR_VARIABLE, os.fspath(MIRROR))


def published_counts() -> dict[str, tuple[int, int, int]]:
    """Language -> sentences, tokens, words of at least 5 occurrences, from the table of the README."""
    text = (GOLDEN / "README.md").read_text(encoding="utf-8")
    found = re.findall(r"^\| (\w\w) \| [^|]+ \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|$", text, flags=re.MULTILINE)
    return {language: tuple(int(n.replace(",", "")) for n in counts) for language, *counts in found}  # type: ignore[misc]


@pytest.mark.parametrize("language", BIBLES)
def test_the_text_is_counted_as_published(language: str) -> None:
    verses = bible_verses(language)
    words = Counter(word for verse in verses for word in verse)
    counts = (len(verses), sum(words.values()), sum(count >= 5 for count in words.values()))
    assert counts == published_counts()[language]


@pytest.mark.skipif(not os.environ.get(SLOW), reason=f"trains for half a minute: set {SLOW}=1")
def test_vectors_trained_by_the_same_recipe_are_the_same() -> None:
    golden, _ = read_vectors(GOLDEN / "vectors" / "bible.en.100d.vec.gz")
    ours = train_vectors(bible_verses("en"), BibleVectors(corpus="bible"))
    assert ours.words == golden.words
    # Rounding differs with the processor, and grows over ten epochs; chance does not.
    np.testing.assert_allclose(ours.matrix, golden.matrix, atol=5e-3)
    cosines = (ours.matrix * golden.matrix).sum(axis=1)
    cosines /= np.linalg.norm(ours.matrix, axis=1) * np.linalg.norm(golden.matrix, axis=1)
    assert cosines.min() > 0.9999
