"""`python -m tests.truth.masked_sources --study NAME WAREHOUSE`: a grid that was computed whole, as if it had not been.

Whole sources are hidden, at random or as an adaptive study would not have tuned them; half of the items are what a
study sees of a cell, and the other half, which take no part, say what a picked source was worth. Prints the tables of
docs/how-to/predict.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import numpy as np
from scipy import stats

from compute.prediction.choosing import Rules, Unit, choose
from compute.prediction.fitting import posterior, predict
from compute.prediction.grid import Grid
from compute.prediction.predictors import values_of
from compute.prediction.reading import grids

HABITS = ("same_task", "same_language", "english", "nearest_language", "random")
BUDGET, FIRST_ROUND = 0.25, 0.4
"""Share of the tuning, and of it what is tuned before anything is known: `compute.prediction.choosing`."""

_HALVES = """
with items as (
    select
        cells.model, (cells.source_task, cells.source_language) as source,
        (cells.target_task, cells.target_language) as target, cells.delta_se,
        items.n_correct / items.n_seeds - items.baseline_correct as change,
        md5_number_lower(concat_ws(' ', cells.target_task, items.item_id)) % 2 = 0 as is_seen
    from intermediate.int_cell_items as items
    inner join intermediate.int_transfer_cells as cells on items.cell_number = cells.cell_number
    where cells.study = ? and cells.variant = ? and cells.control is null
)
select
    model, source, target,
    100 * avg(change) filter (where is_seen),
    100 * avg(change) filter (where not is_seen),
    sqrt(greatest(0, any_value(delta_se) ** 2
        + 1e4 * var_samp(change) * (1 / count(*) filter (where is_seen) - 1 / count(*))))
from items
group by all
"""
"""Of each cell: the difference on the items that are seen, on the others, and the first one's standard error: that of
all items, with more of the items' share in it."""


@dataclass(frozen=True)
class Halves:
    """A grid on the items that are seen, and what its cells are on those that take no part, [cell]; no trained cell."""

    grid: Grid
    apart: np.ndarray


def halves(connection: duckdb.DuckDBPyConnection, study: str, variant: str = "default") -> Halves:
    """Return the two halves of a study in a built warehouse."""
    [whole] = [found.grid for found in grids(connection, study) if found.variant == variant]
    numbers = {model.name: i for i, model in enumerate(whole.models)}
    rows = connection.execute(_HALVES, [study, variant]).fetchall()
    places = {
        (m, s, t): i for i, (m, s, t) in enumerate(zip(whole.model, whole.source, whole.target, strict=True))
    }  # fmt: skip
    seen, apart, error = (np.full(len(whole), np.nan) for _ in range(3))
    for model, source, target, *values in rows:
        place = places[numbers[model], whole.sources.index(tuple(source)), whole.targets.index(tuple(target))]
        seen[place], apart[place], error[place] = values
    chosen = ~whole.is_own & np.isfinite(seen)
    return Halves(replace(whole, delta=seen, error=error).part(chosen), apart[chosen])


def after(grid: Grid, done: Sequence[Unit]) -> Grid:
    """Return the grid as if only these (model, source) had been tuned."""
    known = set(done)
    return grid.without(np.array([unit not in known for unit in zip(grid.model, grid.source, strict=True)]))


def adaptive(grid: Grid, rng: np.random.Generator, budget: float = BUDGET) -> list[Unit]:
    """Return what an adaptive study tunes whose first round is drawn."""
    units = sorted({(int(m), int(s)) for m, s in zip(grid.model, grid.source, strict=True)})
    first = rng.permutation(len(units))[: round(FIRST_ROUND * budget * len(units))]
    done = [units[i] for i in first]
    costs = dict.fromkeys(units, 1.0)
    while chosen := choose(after(grid, done), costs, done, Rules("best source", budget, 0.0)).units:
        done += chosen
    return done


def at_random(grid: Grid, rng: np.random.Generator, budget: float = BUDGET) -> list[Unit]:
    """Return so many sources, each tuned for every model."""
    sources = rng.permutation(len(grid.sources))[: round(budget * len(grid.sources))]
    return sorted({(int(m), int(s)) for m, s in zip(grid.model, grid.source, strict=True) if s in sources})


