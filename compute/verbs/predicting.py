"""What `transfer predict` does: fits each grid of a study, lands what it expects of the cells not computed, says it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import numpy as np

from compute.dbt import run_dbt
from compute.errors import UserError
from compute.prediction import fitting
from compute.prediction.fitting import Fit, Predictions
from compute.prediction.grid import Cell, Grid
from compute.prediction.judging import judged
from compute.prediction.reading import Asked, StudyGrid, digest, grids
from compute.store.building import only_builder
from compute.store.raw_schema import FITTED_TABLES
from compute.store.warehouse import Warehouse
from compute.verbs.asked import Told, built_warehouse, count

_SHOWN = 10
_MARTS = ("rpt_predictions", "rpt_prediction_fits", "rpt_predictors")
Rows = list[dict[str, Any]]


def predict(warehouse: Warehouse, study: str, asked: Asked) -> Told:
    """Predict, land and build.

    Raises:
        UserError: no such study with transfer cells, nothing to predict, or too few measured cells to predict from.
    """
    with built_warehouse(warehouse, study, _MARTS) as connection:
        fitted_to = digest(connection, study)
        found = list(grids(connection, study, asked))
    fits: Rows = []
    predicted: Rows = []
    said: Rows = []
    lines: list[str] = []
    for one in found:
        said += [{"study": study, "fitted_to": fitted_to, **row} for row in _said(one)]
        for fit, predictions in fitting.predict(one.grid):
            keys = {"study": study, "variant": one.variant, "prompt": one.prompt, "fitted_to": fitted_to}
            rows = list(_rows(one, predictions))
            fits.append(keys | _fit_row(fit, len(rows), asked))
            predicted += [keys | row for row in rows]
            lines += _told(study, one, fit, rows)
    if not fits:
        raise UserError(_too_few(study, found))
    warehouse.replace_rows(study, {"prediction_fits": fits, "predictions": predicted, "predictor_values": said})
    marts = (f"stg_{table}+" for table in FITTED_TABLES)
    with only_builder(warehouse.path, warehouse.wait, warehouse.say):
        failed = run_dbt("build", "--quiet", "--select", *marts, warehouse=warehouse.path)
    if not predicted:
        lines.append(
            f"study {study!r}: every cell of its grid is measured, so nothing is predicted; name more with --source, "
            "--target or --model"
        )
    return Told("\n".join(lines) + "\n", 1 if failed else 0)


def _too_few(study: str, found: Sequence[StudyGrid]) -> str:
    # Trained cells are fitted apart: neither kind makes up for what the other lacks.
    kinds = ((one.grid.is_measured, one.grid.is_own) for one in found)
    most = max((int((measured & (own == kind)).sum()) for measured, own in kinds for kind in (True, False)), default=0)
    return (
        f"study {study!r}: {count(most, 'measured cell')} of known regime; expected at least {fitting.LEAST_CELLS} "
        "whose differences are not all equal, to predict others from"
    )


def _said(one: StudyGrid) -> Iterator[dict[str, Any]]:
    """Yield what each predictor says of each measured transfer cell."""
    grid = one.grid.part(one.grid.is_measured & ~one.grid.is_own)
    for name, values in judged(grid).items():
        for i, value in enumerate(values):
            yield {
                "variant": one.variant,
                "prompt": one.prompt,
                "predictor": name,
                **_cell(grid, i),
                "value": float(value) if np.isfinite(value) else None,
            }


def _cell(grid: Grid, i: int) -> dict[str, str]:
    source, target = grid.sources[grid.source[i]], grid.targets[grid.target[i]]
    return {
        "model": grid.models[grid.model[i]].name,
        "source_task": source[0],
        "source_language": source[1],
        "target_task": target[0],
        "target_language": target[1],
    }


def _rows(one: StudyGrid, predictions: Predictions) -> Iterator[dict[str, Any]]:
    bounds = {f"{end}_{level}": values for level in (50, 95) for end, values in _ends(predictions, level)}
    for i, row in enumerate(predictions.row):
        yield {
            **_cell(one.grid, row),
            "expected_pp": float(predictions.mean[i]),
            "expected_se": float(predictions.expected_se[i]) if predictions.is_bounded[i] else None,
            "measured_se": float(predictions.measured_se[i]) if predictions.is_bounded[i] else None,
            "degrees_of_freedom": float(predictions.degrees[i]) if predictions.is_bounded[i] else None,
            **{name: float(values[i]) if np.isfinite(values[i]) else None for name, values in bounds.items()},
        }


def _ends(predictions: Predictions, level: int) -> Iterator[tuple[str, np.ndarray]]:
    yield from zip(("low", "high"), predictions.interval(level / 100), strict=True)


def _fit_row(fit: Fit, n_predicted: int, asked: Asked) -> dict[str, Any]:
    variances = {**fit.variances.effects, "residual": fit.variances.residual, "of_error": fit.variances.of_error}
    named = {f"spread {source} -> {target}": factor for (source, target), factor in fit.spread.factors.items()}
    variances |= dict(sorted(named.items()))
    checked = fit.validation
    return {
        "is_trained_cell": fit.is_own,
        "version": fitting.VERSION,
        "n_measured": fit.n_cells,
        "n_predicted": n_predicted,
        "variances": json.dumps({name: float(f"{value:.6g}") for name, value in variances.items()}),
        "n_validated": checked.n_cells if checked else None,
        "r2": checked.r2 if checked else None,
        "coverage_50": checked.coverage_50 if checked else None,
        "coverage_95": checked.coverage_95 if checked else None,
        "asked": json.dumps(asdict(asked)),
        "fitted_at": datetime.now(UTC).replace(tzinfo=None),
    }


def _told(study: str, one: StudyGrid, fit: Fit, rows: Rows) -> Iterator[str]:
    what = "trained cells (each source on itself)" if fit.is_own else "transfer cells"
    prompt = f", prompt {one.prompt}" if one.prompt else ""
    yield f"study {study}, variant {one.variant}{prompt}: {what}: {fit.n_cells} measured, {len(rows)} predicted"
    if fit.validation is not None:
        checked = fit.validation
        yield (
            f"  sources left out whole and predicted: R2 {checked.r2:.2f}; within the 50 % interval "
            f"{100 * checked.coverage_50:.0f} %, within the 95 % interval {100 * checked.coverage_95:.0f} % of "
            f"{checked.n_cells}"
        )
    if rows and not fit.is_own:
        yield from _table(rows)
    yield ""


def _table(rows: Rows) -> Iterator[str]:
    """Yield the sources by what is expected of their predicted cells."""
    by_source: dict[Cell, Rows] = {}
    for row in rows:
        by_source.setdefault((row["source_task"], row["source_language"]), []).append(row)
    ordered = sorted(by_source.items(), key=lambda one: (-_mean(one[1]), one[0]))
    yield "  source, mean expected pp over its predicted cells, and the cell of which most is expected (95 %):"
    for (task, language), members in ordered[:_SHOWN]:
        best = max(members, key=lambda row: row["expected_pp"])
        bounds = "no interval" if best["low_95"] is None else f"{best['low_95']:+.2f} to {best['high_95']:+.2f}"
        yield (
            f"  {task}/{language}  {_mean(members):+.2f} ({count(len(members), 'cell')})  best: {best['model']} "
            f"{best['target_task']}/{best['target_language']} {best['expected_pp']:+.2f} ({bounds})"
        )
    if len(ordered) > _SHOWN:
        yield f"  and {len(ordered) - _SHOWN} more in marts.rpt_predictions"


def _mean(rows: Sequence[Mapping[str, Any]]) -> float:
    return float(np.mean([row["expected_pp"] for row in rows]))
