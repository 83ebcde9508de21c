"""Typological distances: the arithmetic, the archive's shape, and the rows of a study."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import cdist

from compute.catalog import MIRROR_VARIABLE, fetch, find
from compute.errors import JobError
from compute.plugin import Context, Outcome, Planned
from compute.plugins.uriel import Features, Settings, Uriel, cosine_distances, study_languages
from compute.store.artifacts import ArtifactStore
from compute.study.file import read_study
from compute.study.schema import Study

MIRROR = Path(__file__).resolve().parents[3].parent / "shared" / "data"
TINY = read_study(Path(__file__).parents[2] / "studies" / "tiny.yml")


def archive(path: Path, **arrays_: np.ndarray) -> Path:
    np.savez(path, **arrays_)
    return path


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Three languages with two syntactic, one phonological and two inventory features."""
    return archive(
        tmp_path / "small.npz",
        langs=np.array(["deu", "eng", "xyz"]),
        feats=np.array(["S_SVO", "P_TONE", "S_SOV", "INV_M", "INV_P"]),
        data=np.array([[1, 0, 1, 1, 1], [1, 1, 0, 1, 1], [0, 1, 1, 0, 1]], np.float32)[:, :, None],
    )


@given(arrays(np.float64, (5, 4), elements=st.sampled_from([0.0, 1.0])).filter(lambda v: v.any(axis=1).all()))
def test_cosine_distances_are_scipys(vectors: np.ndarray) -> None:
    found = cosine_distances(vectors)
    np.testing.assert_allclose(found, cdist(vectors, vectors, "cosine"), atol=1e-12)
    assert (found >= 0).all() and np.allclose(found, found.T)


def test_only_features_of_the_kind_count(small: Path) -> None:
    features = Features.read(small)
    np.testing.assert_array_equal(features.vectors(["de", "xyz"], "syntactic"), [[1, 1], [0, 1]])
    np.testing.assert_array_equal(features.vectors(["en", "de"], "inventory"), [[1, 1], [1, 1]])


def test_languages_without_features_have_no_distance(small: Path) -> None:
    features = Features.read(small)
    distances = cosine_distances(features.vectors(["de", "fr", "en"], "syntactic"))
    np.testing.assert_array_equal(np.isnan(distances), [[False, True, False], [True] * 3, [False, True, False]])
    # Of German no phonological feature holds; of xyz and English the same one does.
    tones = cosine_distances(features.vectors(["de", "xyz", "en"], "phonological"))
    np.testing.assert_array_equal(tones, [[np.nan] * 3, [np.nan, 0, 0], [np.nan, 0, 0]])


def test_damaged_archives_are_refused(tmp_path: Path) -> None:
    langs, feats = np.array(["deu"]), np.array(["S_A", "S_B"])
    pickled = archive(tmp_path / "pickled.npz", langs=langs, feats=feats, data=np.array([[{}, {}]], dtype=object))
    with pytest.raises(ValueError, match="pickle"):
        Features.read(pickled)
    wrong = archive(tmp_path / "wrong.npz", langs=langs, feats=feats, data=np.ones((1, 3, 1), np.float32))
    with pytest.raises(ValueError, match=r"data is \(1, 3, 1\), expected \(1, 2, 1\)"):
        Features.read(wrong)
    lacking = archive(tmp_path / "lacking.npz", langs=langs, feats=feats)
    with pytest.raises(ValueError, match="langs, feats and data"):
        Features.read(lacking)
    cut = tmp_path / "cut.npz"
    cut.write_bytes(wrong.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"cut\.npz"):
        Features.read(cut)


def context(tmp_path: Path) -> Context:
    return Context("cpu", ArtifactStore(tmp_path / "artifacts"))


@pytest.mark.skipif(not MIRROR.is_dir(), reason="the mirror of public data is not beside the project")
def test_rows_of_a_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MIRROR_VARIABLE, str(MIRROR))
    settings = Settings(languages=("en", "fr", "deu"))
    (job,) = Uriel().plan(TINY, Planned(), settings)
    ((_, outcome),) = Uriel().run([job], context(tmp_path))
    rows = {
        (row["measure"], row["source_language"], row["target_language"]): row["value"]
        for row in outcome["language_distances"]  # type: ignore[index]
    }
    assert len(rows) == 3 * 3 * 2
    assert {kind for kind, *_ in rows} == {"syntactic", "phonological", "inventory"}
    # From the archive, by hand: English orders its words more as German does than as French.
    assert rows["syntactic", "en", "fr"] == pytest.approx(0.18825, abs=1e-5)
    assert rows["syntactic", "deu", "en"] == pytest.approx(0.0975, abs=1e-4)
    assert all(value == rows[kind, target, source] for (kind, source, target), value in rows.items())


