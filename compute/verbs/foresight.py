"""What a study will be able to show: what `transfer power` answers, from its file and from what was measured before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import duckdb
import numpy as np

from compute.errors import UserError
from compute.store.warehouse import Warehouse
from compute.study.schema import Study
from compute.verbs.sensitivity import (
    POWER,
    Cell,
    Components,
    Design,
    smallest_of_cell,
    smallest_of_regime,
)

DEFAULTS = Components(
    shared=np.array([0.05]), own=0.07, of_change=1.8, luck=0.036**2, luck_scale=np.array([1.0]), same_target=0.035,
    same_item=0.0015, of_all=0.5, of_task=0.0, of_language=0.0,
)  # fmt: skip
"""Where nothing was measured: the population of the studies with planted truth, at an accuracy of one half."""

_MOST_CELLS = 300
_WAYS = ((1, 1.0), (1.5, 1.0), (2, 1.0), (4, 1.0), (1, 2.0), (1, 4.0), (2, 2.0))
"""Times the seeds, times the items."""

_STUDIES = """
select luck.study
from intermediate.int_run_luck as luck
where luck.outcome = 'accuracy' and not luck.is_trained_cell
group by luck.study
order by
    bool_or(luck.study in (select study from intermediate.int_computed_cells where list_contains($tasks, target_task)))
    desc, luck.study
"""

_CELLS = """
with cells as (
    select cell_number
    from intermediate.int_transfer_cells
    where list_contains($studies, study) and control is null and regime != 'MT-ML' and n_seeds > 1
)

select
    greatest(0, n_items * (from_items - seed_noise / n_seeds)) as shared,
    n_items * seed_noise as own,
    luck_scale,
    pow(sum_difference / (n_items * n_seeds), 2) as squared_change
from intermediate.int_cell_mean_squares inner join cells using (cell_number)
where from_items is not null and seed_noise is not null
order by cell_number
"""

_COVARIANCES = """
with cells as (
    select
        cells.cell_number, cells.study, cells.target_task,
        dense_rank() over (order by cells.study, model, variant, target_task, target_language, prompt) as column_number,
        delta_pp / 100 as mean_difference
    from intermediate.int_transfer_cells as cells
    where list_contains($studies, cells.study) and control is null and regime != 'MT-ML' and cell_number is not null
),

by_column as (
    select
        study, target_task, parallel_number, column_number, count(*) as k, sum(d) as s1, sum(d * d) as s2
    from (
        select cells.*, parallel_number, n_correct / n_seeds - baseline_correct - mean_difference as d
        from intermediate.int_cell_items inner join cells using (cell_number)
        where parallel_number is not null
    )
    group by all
),

by_item as (
    select
        sum(s1 * s1 - s2) as alike, sum(k * (k - 1)) as n_alike,
        pow(sum(s1), 2) - sum(s1 * s1) as others, pow(sum(k), 2) - sum(k * k) as n_others
    from by_column
    group by study, target_task, parallel_number
)

select sum(alike) / nullif(sum(n_alike), 0), sum(others) / nullif(sum(n_others), 0) from by_item
"""

_RUNS = """
select
    (select avg(luck_variance) from intermediate.int_run_luck
        where list_contains($studies, study) and outcome = 'accuracy' and not is_trained_cell),
    avg(of_all), avg(of_task), avg(of_language)
