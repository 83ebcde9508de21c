"""Worlds of predictions: grids of planted differences, cells of whole sources hidden and predicted from the others.

No marts are asked: what `transfer predict` lands is worked out in Python, from grids drawn at the level of cells.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compute.prediction.fitting import predict
from compute.prediction.grid import Grid
from compute.prediction.predictors import values_of
from tests.truth import planted_grid
from tests.truth.judges import COVERAGE, Judge
from tests.truth.planted_grid import PlantedGrid, Shape, hidden_sources, planted
from tests.truth.rates import Reach
from tests.truth.warehouse import ROOT
from tests.truth.world import Told

SHAPE = Shape(models=3, tasks=2, languages=9)
HIDDEN = 0.25
HABITS = {"same_task": "same task", "same_language": "same language", "random": "random"}
COVERAGE_50 = Reach(0.45, 0.55)

Said = dict[str, list[float]]
"""Of one draw, by judge: successes and trials of a rate, or a value."""


@dataclass(frozen=True)
class GridWorld(Told):
    """A population of grids, each drawn, partly hidden, predicted and asked."""

    draw: Callable[[np.random.Generator], PlantedGrid]
    judges: tuple[Judge, ...]


def _judge(name: str, reach: Reach, kind: str = "rate") -> Judge:
    return Judge(name, reach, view="", sql="", kind=kind)


COVERED_95 = _judge("unseen cells as measured: coverage of 95 % intervals", COVERAGE)
COVERED_50 = _judge("unseen cells as measured: coverage of 50 % intervals", COVERAGE_50)
BEYOND_0 = _judge("unseen cells whose 95 % interval leaves 0 out", Reach(high=0.05))
LOUD_95, LOUD_50 = (
    _judge(f"of those, of the task that moves three times as much: coverage of {level} % intervals", reach)
    for level, reach in ((95, COVERAGE), (50, Reach(0.42, 0.58)))
)  # fmt: skip
R2 = _judge("R² of unseen cells: mean", Reach(low=0.35), "mean")
BEHIND = {
    habit: _judge(f"regret of the first unseen source less that of {words}, pp: mean", Reach(high=-0.3), "mean")
    for habit, words in HABITS.items()
}


def said_of(drawn: PlantedGrid, rng: np.random.Generator) -> Said:
    """Hide a part of the sources whole, predict their transfer cells, and say by judge what came of it."""
    grid = drawn.grid
    found = next(found for fit, found in predict(grid.without(hidden_sources(rng, grid, HIDDEN)), validate=False))
    measured, n = grid.delta[found.row], float(len(found.row))
    inside = {level: _inside(measured, *found.interval(level)) for level in (0.5, 0.95)}
    low, high = found.interval(0.95)
    unseen, truth = grid.part(_chosen(found.row, len(grid))), drawn.truth[found.row]
    regret = _regret(unseen, truth, found.mean)
    first = np.array(
        [grid.sources[s][0] == grid.targets[t][0] == "task0" for s, t in zip(unseen.source, unseen.target, strict=True)]
    )
    loud = {level: _inside(measured[first], *(side[first] for side in found.interval(level))) for level in (0.5, 0.95)}
    return {
        COVERED_95.name: [inside[0.95], n],
        COVERED_50.name: [inside[0.5], n],
        LOUD_95.name: [loud[0.95], float(first.sum())],
        LOUD_50.name: [loud[0.5], float(first.sum())],
        BEYOND_0.name: [float(((low > 0) | (high < 0)).sum()), n],
        R2.name: [1 - float(((measured - found.mean) ** 2).sum() / ((measured - measured.mean()) ** 2).sum())],
        **{judge.name: [regret - _regret(unseen, truth, values_of(habit, unseen))] for habit, judge in BEHIND.items()},
    }


def _inside(values: np.ndarray, low: np.ndarray, high: np.ndarray) -> float:
    return float(((low <= values) & (values <= high)).sum())


def _chosen(rows: np.ndarray, n: int) -> np.ndarray:
    chosen = np.zeros(n, dtype=bool)
    chosen[rows] = True
    return chosen


def _regret(grid: Grid, truth: np.ndarray, score: np.ndarray) -> float:
    """Return the mean over models and targets of the best source's true difference less the first's by score, pp.

    Sources of equal score are tried in random order.
    """
    column = grid.model * len(grid.targets) + grid.target
    behind = []
    for one in np.unique(column):
        of, said = truth[column == one], score[column == one]
        behind.append(of.max() - of[said == said.max()].mean())
    return float(np.mean(behind))


def _planted(**how: float) -> Callable[[np.random.Generator], PlantedGrid]:
    return lambda rng: planted(rng, SHAPE, **how)


GRID_WORLDS: dict[str, GridWorld] = {
    world.name: world
    for world in (
        GridWorld(
            "predictions: planted",
            "3 models, 18 sources × 18 targets: effects of tasks, families of languages, relatedness and models; a "
            "quarter of the sources hidden",
            _planted(), (COVERED_95, COVERED_50, R2, *BEHIND.values()),
        ),
        GridWorld(
            "predictions: nothing", "the same without any effect: noise alone", _planted(signal=0.0),
            (COVERED_95, COVERED_50, BEYOND_0),
        ),
        GridWorld(
            "predictions: noise", "the same effects, cells of three times the error", _planted(noise=6.0),
            (COVERED_95, COVERED_50),
        ),
        GridWorld(
            "predictions: unlike tasks", "the same; the first task's own cells move, and err, three times as much",
            _planted(loud=3.0), (COVERED_95, COVERED_50, LOUD_95, LOUD_50),
        ),
    )
}  # fmt: skip


def digest_of_code() -> str:
    """Return a digest of the code that predicts and that plants."""
    digest = hashlib.sha256()
    files = [*(ROOT / "compute" / "prediction").rglob("*.py"), Path(planted_grid.__file__), Path(__file__)]
    for file in sorted(files):
        digest.update(str(file.relative_to(ROOT)).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def ask(
    worlds: Sequence[str], draws: int, seed: int, folder: Path, say: Callable[[str], None]
) -> Mapping[str, list[Said]]:
    """Return what is said of each draw of these worlds; what `folder` holds of the same code is not done again."""
    folder = folder / f"predictions-{digest_of_code()}"
    folder.mkdir(parents=True, exist_ok=True)
    answers: dict[str, list[Said]] = {}
    for world in worlds:
        number = list(GRID_WORLDS).index(world)
        file = folder / f"{number}-seed{seed}.json"
        found: list[Said] = json.loads(file.read_text()) if file.exists() else []
        if len(found) < draws:
            say(f"{world}: {len(found)} of {draws} draws kept")
        for draw in range(len(found), draws):
            rng = np.random.default_rng([seed, 41, number, draw])
            found.append(said_of(GRID_WORLDS[world].draw(rng), rng))
            file.with_suffix(".partial").write_text(json.dumps(found))
            file.with_suffix(".partial").rename(file)
        answers[world] = found[:draws]
    return answers
