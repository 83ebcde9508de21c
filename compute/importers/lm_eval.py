"""Importer `lm-eval`: results and samples of lm-evaluation-harness 0.4.

A folder means all result files below it. All scores of a task are imported as its results file has them. Where its
samples lie beside it and give the same scores (`compute.importers.lm_eval_samples`), so are its items; that is decided
for all runs of a task together, since a base model's items can be compared with nothing else. `--map` says which
adapter or checkpoint is which source, and which task name is which task and language
(`compute.importers.lm_eval_map`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compute.errors import UserError
from compute.importers import ImportConfig, Imported, ImportedStudy, Say, file_digest
from compute.importers.lm_eval_files import results_files, unclaimed_samples
from compute.importers.lm_eval_map import LmEvalMap, Run, read_map
from compute.importers.lm_eval_metrics import (
    SHARE_UNIT,
    Scale,
    Score,
    higher_is_better,
    not_finite,
    scores,
)
from compute.importers.lm_eval_samples import CHOICE_METRICS, GENERATION_METRIC, Item, Reading, read_items
from compute.names import UnknownName
from compute.plugin import Job, digest
from compute.tasks import TASKS

VERSION = "2"
_PROMPT_KEYS = ("doc_to_text", "doc_to_choice", "doc_to_target", "description", "target_delimiter", "num_fewshot")
_LEADING_METRICS = ("acc", GENERATION_METRIC)
_KINDS = {"multiple_choice": "choice", "generate_until": "generation"}
"""`output_type` -> `raw.tasks.kind`; others are neither."""

_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]+\b")
_PATH = re.compile(r"(?<![\w.])/(?:[^\s/'\"]+/)+")
"""What a callable's text has of the process that wrote it: its address, and folders of paths."""


@dataclass
class _Cell:
    """One task in one run.

    Attributes:
        run: the run.
        name: the harness's name of the task.
        task, language: the warehouse's.
        scores: of the results file, by metric.
        n_items: behind them; None if unknown.
        samples: the samples file; None if there is none.
        reading: what it holds.
    """

    run: Run
    name: str
    task: str
    language: str
    scores: Mapping[str, Score]
    n_items: int | None
    samples: Path | None
    reading: Reading = field(default_factory=Reading)

    @property
    def config(self) -> Mapping[str, Any]:
        return self.run.results.task_config(self.name)

    @property
    def prompt(self) -> str:
        """The prompt's identity: what the task's settings and the run make of a document."""
        content = self.run.results.content
        wording = {key: self.config.get(key) for key in _PROMPT_KEYS}
        parts = [wording, content.get("n-shot", {}).get(self.name), content.get("chat_template_sha")]
        parts += [content[key] for key in ("system_instruction_sha", "fewshot_as_multiturn") if content.get(key)]
        return f"lm_eval@{digest(_lasting(parts))[:8]}"

    @property
    def keys(self) -> dict[str, Any]:
        """The key columns of its rows."""
        return {
            **self.run.keys,
            "target_task": self.task,
            "target_language": self.language,
            "prompt": self.prompt,
        }


def read(files: Sequence[Path], map_file: Path | None, say: Say) -> ImportedStudy:
    """One job a (results file, task), one a (task, language, prompt) for the items, and one a task.

    Raises:
        UserError: no results files; a damaged one; an adapter or a task that the map does not name; two runs that
            are the same cell; a metric of the map that a task does not have.
    """
    names = read_map(map_file)
    runs = names.runs(results_files(files))
    targets = names.targets(runs)
    for line in names.unused(runs):
        say(line)
    unclaimed = unclaimed_samples([run.results for run in runs])
    if unclaimed:
        say(f"samples files that belong to none of these results: {len(unclaimed)}, the first {unclaimed[0]}")
    cells = list(_cells(runs, targets, say))
    metrics = {task: _primary_metric(task, group, names) for task, group in _grouped(cells, lambda c: c.task).items()}
    by_item = _items_decided(cells, metrics, say)
    scales = _scales(cells)
    jobs = [
        *(
            _task_job(task, [c for c in cells if c.task == task], metrics[task], by_item)
            for task in metrics
            if task not in TASKS
        ),
        *_item_jobs([cell for cell in cells if cell.name in by_item], names),
        *_score_jobs(cells, by_item, scales, names),
    ]
    n_items = sum(len(job.tables.get("item_scores", ())) for job in jobs)
    say(f"{len(runs)} results files, {len(cells)} cells, {n_items:,} item rows")
    settings = {} if names.harm_threshold_pp is None else {"harm_threshold_pp": names.harm_threshold_pp}
    return ImportedStudy(jobs, settings)