from intermediate.int_luck_sharing where list_contains($studies, study) and outcome = 'accuracy'
"""


def foresee(study: Study, warehouse: Warehouse, share: float) -> str:
    """Return in words what a study can show with its seeds and items, and what more of them would buy.

    Args:
        share: the part of the cells that change.

    Raises:
        UserError: the study tunes nothing, its items are not known yet, or `share` is no part.
    """
    if not 0 < share <= 1:
        raise UserError(f"--share {share:g}: expected a part, above 0 and at most 1")
    design = planned_design(study)
    components, source = measured(warehouse, sorted({task for task, _ in design.targets}))
    lines = list(_told(study.study, design, components, source, share, study.sources is not None))
    return "\n".join([*lines, *_of_given(study)]) + "\n"


def planned_design(study: Study) -> Design:
    """Return the grid and the numbers of a study file. Raises UserError as `foresee`."""
    if study.targets is None or (study.sources is None and not any(model.sources for model in study.models)):
        raise UserError(f"study {study.study!r} tunes on nothing: without `sources` there is no change to show")
    items: dict[Cell, int] = {}
    for task, language in study.targets.cells:
        n = study.items_used(task, language, "test")
        if n is None:
            n = study.task(task, language).size(language, "test")
        if n is None:
            raise UserError(
                f"study {study.study!r}: how many items {task}/{language} has is not known before they are read; "
                "give `items.test`"
            )
        items[task, language] = n
    targets = tuple(study.targets.cells)
    if study.sources is None:
        n_tunings, sources, seeds = _given(study)
        return Design(n_tunings, sources, targets, items, seeds)
    n_models = len(study.models) * len(study.lora_settings)
    return Design(n_models, tuple(study.sources.cells), targets, items, len(study.seeds), len(study.placebo.seeds))


def _given(study: Study) -> tuple[int, tuple[Cell, ...], int]:
    """Return of a study that only has sources that exist: tunings of each cell, over models and names; the cells; and
    the fewest seeds that one has. Raises UserError where models have unlike sources, for which there is no formula."""
    seeds = Counter((model.name, source.name, source.cell) for model in study.models for source in model.sources)
    tunings = Counter(cell for _, _, cell in seeds)
    by_model = [Counter(cell for name, _, cell in seeds if name == one) for one in {name for name, _, _ in seeds}]
    if any(one != by_model[0] for one in by_model) or len(set(tunings.values())) > 1:
        raise UserError(
            f"study {study.study!r}: what its given sources can show cannot be told beforehand: it takes as many "
            "tunings of each task and language under every model; marts.fct_transfer has each cell's interval once "
            "they are scored"
        )
    return next(iter(tunings.values())), tuple(sorted(tunings)), min(seeds.values())


def measured(warehouse: Warehouse, tasks: list[str]) -> tuple[Components, str]:
    """Return the components of the warehouse's studies, those with these target tasks if there are any; else the
    defaults. And in words where they are from."""
    if not warehouse.exists():
        return DEFAULTS, _stated(f"there is no {warehouse.path}")
    with warehouse.connect(read_only=True) as connection:
        try:
            return _measured(connection, tasks) or (
                DEFAULTS,
                _stated(f"no study of {warehouse.path} was tuned with two seeds"),
            )
        except (duckdb.BinderException, duckdb.CatalogException):
            return DEFAULTS, _stated(f"{warehouse.path} has not been built, or by another version: `make build`")


def _measured(connection: duckdb.DuckDBPyConnection, tasks: list[str]) -> tuple[Components, str] | None:
    every = [row[0] for row in connection.execute(_STUDIES, {"tasks": tasks}).fetchall()]
    like = connection.execute(
        "select distinct study from intermediate.int_computed_cells"
        " where list_contains($tasks, target_task) and list_contains($every, study)",
        {"tasks": tasks, "every": every},
    ).fetchall()
    studies = sorted(row[0] for row in like) or every
    cells = np.array(connection.execute(_CELLS, {"studies": studies}).fetchall(), dtype=float)
    if len(cells) < 2:
        return None
    alike, others = connection.execute(_COVARIANCES, {"studies": studies}).fetchall()[0]
    luck, *sharing = connection.execute(_RUNS, {"studies": studies}).fetchall()[0]
    # What changes leave of the spread of items, and what they add to it.
    of_change = max(0.0, float(np.cov(cells[:, 0], cells[:, 3])[0, 1] / max(cells[:, 3].var(ddof=1), 1e-12)))
    cells[:, 0] = np.maximum(0, cells[:, 0] - of_change * cells[:, 3])
    shared, _, scale, _ = cells[:: -(-len(cells) // _MOST_CELLS)].T
    components = Components(
        shared, float(cells[:, 1].mean()), of_change, luck, scale, max(0.0, alike or 0.0), max(0.0, others or 0.0),
        *(part or 0.0 for part in sharing),
    )  # fmt: skip
    names = ", ".join(studies[:3]) + (f" and {len(studies) - 3} more" if len(studies) > 3 else "")
    return components, f"measured on {len(cells):,} cells of {names}; luck of a run {100 * luck**0.5:.1f} pp"


def _stated(reason: str) -> str:
    return (
        f"stated, as {reason}: accuracies of one half, luck of a run {100 * DEFAULTS.luck**0.5:.1f} pp, variance of an "
        f"item {DEFAULTS.shared[0]:g} shared by seeds and {DEFAULTS.own:g} of each seed"
    )


def _of_given(study: Study) -> Iterator[str]:
    """Yield what to know of sources that exist already."""
    seeds = Counter((model.name, one.name) for model in study.models for one in model.sources)
    if seeds and study.sources is not None:
        yield "adapters and checkpoints that are given are not in these numbers"
    elif len(set(seeds.values())) > 1:
        fewest, most = min(seeds.values()), max(seeds.values())
        yield f"given sources have {fewest} to {most} seeds: all are taken to have the fewest"


def _told(name: str, design: Design, components: Components, source: str, share: float, tunes: bool) -> Iterator[str]:
    yield f"study {name}: the smallest change found with power {POWER:.0%}, percentage points"
    yield f"variances: {source}"
    yield (
        f"a cell: q <= .05 over the study's transfer cells where {share:.0%} of them change as much; a regime: the "
        "mean of its cells, by its interval"
    )
    regimes = [regime for regime in ("MT-CL", "CT-ML", "CT-CL", "transfer") if design.pairs(regime)]
    sizes = sorted(set(design.items.values()))
    heads = ["a cell" if len(sizes) == 1 else f"cell, {n} items" for n in sizes] + regimes
    yield "  ".join([f"{'seeds x items':<15}", *(f"{head:>{_width(head)}}" for head in heads)])
    for more_seeds, more_items in _ways(design.seeds):
        if more_seeds > design.seeds and not tunes:
            continue  # what is given has the seeds that it has
        tried = design.scaled(more_seeds, more_items)
        cells = [smallest_of_cell(components, tried, round(n * more_items), share) for n in sizes]
        changes = [*cells, *(smallest_of_regime(components, tried, regime) for regime in regimes)]
        numbers = sorted(set(tried.items.values()))
        items = f"{numbers[0]}" if len(numbers) == 1 else f"{numbers[0]}-{numbers[-1]}"
        figures = [f"{'none' if one is None else f'{100 * one:.1f}':>{_width(head)}}"
                   for head, one in zip(heads, changes, strict=True)]  # fmt: skip
        yield "  ".join([f"{f'{more_seeds} x {items}':<15}", *figures])
    if design.seeds == 1:
        yield "with 1 seed the luck of a run cannot be told: a change is shown of these runs only, not of tuning again"


def _width(head: str) -> int:
    return max(8, len(head))


def _ways(seeds: int) -> list[tuple[int, float]]:
    """Seeds and times the items, the study's own first, each once."""
    return list(dict.fromkeys((max(seeds, round(seeds * more)), items) for more, items in _WAYS))
