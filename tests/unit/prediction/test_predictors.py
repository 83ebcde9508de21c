"""What is said of transfer before anything is tuned, and what all of it says together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from compute.errors import UserError
from compute.languages import script_of
from compute.prediction.grid import Cell, Grid, Model, whole
from compute.prediction.judging import judged
from compute.prediction.predictors import PREDICTORS, Predictor, values_of
from tests.truth.planted_grid import Shape, planted

SOURCES: list[Cell] = [("t", "en"), ("t", "de"), ("u", "ru")]
TARGETS: list[Cell] = [("t", "en"), ("u", "nl"), ("u", "uk")]
DISTANCES = {
    ("de", "nl"): 0.1,
    ("en", "nl"): 0.2,
    ("nl", "ru"): 0.9,
    ("ru", "uk"): 0.1,
    ("de", "uk"): 0.8,
    ("en", "uk"): 0.7,
}


def grid(**known: object) -> Grid:
    delta = {("m@1", source, target): 1.0 for source in SOURCES for target in TARGETS}
    base = {("m@1", ("t", "en")): 0.9, ("m@1", ("u", "nl")): 0.4}
    return whole([Model("m@1")], SOURCES, TARGETS, delta, {}, base, **known)


def said(name: str, of: Grid) -> dict[tuple[str, str], float | None]:
    """By (source, target), each task/language; None where it says nothing."""
    values = values_of(name, of)
    names = {
        (s, t): ("/".join(SOURCES[s]), "/".join(TARGETS[t])) for s in range(len(SOURCES)) for t in range(len(TARGETS))
    }
    return {
        names[s, t]: None if np.isnan(value) else float(value)
        for s, t, value in zip(of.source, of.target, values, strict=True)
    }


def test_habits() -> None:
    assert said("same_task", grid())["t/en", "t/en"] == 1 and said("same_task", grid())["t/de", "u/nl"] == 0
    assert said("same_language", grid())["t/en", "t/en"] == 1 and said("same_language", grid())["t/de", "t/en"] == 0
    assert [value for (source, _), value in said("english", grid()).items() if source == "t/en"] == [1, 1, 1]
    assert set(said("random", grid()).values()) == {0}
    nearest = said("nearest_language", grid(distances={"syntactic": DISTANCES}))
    assert [pair for pair, value in nearest.items() if value == 1 and pair[1] != "t/en"] == [
        ("t/de", "u/nl"),
        ("u/ru", "u/uk"),
    ]
    assert set(said("nearest_language", grid()).values()) == {None}


def test_what_is_known_of_languages_texts_and_bases() -> None:
    assert said("shared_script", grid())["u/ru", "u/uk"] == 1 and said("shared_script", grid())["t/de", "u/uk"] == 0
    far = said("uriel", grid(distances={"syntactic": DISTANCES}))
    assert far["t/en", "t/en"] == 0 and far["t/de", "u/nl"] == pytest.approx(far["u/ru", "u/uk"])
    assert far["t/de", "u/uk"] == pytest.approx(8 * far["t/de", "u/nl"])  # type: ignore[operator]
    texts = {("t", "de"): frozenset({"abc", "bcd"}), ("u", "nl"): frozenset({"abc", "xyz", "yzz", "zzz"})}
    overlap = said("lexical_overlap", grid(trigrams=texts))
    assert overlap["t/de", "u/nl"] == 0.25 and overlap["t/de", "u/uk"] is None
    assert said("base_score", grid())["t/en", "u/uk"] == 0.9 and said("base_score", grid())["t/de", "u/nl"] is None
    assert said("headroom", grid())["t/de", "u/nl"] == 0.6 and said("headroom", grid())["t/de", "u/uk"] is None


def test_nearest_tokens_are_each_models_own() -> None:
    shares = {("m@1", ("t", "de"), ("u", "nl")): 0.7, ("other@1", ("u", "ru"), ("u", "nl")): 0.3}
    said_so = said("nn_rank", grid(similarities={"nn_rank": shares}))
    assert {pair: value for pair, value in said_so.items() if value is not None} == {("t/de", "u/nl"): 0.7}
    assert set(said("nn_rank", grid()).values()) == {None}


def test_geometry_has_the_sign_of_alike() -> None:
    geometry = {
        "bli_map": {("de", "nl"): 0.7},
        "relational_similarity": {("de", "nl"): 0.9, ("ru", "nl"): 0.1},
        "gromov_hausdorff": {("de", "nl"): 0.1, ("ru", "nl"): 0.9},
    }
    alike = said("isometry", grid(geometry=geometry))
    assert alike["t/de", "u/nl"] > 0 > alike["u/ru", "u/nl"]  # type: ignore[operator]
    assert alike["t/en", "t/en"] is None
    assert said("bli", grid(geometry=geometry))["t/de", "u/nl"] == 0.7


def test_a_predictor_is_not_given_what_it_is_to_predict(monkeypatch: pytest.MonkeyPatch) -> None:
    def peek(of: Grid) -> np.ndarray:
        return of.delta

    def short(of: Grid) -> np.ndarray:
        return np.zeros(3)

    def broken(of: Grid) -> np.ndarray:
        raise ValueError("no such thing\nat all")

    monkeypatch.setattr(type(PREDICTORS), "package", lambda registry, name: "another")
    for function, expected in ((short, "expected one value a cell, 9, found"), (broken, "ValueError: no such thing")):
        monkeypatch.setattr(type(PREDICTORS), "load", lambda registry, name, f=function: Predictor(f))
        with pytest.raises(UserError, match=expected):
            values_of("x", grid())
    monkeypatch.setattr(type(PREDICTORS), "load", lambda registry, name: Predictor(peek))
    assert np.isnan(values_of("x", grid())).all()


def test_all_together_are_weighted_elsewhere() -> None:
    of = planted(np.random.default_rng(1), Shape(3, 2, 6)).grid
    of = of.part(~of.is_own)
    values = judged(of)
    assert "english" in values and "nearest_language" in values and "bli" not in values
    target_language = np.array([language for _, language in of.targets])[of.target]
    mine = (of.model == 0) & (target_language == "de")
    source_language = np.array([language for _, language in of.sources])[of.source]
    unseen = (of.model == 0) | (target_language == "de") | (source_language == "de")
    other = judged(replace(of, delta=np.where(unseen, 100.0, of.delta)))
    assert other["together"][mine].tolist() == values["together"][mine].tolist()


def test_all_together_find_what_is_planted_and_nothing_where_nothing_is() -> None:
    found = {}
    for signal in (0.0, 1.0):
        correlations = []
        for seed in range(12):
            of = planted(np.random.default_rng([5, seed]), Shape(3, 2, 6), signal).grid
            of = of.part(~of.is_own)
            together = judged(of)["together"]
            column = of.model * len(of.targets) + of.target
            correlations.append(np.corrcoef(_centered(together, column), _centered(of.delta, column))[0, 1])
        found[signal] = float(np.mean(correlations))
    assert abs(found[0.0]) < 0.06 and found[1.0] > 0.25, found


def _centered(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    means = np.bincount(groups, values) / np.maximum(np.bincount(groups), 1)
    return np.asarray(values - means[groups])


def test_scripts() -> None:
    assert [script_of(code) for code in ("de", "rus", "zh", "ar", "xyz", "mul")] == [
        "Latn", "Cyrl", "Hani", "Arab", None, None,
    ]  # fmt: skip