@dataclass(frozen=True)
class Picks:
    """What ways to pick a source are worth, mask by mask.

    Attributes:
        value: by way, pp on the items apart, [mask, column]; a column is a model and a target.
        unit: by way, the (model, source) picked, [mask, column]; -1 where several are equal.
        language: of each column's target.
        best: of each column, pp on the items apart: what chance made of it is in it.
        covered: by kind of mask and level, whether an unseen cell is in its interval, [unseen cell of any mask].
        source, mask: of each of these.
        r2: by kind of mask, a value a mask.
    """

    value: Mapping[str, np.ndarray]
    unit: Mapping[str, np.ndarray]
    language: np.ndarray
    best: np.ndarray
    covered: Mapping[tuple[str, float], np.ndarray]
    source: Mapping[str, np.ndarray]
    mask: Mapping[str, np.ndarray]
    r2: Mapping[str, np.ndarray]


def picks(found: Halves, masks: int, seed: int) -> Picks:
    """Hide, fit and pick `masks` times."""
    grid, apart = found.grid, found.apart
    column = grid.model * len(grid.targets) + grid.target
    columns = np.unique(column)
    fixed = {name: values_of(name, grid) for name in HABITS} | {"whole": posterior(grid)[0]}
    fixed = {name: score for name, score in fixed.items() if np.isfinite(score).any()}
    value: dict[str, list[np.ndarray]] = {}
    unit: dict[str, list[np.ndarray]] = {}
    covered: dict[tuple[str, float], list[np.ndarray]] = {}
    source: dict[str, list[np.ndarray]] = {}
    mask: dict[str, list[np.ndarray]] = {}
    r2: dict[str, list[float]] = {}
    for number in range(masks):
        rng = np.random.default_rng([seed, number])
        parts = {"adaptive": after(grid, adaptive(grid, rng)), "at random": after(grid, at_random(grid, rng))}
        for name, score in ({kind: posterior(part)[0] for kind, part in parts.items()} | fixed).items():
            worth, picked = _picked(grid, column, columns, score, apart)
            value.setdefault(name, []).append(worth)
            unit.setdefault(name, []).append(picked)
        for kind, part in parts.items():
            (_, predicted), *_ = predict(part, validate=False)
            rows = predicted.row
            for level in (0.5, 0.95):
                low, high = predicted.interval(level)
                covered.setdefault((kind, level), []).append((low <= grid.delta[rows]) & (grid.delta[rows] <= high))
            source.setdefault(kind, []).append(grid.source[rows])
            mask.setdefault(kind, []).append(np.full(len(rows), number))
            mean = part.delta[part.is_measured].mean()
            squares = ((grid.delta[rows] - predicted.mean) ** 2).sum() / ((grid.delta[rows] - mean) ** 2).sum()
            r2.setdefault(kind, []).append(1 - float(squares))
    languages = [grid.targets[one % len(grid.targets)][1] for one in columns]
    best = np.array([apart[column == one].max() for one in columns])
    join = np.concatenate
    return Picks(
        {name: np.array(one) for name, one in value.items()},
        {name: np.array(one) for name, one in unit.items()},
        np.unique(languages, return_inverse=True)[1],
        best,
        {key: join(one) for key, one in covered.items()},
        {kind: join(one) for kind, one in source.items()},
        {kind: join(one) for kind, one in mask.items()},
        {kind: np.array(one) for kind, one in r2.items()},
    )