def rows_of(outcome: Outcome) -> list[tuple[object, ...]]:
    assert not isinstance(outcome, JobError), outcome
    return [tuple(row.values()) for row in outcome["language_distances"]]


@pytest.mark.skipif(not MIRROR.is_dir(), reason="the mirror of public data is not beside the project")
def test_a_language_that_uriel_lacks_has_rows_without_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MIRROR_VARIABLE, str(MIRROR))
    (job,) = Uriel().plan(TINY, Planned(), Settings(languages=("en", "qqq", "de"), distances=("syntactic",)))
    ((_, outcome),) = Uriel().run([job], context(tmp_path))
    without = {(source, target) for source, target, _, value in rows_of(outcome) if value is None}
    assert without == {("de", "qqq"), ("qqq", "de"), ("en", "qqq"), ("qqq", "en")}
    assert len(rows_of(outcome)) == 6
    (nothing,) = Uriel().plan(TINY, Planned(), Settings(languages=("qqq", "qqp")))
    ((_, outcome),) = Uriel().run([nothing], context(tmp_path))
    assert "URIEL has no features of any of qqp, qqq" in str(outcome)


@pytest.mark.skipif(not MIRROR.is_dir(), reason="the mirror of public data is not beside the project")
def test_a_file_that_was_changed_fails_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = find("antonisa/lang2vec", "lang2vec/data/feature_predictions.npz")
    copy = tmp_path / entry.key
    copy.parent.mkdir(parents=True)
    copy.write_bytes((MIRROR / entry.key).read_bytes() + b"!")
    monkeypatch.setenv(MIRROR_VARIABLE, str(tmp_path))
    (job,) = Uriel().plan(TINY, Planned(), Settings())
    ((_, outcome),) = Uriel().run([job], context(tmp_path))
    assert isinstance(outcome, JobError)
    assert f"expected {entry.sha256}" in str(outcome)


@pytest.mark.parametrize("name", ["donors_recipients", "bible_bli", "real_small", "xling_eval"])
def test_published_studies_ask_for_it_and_uriel_has_their_languages(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    study = read_study(Path(__file__).parents[3] / "studies" / f"{name}.yml")
    assert "uriel" in study.plugins
    if not MIRROR.is_dir():
        pytest.skip("the mirror of public data is not beside the project")
    monkeypatch.setenv(MIRROR_VARIABLE, str(MIRROR))
    features = Features.read(fetch(find("antonisa/lang2vec", "lang2vec/data/feature_predictions.npz")))
    for kind in ("syntactic", "phonological", "inventory"):
        assert np.isfinite(cosine_distances(features.vectors(study_languages(study), kind))).all()  # type: ignore[arg-type]


def test_a_file_that_cannot_be_had_fails_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MIRROR_VARIABLE, str(tmp_path / "nowhere"))
    (job,) = Uriel().plan(TINY, Planned(), Settings(languages=("en", "fr")))
    ((_, outcome),) = Uriel().run([job], context(tmp_path))
    assert isinstance(outcome, JobError)
    assert "nowhere" in str(outcome)


def test_the_job_is_what_decides_the_distances() -> None:
    def key(**settings: object) -> str:
        return next(iter(Uriel().plan(TINY, Planned(), Settings(**settings)))).key  # type: ignore[arg-type]

    assert key(languages=("en", "fr")) == key(languages=("fr", "en"))
    assert key(languages=("en", "fr")) != key(languages=("en", "de"))
    assert key(languages=("en", "fr")) != key(languages=("en", "fr"), distances=("syntactic",))


def test_languages_are_the_studys_unless_listed() -> None:
    (job,) = Uriel().plan(TINY, Planned(), Settings())
    assert job.config.languages == ("de", "en")
    alone = Study(study="s", plugins={"uriel": {}})
    with pytest.raises(ValueError, match="two languages"):
        list(Uriel().plan(alone, Planned(), Settings()))
