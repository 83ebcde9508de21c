"""Importer `donors-recipients`: the released table of "Donors and Recipients" (arXiv 2511.13368).

One CSV row is a (model, source, target) cell over three seeds. Deltas are its `delta_score_norm_mean` as published,
with their standard error over seeds; the scores beside them are the length-normalized accuracies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from compute.errors import UserError
from compute.importers import ImportConfig, Imported, ImportedStudy, Say, file_digest
from compute.importers.csv_rows import number, read_rows
from compute.plugin import Job

VERSION = "1"
_KEY = ("model_name", "fine_tuned_dataset", "fine_tuned_language", "eval_dataset", "eval_language")
_NUMBERS = ("model_size", "score_norm_mean", "score_norm_base_mean", "delta_score_norm_mean", "n_seeds")
_ERRORS = ("score_norm_se", "score_norm_base_se", "delta_score_norm_se")
"""Standard errors over seeds; empty where there is one seed."""
_FAMILIES = {"Llama-3": "llama", "Qwen2.5": "qwen2", "gemma-3": "gemma3"}
"""Beginnings of the published models' names, and transformers' name of their families."""

_PROMPT = "cloze@published"
_REVISION = "published"
_ROUNDING_PP = 1e-3


def read(files: Sequence[Path], map_file: Path | None, say: Say) -> ImportedStudy:
    """Return the cells of each CSV, one job a file.

    Raises:
        UserError: a missing column, an empty key, a number that is none, a regime or delta that contradicts the row,
            a cell that stands twice: file, line and what was expected.
    """
    if map_file is not None:
        raise UserError("donors-recipients takes no --map: its rows say what they are")
    return ImportedStudy(list(_tables(files, say)))


def _tables(files: Sequence[Path], say: Say) -> Iterator[Imported]:
    for file in files:
        rows = list(_rows(file))
        _check_grid(file, rows, say)
        job = Job(
            plugin="import",
            version=VERSION,
            config=ImportConfig(importer="donors-recipients", sha256=file_digest(file)),
            label=f"import {file.name}",
        )
        models = {row["model_name"]: float(row["model_size"]) for _, row in rows}
        yield Imported(
            job,
            {
                "models": [
                    {
                        "model": f"{name}@{_REVISION}",
                        "family": next((f for start, f in _FAMILIES.items() if name.startswith(start)), name),
                        "parameters": round(size * 1e9),
                        "revision": _REVISION,
                    }
                    for name, size in models.items()
                ],
                "aggregate_scores": [
                    {
                        "model": f"{row['model_name']}@{_REVISION}",
                        "variant": "default",
                        "source_task": row["fine_tuned_dataset"],
                        "source_language": row["fine_tuned_language"],
                        "control": None,
                        "seed": None,
                        "target_task": row["eval_dataset"],
                        "target_language": row["eval_language"],
                        "prompt": _PROMPT,
                        "metric": "acc_norm",
                        "score": float(row["score_norm_mean"]),
                        "score_stderr": _error(row["score_norm_se"]),
                        "baseline_score": float(row["score_norm_base_mean"]),
                        "baseline_stderr": _error(row["score_norm_base_se"]),
                        "delta": float(row["delta_score_norm_mean"]),
                        "delta_unit": "pp",
                        "higher_is_better": True,
                        "delta_pp": float(row["delta_score_norm_mean"]),
                        "delta_stderr": _error(row["delta_score_norm_se"]),
                        "n_items": None,
                        "n_seeds": int(float(row["n_seeds"])),
                    }
                    for _, row in rows
                ],
            },
        )


def _error(text: str) -> float | None:
    return float(text) if text else None


def _rows(file: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Place and row, each checked by itself."""
    for place, row in read_rows(file, (*_KEY, *_NUMBERS, *_ERRORS, "regime")):
        _check_row(place, row)
        yield place, row


def _check_row(place: str, row: dict[str, str]) -> None:
    for name in _KEY:
        if not row[name].strip():
            raise UserError(f"{place}: {name} is empty")
    for name in (*_NUMBERS, *(name for name in _ERRORS if row[name])):
        number(place, name, row[name])
    task = "M" if row["fine_tuned_dataset"] == row["eval_dataset"] else "C"
    language = "M" if row["fine_tuned_language"] == row["eval_language"] else "C"
    regime = f"{task}T-{language}L"
    if row["regime"] != regime:
        raise UserError(f"{place}: regime {row['regime']!r}, but its keys make it {regime!r}")
    for name in ("score_norm_mean", "score_norm_base_mean"):
        if not 0 <= float(row[name]) <= 1:
            raise UserError(f"{place}: {name}: expected a proportion, 0 to 1, found {row[name]}")
    delta = 100 * (float(row["score_norm_mean"]) - float(row["score_norm_base_mean"]))
    if abs(delta - float(row["delta_score_norm_mean"])) > _ROUNDING_PP:
        raise UserError(
            f"{place}: delta_score_norm_mean is {row['delta_score_norm_mean']}, but its scores differ by {delta:.6f} pp"
        )


def _check_grid(file: Path, rows: Sequence[tuple[str, dict[str, str]]], say: Say) -> None:
    """Every cell once; a grid with holes is said, not refused."""
    if not rows:
        raise UserError(f"{file}: no rows below the header")
    seen: dict[tuple[str, ...], str] = {}
    for place, row in rows:
        key = tuple(row[name] for name in _KEY)
        if key in seen:
            line = seen[key].rpartition(":")[2]
            raise UserError(f"{place}: the cell {' '.join(key)} stands in line {line} already")
        seen[key] = place
    models, sources, targets = (
        len({tuple(row[name] for name in names) for _, row in rows}) for names in (_KEY[:1], _KEY[1:3], _KEY[3:])
    )
    full = models * sources * targets
    say(f"{file}: {models} models x {sources} sources x {targets} targets, {len(rows):,} of {full:,} cells")