def _cells(runs: Sequence[Run], targets: Mapping[str, tuple[str, str]], say: Say) -> Iterator[_Cell]:
    seen: dict[tuple[Any, ...], Path] = {}
    for run in runs:
        for name in run.results.tasks:
            if name not in targets:
                continue  # left out by the map
            found = run.results.content["results"][name]
            named = scores(found)
            for metric in not_finite(found):
                say(f"{run.results.path}: {name}: its {metric} is no finite number and is left out")
            if not named:
                say(f"{run.results.path}: {name}: no scores in it")
                continue
            task, language = targets[name]
            key = (*run.keys.values(), task, language)
            if key in seen:
                raise UserError(
                    f"{run.results.path}: {name} repeats what {seen[key]} holds; import one of them, or let `seed` or "
                    "`variant` in the map tell them apart"
                )
            seen[key] = run.results.path
            cell = _Cell(run, name, task, language, named, run.results.n_items(name), run.results.samples(name))
            if cell.samples is not None:
                cell.reading = read_items(cell.samples, cell.config, named, cell.n_items)
            yield cell


def _lasting(value: Any) -> Any:
    """Return a setting without what varies by process (a callable is dumped as its text, with its address), and
    without numbers that are not finite, which JSON has not."""
    if isinstance(value, dict):
        return {key: _lasting(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_lasting(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, str) and ("<" in value or "(" in value) and _ADDRESS.search(value):
        return _PATH.sub("", _ADDRESS.sub("0x", value))
    return value


def _primary_metric(task: str, cells: Sequence[_Cell], names: LmEvalMap) -> str:
    """Return what verdicts use: as the map says, else accuracy, else the first metric that all languages and runs
    have."""
    shared = [metric for metric in cells[0].scores if all(metric in cell.scores for cell in cells)]
    asked = names.metrics.get(task)
    if asked is not None:
        for cell in cells:
            if asked not in cell.scores:
                raise UserError(
                    f"{cell.run.results.path}: {cell.name}: metrics.{task} in the map: "
                    f"{UnknownName('metric', asked, cell.scores)}"
                )
        return asked
    return next((metric for metric in (*_LEADING_METRICS, *shared) if metric in shared), next(iter(cells[0].scores)))


def _items_decided(cells: Sequence[_Cell], metrics: Mapping[str, str], say: Say) -> set[str]:
    """Return the harness's names of the tasks that are imported item by item; says why others with samples are not."""
    by_item = set()
    for name, group in _grouped(cells, lambda cell: cell.name).items():
        sampled = [cell for cell in group if cell.samples is not None]
        if not sampled:
            continue
        metric = metrics[group[0].task]
        problem = next((c for c in sampled if c.reading.reason or metric not in c.reading.metrics), None)
        if problem is not None:
            reason = problem.reading.reason or f"its metric is {metric}"
            where = f"{problem.samples}: "
        elif len(sampled) < len(group):
            without = next(cell for cell in group if cell.samples is None)
            reason, where = without.run.results.why_no_samples(name), f"{without.run.results.path}: "
        elif (differing := _differing(sampled)) is not None:
            reason, where = differing
        else:
            by_item.add(name)
            for cell in sampled:
                if cell.reading.remark:
                    say(f"{name}: {cell.reading.remark}")
            continue
        say(f"{where}{name} is imported by its scores, not item by item: {reason}")
    return by_item


def _differing(cells: Sequence[_Cell]) -> tuple[str, str] | None:
    """Say of which item runs disagree what is asked, if of any: data of two revisions, or shuffled choices."""
    known: dict[tuple[str, str], tuple[Any, Any]] = {}
    for cell in cells:
        for item in cell.reading.items:
            asked = (list(item.choices), item.columns["gold"])
            if known.setdefault((cell.prompt, item.item_id), asked) != asked:
                reason = f"its item {item.item_id} has other choices, or another right one, than in {cells[0].samples}"
                return reason, f"{cell.samples}: "
    return None


def _scales(cells: Iterable[_Cell]) -> dict[tuple[str, str], Scale]:
    """Return what is known of the values of each (task, metric)."""
    scales: dict[tuple[str, str], Scale] = {}
    for cell in cells:
        for score in cell.scores.values():
            scale = scales.setdefault((cell.task, score.metric), Scale())
            scale.add([score.value], of_items=False)
            scale.add(cell.reading.values.get(score.metric, ()), of_items=True)
    return scales


def _task_job(task: str, cells: Sequence[_Cell], metric: str, by_item: set[str]) -> Imported:
    """Return the row of `raw.tasks`."""
    sampled = [item for cell in cells if cell.name in by_item for item in cell.reading.items]
    kind = _KINDS.get(str(cells[0].config.get("output_type")))
    chance = None
    if sampled:
        is_choice = "logprobs" in sampled[0].columns
        kind = "choice" if is_choice else "generation"
        chance = sum(1 / len(item.choices) for item in sampled) / len(sampled) if is_choice else 0.0
    elif kind == "choice" and metric in CHOICE_METRICS and isinstance(cells[0].config.get("doc_to_choice"), list):
        chance = 1 / len(cells[0].config["doc_to_choice"])
    elif metric == GENERATION_METRIC:
        chance = 0.0
    row = {
        "task": task,
        "kind": kind,
        "primary_metric": metric,
        "chance": chance,
        "source_url": f"lm-evaluation-harness: {cells[0].name}",
    }
    job = Job("import", VERSION, ImportConfig(importer="lm-eval", describes=row), label=f"import what {task} is")
    return Imported(job, {"tasks": [row]})


def _item_jobs(cells: Sequence[_Cell], names: LmEvalMap) -> Iterator[Imported]:
    """Yield the items of each (task, language, prompt), once for all runs that answered them."""
    for (task, language, prompt), group in _grouped(cells, lambda c: (c.task, c.language, c.prompt)).items():
        items = {item.item_id: item for cell in group for item in cell.reading.items}
        rows = [_item_row(item, task in names.parallel) for item in items.values()]
        keys = {"task": task, "language": language, "prompt": prompt}
        config = ImportConfig(importer="lm-eval", **keys, items=digest(rows))
        job = Job("import", VERSION, config, label=f"import the items of {task}/{language}")
        yield Imported(job, {"items": [{**keys, "split": "test", **row} for row in rows]})


def _item_row(item: Item, is_parallel: bool) -> dict[str, Any]:
    return {
        "item_id": item.item_id,
        "parallel_id": item.item_id if is_parallel else None,
        "gold": item.columns["gold"],
        "choices": list(item.choices),
    }


def _score_jobs(
    cells: Sequence[_Cell], by_item: set[str], scales: Mapping[tuple[str, str], Scale], names: LmEvalMap
) -> Iterator[Imported]:
    baselines = {
        (cell.run.keys["model"], cell.name, cell.prompt): cell.scores for cell in cells if not cell.run.is_tuned
    }
    for cell in cells:
        units = {
            name: scales[cell.task, score.metric].unit(score.metric, score.metric in names.shares)
            for name, score in cell.scores.items()
        }
        base = baselines.get((cell.run.keys["model"], cell.name, cell.prompt), {}) if cell.run.is_tuned else {}
        config = {
            "importer": "lm-eval",
            **cell.keys,
            "sha256": file_digest(cell.run.results.path),
            "lm_eval_task": cell.name,
            "units": units,
        }
        tables: dict[str, list[dict[str, Any]]] = {
            "models": [cell.run.model_row],
            "aggregate_scores": [_score_row(cell, name, units[name], base) for name in cell.scores],
        }
        if cell.name in by_item and cell.samples is not None:
            config["samples_sha256"] = file_digest(cell.samples)
            tables["item_scores"] = [
                {**cell.keys, "item_id": item.item_id, **item.columns} for item in cell.reading.items
            ]
        job = Job("import", VERSION, ImportConfig(**config), label=f"import {cell.name} of {cell.run.label}")
        yield Imported(job, tables)


def _score_row(cell: _Cell, name: str, unit: str, base: Mapping[str, Score]) -> dict[str, Any]:
    """Return a row of `raw.aggregate_scores`; a base model's has no difference."""
    score, before = cell.scores[name], base.get(name)
    better = higher_is_better(score.metric, cell.run.results.content, cell.name)
    delta = None if before is None else (100 if unit == SHARE_UNIT else 1) * (score.value - before.value)
    return {
        **cell.keys,
        "metric": name,
        "score": score.value,
        "score_stderr": score.error,
        "baseline_score": None if before is None else before.value,
        "baseline_stderr": None if before is None else before.error,
        "delta": delta,
        "delta_unit": unit,
        "higher_is_better": better,
        # Less of a share may be better too; mean transfer knows gains and losses alone.
        "delta_pp": delta if unit == SHARE_UNIT and better is not False else None,
        "delta_stderr": None,
        "n_items": cell.n_items if cell.n_items is not None else len(cell.reading.items) or None,
        "n_seeds": 1,
    }


def _grouped(cells: Iterable[_Cell], key: Any) -> dict[Any, list[_Cell]]:
    groups: dict[Any, list[_Cell]] = {}
    for cell in cells:
        groups.setdefault(key(cell), []).append(cell)
    return groups
