"""What moves a cell: the design of the mixed model, of a grid's measured and unmeasured cells alike.

Each kind of effect has a variance of its own: the model, source and target, what they have in common with others (task,
language, family), and their pairs. Kinds that part the measured cells as another one does, or not at all, are left out.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from compute.prediction.grid import Grid
from compute.prediction.languages import distance_matrix, features, other_script
from compute.prediction.mixed_model import Design, Floats

Numbers = NDArray[np.intp]


def design_of(grid: Grid) -> Design:
    """Return the design of all cells; errors of those that were not measured are as on their target, else as on all."""
    axes = _axes(grid)
    fixed = np.column_stack([np.ones(len(grid)), axes["same_task"], axes["same_language"]]).astype(float)
    fixed = fixed[:, [0, *(i for i in (1, 2) if np.ptp(fixed[grid.is_measured, i]) > 0)]]
    effects: dict[str, sparse.csr_matrix] = {}
    parted: set[bytes] = set()
    for kind, levels in _levels(axes):
        seen = _relabelled(levels[grid.is_measured])
        if 0 < seen.max(initial=0) < len(seen) - 1 and seen.tobytes() not in parted:
            parted.add(seen.tobytes())
            effects[kind] = _indicators(levels)
    for kind, columns in _features(grid, axes):
        columns = columns[:, np.ptp(columns[grid.is_measured], axis=0) > 1e-9] if len(columns) else columns
        if columns.shape[1]:
            effects[kind] = sparse.csr_matrix(columns)
    return Design(fixed, effects, _errors(grid))


def unknowable(grid: Grid) -> NDArray[np.bool_]:
    """Return whether a cell is new where only one value was measured, so that nothing tells how it varies, [cell]."""
    found = np.zeros(len(grid), dtype=bool)
    for levels in (axis for name, axis in _axes(grid).items() if name in _MAIN):
        seen = set(levels[grid.is_measured].tolist())
        if len(seen) == 1:
            found |= np.array([level not in seen for level in levels.tolist()], dtype=bool)
    return found


_MAIN = ("model", "source_task", "source_language", "target_task", "target_language")
_PAIRS = (
    ("source_task", "source_language"), ("target_task", "target_language"), ("source_task", "target_task"),
    ("source_language", "target_language"), ("source", "target_task"), ("source_task", "target"),
    ("model", "source_task"), ("model", "target_task"), ("model", "source"), ("model", "target"),
    ("model", "task_pair"), ("source", "target"),
)  # fmt: skip
_NAMES = {
    ("source_task", "source_language"): "source", ("target_task", "target_language"): "target",
    ("source_task", "target_task"): "task_pair", ("source_language", "target_language"): "language_pair",
}  # fmt: skip


def _axes(grid: Grid) -> dict[str, Numbers]:
    """Return each cell's number on each axis, [cell]."""
    tasks = sorted({task for task, _ in (*grid.sources, *grid.targets)})
    languages = grid.languages()
    found: dict[str, Numbers] = {"model": grid.model}
    for side, cells, numbers in (("source", grid.sources, grid.source), ("target", grid.targets, grid.target)):
        found[f"{side}_task"] = np.array([tasks.index(task) for task, _ in cells], dtype=np.intp)[numbers]
        found[f"{side}_language"] = np.array([languages.index(language) for _, language in cells], dtype=np.intp)[
            numbers
        ]
    for axis in ("task", "language"):
        found[f"same_{axis}"] = np.asarray(found[f"source_{axis}"] == found[f"target_{axis}"], dtype=np.intp)
    return found


def _levels(axes: dict[str, Numbers]) -> Iterator[tuple[str, Numbers]]:
    """Yield each kind of effect and its level of each cell, the simplest first."""
    for name in _MAIN:
        yield name, axes[name]
    known = dict(axes)
    for one, other in _PAIRS:
        name = _NAMES.get((one, other), f"{one}_{other}")
        known[name] = known[one] * (known[other].max(initial=0) + 1) + known[other]
        yield name, known[name]


def _features(grid: Grid, axes: dict[str, Numbers]) -> Iterator[tuple[str, Floats]]:
    """Yield kinds of effect that are features of cells, [cell, feature]."""
    measured = grid.is_measured
    families = [model.family for model in grid.models]
    of_family = np.array([[float(family == one) for one in sorted({f for f in families if f})] for family in families])
    sizes = np.array([np.log10(model.parameters) if model.parameters else np.nan for model in grid.models])
    sizes = np.nan_to_num((sizes - np.nanmean(sizes)) if np.isfinite(sizes).any() else sizes)
    if of_family.shape[1] < len(set(grid.model[measured].tolist())):
        yield "model_features", np.column_stack([of_family, sizes])[grid.model]
    languages = grid.languages()
    of_language = features(languages, grid.distances)
    yield "source_language_features", of_language[axes["source_language"]]
    yield "target_language_features", of_language[axes["target_language"]]
    relations = [distance_matrix(languages, one) for one in grid.distances.values()] + [other_script(languages)]
    pairs = [relation[axes["source_language"], axes["target_language"]] for relation in relations]
    base = grid.base_scores()
    base = (
        np.nan_to_num(base - np.nanmean(base[measured])) if np.isfinite(base[measured]).any() else np.zeros(len(base))
    )
    same_task = axes["same_task"] - axes["same_task"][measured].mean()
    columns = _standardized(np.column_stack([*pairs, base]), measured)
    yield "relatedness", np.column_stack([columns, columns * same_task[:, None]])


def _standardized(columns: Floats, measured: NDArray[np.bool_]) -> Floats:
    spread = columns[measured].std(axis=0)
    return np.asarray((columns - columns[measured].mean(axis=0)) / np.where(spread > 1e-9, spread, 1.0))


def _relabelled(levels: Numbers) -> Numbers:
    """Return levels numbered in the order in which they come, so that equal partitions are equal arrays."""
    _, first, inverse = np.unique(levels, return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[inverse])


def _indicators(levels: Numbers) -> sparse.csr_matrix:
    _, columns = np.unique(levels, return_inverse=True)
    n = len(levels)
    return sparse.csr_matrix((np.ones(n), (np.arange(n), columns)), shape=(n, columns.max(initial=0) + 1))


def _errors(grid: Grid) -> Floats:
    known = np.isfinite(grid.error)
    if not known.any():
        return np.zeros(len(grid))
    squares = np.where(known, grid.error, 0.0) ** 2
    count = np.bincount(grid.target, known, len(grid.targets))
    on_target = np.bincount(grid.target, squares, len(grid.targets)) / np.maximum(count, 1)
    filled = np.where(count > 0, on_target, squares[known].mean())[grid.target]
    return np.sqrt(np.where(known, squares, filled))
