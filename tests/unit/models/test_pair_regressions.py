"""Transfer on language distances in grids that are not square, against least squares and permutations in NumPy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.helpers.derived import Row, as_rows, derived
from tests.helpers.warehouse_fixture import RawRows

LANGUAGES = "abcdefghij"


def _raw(
    study: str, raw: RawRows, distance: np.ndarray, transfer: np.ndarray, sources: list[int], targets: list[int]
) -> None:
    """A published grid of differences, [source, target] by number; NaN is not there. The distance is one for both
    directions, [language, language]."""
    raw.study(study, origin="somebody")
    key = raw.job(study, "import", file=study)
    for s, t in itertools.product(sources, targets):
        if s != t and not np.isnan(transfer[s, t]):
            raw.add(
                "aggregate_scores", job_key=key, model="m@1", source_task="t", source_language=LANGUAGES[s],
                target_task="t", target_language=LANGUAGES[t], metric="acc", score=0.5, baseline_score=0.5,
                delta_pp=float(transfer[s, t]), n_items=100, n_seeds=1,
            )  # fmt: skip
    key = raw.job(study, "uriel", file=study)
    for i, j in itertools.combinations(range(len(distance)), 2):
        raw.add(
            "language_distances", job_key=key, source_language=LANGUAGES[i], target_language=LANGUAGES[j],
            measure="syntactic", value=float(distance[i, j]),
        )  # fmt: skip


def _found(raw: RawRows) -> dict[str, Row]:
    raw.task("t")
    rows = as_rows(derived(raw, "rpt_pair_correlations"), "from rpt_pair_correlations")
    return {row["study"]: row for row in rows}


def _symmetric(rng: np.random.Generator, n: int) -> np.ndarray:
    drawn = rng.random((n, n))
    return np.asarray(drawn + drawn.T)


def _residuals(values: np.ndarray, s: np.ndarray, t: np.ndarray) -> np.ndarray:
    design = np.hstack([s[:, None] == np.unique(s), t[:, None] == np.unique(t)]).astype(float)
    return np.asarray(values - design @ np.linalg.lstsq(design, values, rcond=None)[0])


def _reference(distance: np.ndarray, transfer: np.ndarray, sources: list[int], targets: list[int]) -> list[float]:
    """Slope and partial correlation by least squares on indicators; p over 3,000 random permutations of languages."""
    rng = np.random.default_rng(0)
    pairs = [(s, t) for s in sources for t in targets if s != t and not np.isnan(transfer[s, t])]
    s, t = np.array(pairs).T
    y, x = _residuals(transfer[s, t], s, t), _residuals(distance[s, t], s, t)
    languages = np.array(sorted({*s.tolist(), *t.tolist()}))

    def far(order: np.ndarray) -> float:
        renamed = dict(zip(languages.tolist(), order.tolist(), strict=True))
        moved = distance[[renamed[i] for i in s.tolist()], [renamed[i] for i in t.tolist()]]
        return float(abs(np.corrcoef(moved, y)[0, 1]))

    observed = far(languages)
    p = np.mean([far(rng.permutation(languages)) >= observed - 1e-9 for _ in range(3_000)])
    return [x @ y / (x @ x), x @ y / np.sqrt((x @ x) * (y @ y)), float(p)]


SHAPES = {
    "rectangular": ([0, 1, 2], [0, 1, 2, 3, 4, 5, 6]),
    "no language in both roles": ([0, 1, 2], [3, 4, 5, 6]),
    "square": ([0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5]),
    "with holes": ([0, 1, 2, 3, 4, 5], [2, 3, 4, 5, 6, 7]),
}


def test_regressions_are_least_squares_and_permutations() -> None:
    rng = np.random.default_rng(4)
    raw, expected = RawRows(), {}
    for name, (sources, targets) in SHAPES.items():
        distance, transfer = _symmetric(rng, 8), rng.normal(size=(8, 8)) + 3 * rng.normal(size=(8, 1))
        transfer -= 0.8 * distance
        if name == "with holes":
            transfer[rng.random((8, 8)) < 0.25] = np.nan
        _raw(name, raw, distance, transfer, sources, targets)
        expected[name] = _reference(distance, transfer, sources, targets)
    for name, row in _found(raw).items():
        slope, correlation, p = expected[name]
        assert row["regression_slope_pp"] == pytest.approx(slope, rel=1e-6)
        assert row["regression_correlation"] == pytest.approx(correlation, rel=1e-6)
        assert row["regression_p_value"] == pytest.approx(p, abs=0.04)
        sources, targets = SHAPES[name]
        assert row["regression_n_languages"] == len({*sources, *targets})
        assert (row["n_languages"], row["spearman"] is None) == {
            "rectangular": (3, True), "no language in both roles": (0, True), "square": (6, False),
        }.get(name, (row["n_languages"], True))  # fmt: skip


def test_nothing_is_said_of_few_languages_or_of_one_source() -> None:
    rng = np.random.default_rng(6)
    raw = RawRows()
    for study, sources, targets in (("four", [0, 1], [0, 1, 2, 3]), ("one source", [0], [1, 2, 3, 4, 5, 6])):
        _raw(study, raw, _symmetric(rng, 8), rng.normal(size=(8, 8)), sources, targets)
    found = _found(raw)
    assert {name: row["regression_n_languages"] for name, row in found.items()} == {"four": 4, "one source": 7}
    for row in found.values():
        assert {row[f"regression_{name}"] for name in ("slope_pp", "correlation", "p_value")} == {None}


def test_a_planted_relation_is_found_and_none_is_not() -> None:
    """Sources and targets differ far more than pairs; languages' own parts make distances of one language alike."""
    rng = np.random.default_rng(12)
    raw, n = RawRows(), 60
    for draw in range(n):
        own = rng.random((9, 1))
        distance = np.abs(own - own.T) + 0.2 * _symmetric(rng, 9)
        transfer = 5 * rng.normal(size=(9, 1)) + 5 * rng.normal(size=9) + rng.normal(size=(9, 9))
        sources, targets = [0, 1, 2, 3], [0, 1, 2, 3, 4, 5, 6, 7, 8]
        _raw(f"none {draw}", raw, distance, transfer, sources, targets)
        _raw(f"some {draw}", raw, distance, transfer - 4 * distance, sources, targets)
    found = _found(raw)
    p = {kind: np.array([found[f"{kind} {draw}"]["regression_p_value"] for draw in range(n)])
         for kind in ("none", "some")}  # fmt: skip
    assert np.mean(p["none"] <= 0.05) <= 0.05 + 2.6 * np.sqrt(0.05 * 0.95 / n)
    assert np.mean(p["none"] <= 0.5) == pytest.approx(0.5, abs=0.2)
    assert np.mean(p["some"] <= 0.05) >= 0.7
    slopes = [found[f"some {draw}"]["regression_slope_pp"] for draw in range(n)]
    assert np.mean(slopes) == pytest.approx(-4, abs=0.6)