def _picked(
    grid: Grid, column: np.ndarray, columns: np.ndarray, score: np.ndarray, apart: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return what the first by score is worth in each column, equals alike, and which unit it is."""
    worth, picked = np.empty(len(columns)), np.full(len(columns), -1)
    for place, one in enumerate(columns):
        cells = np.flatnonzero(column == one)
        first = cells[score[cells] == np.nanmax(score[cells])]
        worth[place] = apart[first].mean()
        if len(first) == 1:
            picked[place] = grid.model[first[0]] * len(grid.sources) + grid.source[first[0]]
    return worth, picked


def difference(found: Picks, one: str, other: str) -> tuple[float, float, float]:
    """Return how much more regret `one` has than `other`, pp, with its 95 % interval.

    Two picks are dependent that share a mask, a target's language, or a unit picked on either side: the variance of the
    mean is the sum over all such pairs of the products of their residuals (Cameron, Gelbach and Miller 2011). t with as
    many degrees of freedom as there are languages of targets, less one.
    """
    values = found.value[other] - found.value[one]
    masks, columns = values.shape
    residual = (values - values.mean()).ravel()
    labels = [np.repeat(np.arange(masks), columns), np.tile(found.language, masks)]
    labels += [found.unit[way].ravel() for way in (one, other)]
    total = 0.0
    for start in range(0, len(residual), 512):
        rows = slice(start, start + 512)
        shared = np.zeros((len(residual[rows]), len(residual)), dtype=bool)
        for label in labels:
            shared |= (label[rows, None] == label) & (label >= 0)
        total += float(residual[rows] @ (shared @ residual))
    half = stats.t.ppf(0.975, found.language.max()) * np.sqrt(max(total, 0.0)) / len(residual)
    return float(values.mean()), float(values.mean() - half), float(values.mean() + half)


def coverage(found: Picks, kind: str, level: float) -> tuple[float, float, float]:
    """Return the share of unseen cells within their interval, with its 95 % interval, clustered by source and mask."""
    covered = found.covered[kind, level].astype(float)
    residual, source, mask = covered - covered.mean(), found.source[kind], found.mask[kind]
    both = source * (mask.max() + 1) + mask
    variance = sum(
        sign * (np.bincount(label, residual) ** 2).sum() for label, sign in ((source, 1), (mask, 1), (both, -1))
    )
    half = stats.t.ppf(0.975, len(np.unique(source)) - 1) * np.sqrt(max(variance, 0.0)) / len(covered)
    return float(covered.mean()), float(covered.mean() - half), float(covered.mean() + half)


def tables(found: Picks) -> Iterator[str]:
    """Yield the lines of the tables."""
    yield "| source picked by | regret@1, pp | beyond the whole grid's (95 %) | adaptive beyond it (95 %) |"
    yield "|---|---|---|---|"
    for name, values in found.value.items():
        beyond = "" if name == "whole" else _interval(*difference(found, name, "whole"))
        adaptive_beyond = "" if name == "adaptive" else _interval(*difference(found, "adaptive", name))
        yield f"| {name} | {(found.best - values).mean():.1f} | {beyond} | {adaptive_beyond} |"
    yield ""
    yield "| sources hidden | unseen cells | R2 | within 50 % (95 %) | within 95 % (95 %) |"
    yield "|---|---|---|---|---|"
    for kind, values in found.r2.items():
        shares = [coverage(found, kind, level) for level in (0.5, 0.95)]
        cells = " | ".join(f"{100 * a:.1f} % ({100 * b:.1f} to {100 * c:.1f})" for a, b, c in shares)
        yield f"| {kind} | {len(found.mask[kind]) / len(values):,.0f} | {values.mean():.2f} | {cells} |"


def _interval(mean: float, low: float, high: float) -> str:
    return f"{mean:+.1f} ({low:+.1f} to {high:+.1f})"


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.truth.masked_sources", description=__doc__.splitlines()[2])
    parser.add_argument("warehouse", type=Path, help="with the study built")
    parser.add_argument("--study", required=True)
    parser.add_argument("--masks", type=int, default=24, help="default: 24")
    parser.add_argument("--seed", type=int, default=1, help="default: 1")
    asked = parser.parse_args()
    with duckdb.connect(str(asked.warehouse), read_only=True) as connection:
        found = halves(connection, asked.study)
    grid = found.grid
    print(f"{len(grid.models)} models, {len(grid.sources)} sources, {len(grid.targets)} targets, {asked.masks} masks\n")
    print("\n".join(tables(picks(found, asked.masks, asked.seed))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
