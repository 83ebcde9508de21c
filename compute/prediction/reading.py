"""Reads a study's cells from the marts, one grid for each variant and prompt pool."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import duckdb

from compute.prediction.grid import Cell, Grid, Model, whole

_CELLS = """
select
    variant, prompt_pool, model, family, parameters, (source_task, source_language), (target_task, target_language),
    delta_pp, delta_se, baseline_score
from intermediate.int_prediction_cells
where study = ?
order by all
"""

_DISTANCES = """
select measure, source_language, target_language, avg(value)
from {table}
where study = ? and measure != 'transfer_pp' and value is not null
group by all
order by all
"""

_SIMILARITIES = """
select measure, model, (source_task, source_language), (target_task, target_language), value
from intermediate.int_source_similarities
where study = ?
order by all
"""

_TEXTS = """
select (task, language), lower(string_agg(text, ' '))
from (
    select task, language, coalesce(context || ' ', '') || array_to_string(choices, ' ') as text
    from raw.items
    where job_key in (select job_key from raw.study_jobs where study = ?)
    qualify row_number() over (partition by task, language order by split, item_id, prompt) <= 200
)
group by all
"""


@dataclass(frozen=True)
class Asked:
    """Cells asked for beyond a study's own grid: they widen its axes."""

    models: tuple[Model, ...] = ()
    sources: tuple[Cell, ...] = ()
    targets: tuple[Cell, ...] = ()

    def with_declared(self, connection: duckdb.DuckDBPyConnection, study: str) -> Asked:
        """Return the same with what the study's file declares: an adaptive study plans a part of it only."""
        (config,) = connection.execute("select config from raw.studies where study = ?", [study]).fetchall()[0]
        declared = json.loads(config)
        sources, targets = (_cells(declared.get(side)) for side in ("sources", "targets"))
        return replace(self, sources=(*self.sources, *sources), targets=(*self.targets, *targets))


def _cells(grid: Any) -> Iterator[Cell]:
    """Yield the cells of a grid as a study's file has it; an import's file has none."""
    for block in grid.get("blocks", ()) if isinstance(grid, dict) else ():
        yield from ((task, language) for task in block["tasks"] for language in block["languages"])


@dataclass(frozen=True)
class StudyGrid:
    """A grid, and what it is of."""

    variant: str
    prompt: str | None
    grid: Grid


def digest(connection: duckdb.DuckDBPyConnection, study: str) -> str:
    """Return the digest of the rows that a study's predictions are fitted to."""
    asked = "select digest from intermediate.int_prediction_digests where study = ?"
    row = connection.execute(asked, [study]).fetchone()
    return str(row[0]) if row else ""


def grids(connection: duckdb.DuckDBPyConnection, study: str, asked: Asked | None = None) -> Iterator[StudyGrid]:
    """Yield the grids of a built study, widened by what is `asked` for, in the order of variants' names."""
    asked = (asked or Asked()).with_declared(connection, study)
    distances = _measures(connection, study, "intermediate.int_study_distances")
    geometry = _measures(connection, study, "intermediate.int_pair_measures")
    geometry = {measure: pairs for measure, pairs in geometry.items() if measure not in distances}
    texts = dict(connection.execute(_TEXTS, [study]).fetchall())
    trigrams = {cell: frozenset(text[i : i + 3] for i in range(len(text) - 2)) for cell, text in texts.items()}
    similarities: dict[str, dict[tuple[str, Cell, Cell], float]] = defaultdict(dict)
    for measure, model, source, target, value in connection.execute(_SIMILARITIES, [study]).fetchall():
        similarities[measure][model, source, target] = value
    rows: dict[tuple[str, str | None], list[tuple[Any, ...]]] = defaultdict(list)
    for variant, prompt, *row in connection.execute(_CELLS, [study]).fetchall():
        rows[variant, prompt].append(tuple(row))
    for (variant, prompt), members in rows.items():
        known = {
            "distances": distances, "geometry": geometry, "trigrams": trigrams, "similarities": similarities,
        }  # fmt: skip
        yield StudyGrid(variant, prompt, _grid(members, asked, known))


Measures = dict[str, dict[tuple[str, str], float]]


def _grid(rows: Sequence[tuple[Any, ...]], asked: Asked, known: dict[str, Any]) -> Grid:
    models: dict[str, Model] = {}
    delta: dict[tuple[str, Cell, Cell], float] = {}
    error: dict[tuple[str, Cell, Cell], float] = {}
    base: dict[tuple[str, Cell], float] = {}
    for name, family, parameters, source, target, value, spread, score in rows:
        models[name] = Model(name, family, parameters)
        if value is not None:
            delta[name, source, target] = value
        if spread is not None:
            error[name, source, target] = spread
        if score is not None:
            base[name, target] = score
    for model in asked.models:
        models.setdefault(model.name, model)
    return whole(
        list(models.values()),
        _widened((row[3] for row in rows), asked.sources),
        _widened((row[4] for row in rows), asked.targets),
        delta,
        error,
        base,
        **known,
    )


def _widened(seen: Iterable[Cell], asked: Sequence[Cell]) -> list[Cell]:
    return sorted({*seen, *asked})


def _measures(connection: duckdb.DuckDBPyConnection, study: str, table: str) -> Measures:
    found: Measures = defaultdict(dict)
    for measure, source, target, value in connection.execute(_DISTANCES.format(table=table), [study]).fetchall():
        found[measure][source, target] = value
    return dict(found)
