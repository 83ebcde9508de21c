"""Contrasts and items that adapters lose or gain, against the same numbers worked out from the answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from compute.errors import UserError
from compute.store.warehouse import Warehouse
from compute.verbs.comparison import compare, contrast_rows
from tests.helpers.luck import Cell
from tests.marts.scored.rows import CONTRASTS, MODELS, N_ITEMS, SOURCES, TARGETS, Key, Row, query

Target = tuple[str, str]


def _pairs(contrast: str, targets: list[Target]) -> list[tuple[Key, Key]]:
    """Cells of the two arms, by what CONTRASTS says."""
    if contrast == "placebo":
        return [((m, s, None, t), (m, s, "placebo", t)) for m in MODELS for s in SOURCES for t in targets]
    if contrast == "sources":
        return [((m, ("add", "de"), None, t), (m, ("read", "fi"), None, t)) for m in MODELS for t in targets]
    return [(("one@1", s, None, t), ("three@1", s, None, t)) for s in SOURCES for t in targets]


def _is_trained(pair: tuple[Key, Key]) -> bool:
    return any(key[1] == key[3] for key in pair)


def test_contrasts(warehouse: Path, cells: dict[Key, Cell], half_width: Callable[[dict[Key, float]], float]) -> None:
    rows = query(warehouse, "select * from marts.rpt_contrasts where study = 'grid'")
    by_contrast: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_contrast[row["contrast"]].append(row)
    # A contrast that no cells meet has no rows; of the six sources each is a target, whose trained cells stand apart.
    assert {name: len(found) for name, found in by_contrast.items()} == {
        "placebo": len(TARGETS) + len(SOURCES) + 1, "sources": 4, "models": 3,
    }  # fmt: skip
    for contrast, found in by_contrast.items():
        asked = [tuple(name.split("/")) for name in CONTRASTS[contrast].get("targets", ())] or TARGETS
        for row in found:
            target = (row["target_task"], row["target_language"])
            targets = asked if target == (None, None) else [target]
            pairs = [pair for pair in _pairs(contrast, targets) if _is_trained(pair) == row["is_trained_cell"]]
            weights: dict[Key, float] = {}
            for one, other in pairs:
                weights |= {one: 1 / len(pairs), other: -1 / len(pairs)}
            expected = 100 * sum(w * cells[key].d.mean() for key, w in weights.items())
            assert row["difference_pp"] == pytest.approx(expected, abs=1e-9)
            assert (row["n_pairs"], row["n_targets"], row["n_items"]) == (len(pairs), len(targets), N_ITEMS)
            half = half_width(weights)
            bounds = (row["ci_low"], row["ci_high"])
            assert bounds == pytest.approx((expected - half, expected + half), rel=1e-4, abs=1e-3)
            # The interval tells the degrees of freedom, and they the two p.
            degrees = _degrees(half / row["difference_se"])
            law = stats.t(degrees, scale=row["difference_se"])
            assert row["p_value"] == pytest.approx(2 * law.sf(abs(expected)), rel=0.02)
            assert row["p_harm"] == pytest.approx(law.cdf(expected + 2.0), rel=0.02)
            assert row["error_of"] == "tuning"
        for name, adjusted in (("p_value", "q_value"), ("p_harm", "q_harm")):
            family = [row for row in found if row["target_task"] is not None]
            q = multipletests([row[name] for row in family], method="fdr_bh")[1]
            assert [row[adjusted] for row in family] == pytest.approx(q.tolist())
            (everywhere,) = (row for row in found if row["target_task"] is None)
            assert everywhere[adjusted] == everywhere[name]
    labels = {(row["contrast"], row["arm_a"], row["arm_b"]) for row in rows}
    assert labels == {
        ("placebo", "tuned", "placebo"), ("sources", "source add/de", "source read/fi"),
        ("models", "model one", "model three@1"),
    }  # fmt: skip


def _degrees(ratio: float) -> float:
    low, high = 0.0, 14.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if stats.t.ppf(0.975, np.exp(middle)) > ratio else (low, middle)
    return float(np.exp(low))


def test_items_that_most_adapters_lose_or_gain(warehouse: Path, cells: dict[Key, Cell]) -> None:
    rows = query(warehouse, "select * from marts.rpt_items where study = 'grid'")
    tasks = {task for task, _ in TARGETS}
    assert {(row["target_task"], row["parallel_id"]) for row in rows} == {
        (task, f"p{i}") for task in tasks for i in range(N_ITEMS)
    }
    for row in rows:
        item = int(row["parallel_id"][1:])
        answers: dict[Key, np.ndarray] = defaultdict(lambda: np.zeros(4))
        for (model, source, control, target), cell in cells.items():
            if control is None and source != target and target[0] == row["target_task"]:
                right, after = cell.before[item], cell.after[:, item].sum()
                n = len(cell.after)
                answers[model, source] += [n, n - after, 0, 0] if right else [0, 0, n, after]
        found = np.array(list(answers.values()))
        for (n, k), could, does, p in (
            (found.T[:2], "n_could_lose", "n_losing", "p_lost"), (found.T[2:], "n_could_gain", "n_gaining", "p_gained"),
        ):  # fmt: skip
            assert (row[could], row[does]) == (np.sum(n > 0), np.sum(2 * k > n))
            assert row[p] == pytest.approx(stats.binom.sf(row[does] - 1, row[could], 0.5))
        lost, gained = found[:, 1].sum(), found[:, 3].sum()
        assert row["loss_pct"] == pytest.approx(100 * lost / found[:, 0].sum())
        assert row["gain_pct"] == pytest.approx(100 * gained / found[:, 2].sum())
        assert row["delta_pp"] == pytest.approx(100 * (gained - lost) / row["n_answers"])
        assert (row["n_languages"], row["n_models"], row["n_adapters"]) == (4, 3, 18)
        assert (row["target_language"], row["item_id"]) == (None, None)
    prompts = {row["prompt"] for row in rows}
    assert prompts == {"per target"}
    for name in ("lost", "gained"):
        q = multipletests([row[f"p_{name}"] for row in rows], method="fdr_bh")[1]
        assert [row[f"q_{name}"] for row in rows] == pytest.approx(q.tolist())
        assert [row[f"is_{name}_by_most"] for row in rows] == (q <= 0.05).tolist()


def test_items_without_translations_are_named_by_themselves(warehouse: Path) -> None:
    rows = query(warehouse, "select * from marts.rpt_items where study = 'holes' and variant = 'default'")
    assert rows and all(row["parallel_id"] is None and row["target_language"] and row["item_id"] for row in rows)
    assert {row["n_languages"] for row in rows} == {1}


@pytest.mark.parametrize(
    ("contrast", "arms"),
    [
        ("placebo", ("tuned", "control=placebo")),
        ("sources", ("add/de", "source=read/fi")),
        ("models", ("one", "three@1,tuned")),
    ],
)
def test_what_is_asked_is_what_is_declared(contrast: str, arms: tuple[str, str], warehouse: Path) -> None:
    targets = CONTRASTS[contrast].get("targets", [])
    rows, threshold = contrast_rows(Warehouse(warehouse, 1, print), "grid", *arms, targets)
    asked = {
        (row.is_all, row.target): (row.difference_pp, row.ci_low, row.ci_high, row.q_value, row.verdict) for row in rows
    }
    declared = query(
        warehouse,
        f"""
        select target_task is null, difference_pp, ci_low, ci_high, q_value, verdict,
            coalesce(target_task || '/' || target_language, 'all targets')
            || case when is_trained_cell then ' (own cell)' else '' end as name
        from marts.rpt_contrasts where study = 'grid' and contrast = '{contrast}'
        """,
    )
    found = {}
    for row in declared:
        is_all, *numbers, name = row.values()
        found[is_all, name] = pytest.approx(tuple(numbers))
    assert (asked, threshold) == (found, 2.0)


@pytest.mark.parametrize(
    ("arms", "targets", "message"),
    [
        (("add/dx", "read/fi"), [], "unknown arm 'add/dx'; did you mean 'add/de'"),
        (("modle=one", "two"), [], "unknown arm 'modle=one'"),
        (("model=oen", "two"), [], "unknown model 'oen'; did you mean 'one'"),
        (("one", "one@1"), [], "the arms are the same"),
        (("add/de", "placebo"), [], "source is said of arm a alone"),
        (("tuned,placebo", "one"), [], "'tuned,placebo' says its control twice"),
        (("tuned", "placebo"), ["sort/dee"], "unknown target 'sort/dee'; did you mean 'sort/de'"),
    ],
)
def test_mistakes_are_one_line(arms: tuple[str, str], targets: list[str], message: str, warehouse: Path) -> None:
    with pytest.raises(UserError) as caught:
        compare(Warehouse(warehouse, 1, print), "grid", *arms, targets)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_prompts_are_compared_where_an_import_has_several(warehouse: Path) -> None:
    """Item by item: 7 of 10 answers against 2, of one base model; errors are of these runs, one seed each."""
    told = compare(Warehouse(warehouse, 1, print), "holes", "p", "q@1", ["read/en"])
    assert "prompt p@1 less prompt q@1" in told and "  read/en   +50.00" in told.replace("    ", "  ")
    assert "intervals are of these runs" in told
    with pytest.raises(UserError, match="no cell of one has its like"):
        compare(Warehouse(warehouse, 1, print), "holes", "p", "q", ["read/it"])
