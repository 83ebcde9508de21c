"""Importer `lm-eval`: results (`results_*.json`) and samples (`samples_*.jsonl`) of lm-evaluation-harness.

A folder means all result files below it. Where a task's samples lie beside its results, the item level is imported;
where not, its scores. A run with a peft adapter is a tuned model: `--map` says which source and seed it is, and which
task name is which task and language (see `compute.importers.lm_eval_map`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compute.errors import UserError
from compute.importers import Imported, Say, file_digest
from compute.importers.lm_eval_map import LmEvalMap, Run, read_map
from compute.plugin import Job, digest
from compute.tasks import TASKS

VERSION = "1"
_PROMPT_KEYS = ("doc_to_text", "doc_to_choice", "doc_to_target", "description", "target_delimiter", "num_fewshot")


@dataclass(frozen=True)
class _Results:
    """One results file: its run, and what it says of each task."""

    file: Path
    run: Run
    content: Mapping[str, Any]

    @property
    def stamp(self) -> str:
        """What its samples files end in."""
        return self.file.stem.removeprefix("results_")

    def samples(self, task: str) -> Path | None:
        """The samples file of a task, or None."""
        file = self.file.with_name(f"samples_{task}_{self.stamp}.jsonl")
        return file if file.is_file() else None


def read(files: Sequence[Path], map_file: Path | None, say: Say) -> Iterable[Imported]:
    """One job a (results file, task).

    Raises:
        UserError: no results files; a damaged one; an adapter or a task that the map does not name; two runs that
            are the same cell.
    """
    names = read_map(map_file)
    results = [_open(file, names) for file in _result_files(files)]
    seen: dict[tuple[Any, ...], Path] = {}
    baselines = _aggregate_baselines(results, names)
    n_items = 0
    for one in results:
        for name in one.content["results"]:
            if name in one.content.get("groups", {}) or not _metrics(one.content["results"][name]):
                continue  # a group's heading or mean
            task, language = names.task(name, one.file)
            cell = (*one.run.keys.values(), task, language)
            if cell in seen:
                raise UserError(f"{one.file}: {name} repeats what {seen[cell]} holds; import one of them")
            seen[cell] = one.file
            imported = _import(one, name, task, language, names, baselines)
            n_items += len(imported.tables.get("item_scores", ()))
            yield imported
    say(f"{len(results)} results files, {len(seen)} cells, {n_items:,} item rows")


def _result_files(paths: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(path.rglob("results_*.json"))
        elif path.name.startswith("samples_"):
            continue  # read beside its results
        else:
            found.append(path)
    if not found:
        raise UserError(f"{', '.join(map(str, paths))}: no results_*.json of lm-evaluation-harness there")
    return found


def _open(file: Path, names: LmEvalMap) -> _Results:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"{file}: not JSON: {error}") from None
    for key in ("results", "config", "configs"):
        if not isinstance(content, dict) or not isinstance(content.get(key), dict):
            raise UserError(f"{file}: no {key!r}: not a results file of lm-evaluation-harness")
    return _Results(file, names.run(content["config"], file), content)


def _import(
    one: _Results, name: str, task: str, language: str, names: LmEvalMap, baselines: Mapping[tuple[str, str], Any]
) -> Imported:
    content = one.content
    shots = content.get("n-shot", {}).get(name)
    wording = {key: content["configs"].get(name, {}).get(key) for key in _PROMPT_KEYS}
    prompt = f"lm_eval@{digest([wording, shots, content.get('chat_template_sha')])[:8]}"
    target = {"target_task": task, "target_language": language, "prompt": prompt}
    samples = one.samples(name)
    job = Job(
        plugin="import",
        version=VERSION,
        config={
            "importer": "lm-eval",
            **one.run.keys,
            **target,
            "sha256": file_digest(samples or one.file),
            "lm_eval_task": name,
        },
        label=f"import {name} of {one.run.label}",
    )
    tables: dict[str, list[dict[str, Any]]] = {"models": [one.run.model_row(content["config"])]}
    if samples is None:
        tables["aggregate_scores"] = list(_scores(one, name, {**one.run.keys, **target}, baselines))
        return Imported(job, tables)
    rows, items = [], []
    for row, choices, parallel in _items(samples, task in names.parallel):
        rows.append({**one.run.keys, **target, **row})
        items.append(
            {
                "task": task,
                "language": language,
                "item_id": row["item_id"],
                "parallel_id": parallel,
                "split": "test",
                "gold": row["gold"],
                "choices": choices,
                "prompt": prompt,
            }
        )
    tables["item_scores"], tables["items"] = rows, items
    if task not in TASKS and rows:
        tables["tasks"] = [_task_row(task, name, rows)]
    return Imported(job, tables)


def _task_row(task: str, name: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    generated = rows[0].get("logprobs") is None
    return {
        "task": task,
        "kind": "generation" if generated else "choice",
        "primary_metric": "exact_match" if generated else "acc",
        "chance": 0.0 if generated else sum(1 / len(row["logprobs"]) for row in rows) / len(rows),
        "source_url": f"lm-evaluation-harness: {name}",
    }


def _scores(
    one: _Results, name: str, keys: Mapping[str, Any], baselines: Mapping[tuple[str, str], Any]
) -> Iterator[dict[str, Any]]:
    """Rows of `raw.aggregate_scores`, one a metric, of a tuned model; a base model's scores are their baselines."""
    if one.run.keys["source_task"] is None:
        return
    base = baselines.get((one.run.keys["model"], name), {})
    for metric, (score, error) in _metrics(one.content["results"][name]).items():
        before, before_error = base.get(metric, (None, None))
        yield {
            **keys,
            "metric": metric,
            "score": score,
            "score_stderr": error,
            "baseline_score": before,
            "baseline_stderr": before_error,
            "delta_pp": None if before is None else 100 * (score - before),
            "delta_stderr": None,
            "n_items": one.content.get("n-samples", {}).get(name, {}).get("effective"),
            "n_seeds": 1,
        }


def _aggregate_baselines(results: Sequence[_Results], names: LmEvalMap) -> dict[tuple[str, str], Any]:
    """Metrics of base models by (model, lm-eval's task name)."""
    return {
        (one.run.keys["model"], name): _metrics(found)
        for one in results
        if one.run.keys["source_task"] is None
        for name, found in one.content["results"].items()
    }


def _metrics(found: Mapping[str, Any]) -> dict[str, tuple[float, float | None]]:
    """Score and standard error by metric; one of a filter other than none is called metric:filter."""
    scores = {}
    for key, value in found.items():
        metric, comma, filter_name = key.partition(",")
        if not comma or metric.endswith("_stderr") or isinstance(value, str | bool) or value is None:
            continue
        error = found.get(f"{metric}_stderr,{filter_name}")
        name = metric if filter_name == "none" else f"{metric}:{filter_name}"
        scores[name] = (float(value), float(error) if isinstance(error, int | float) else None)
    return scores


def _items(file: Path, parallel: bool) -> Iterator[tuple[dict[str, Any], list[str], str | None]]:
    """Columns of `raw.item_scores` that a samples file has, the choices, and the parallel id, item by item.

    Where a task has several filters, the first in the file is taken.
    """
    first_filter: str | None = None
    with open(file, encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                sample = json.loads(line)
                item_id = str(sample["doc_id"])
                first_filter = first_filter or str(sample.get("filter", "none"))
                if str(sample.get("filter", "none")) != first_filter:
                    continue
                row, choices = _item(sample)
            except (ValueError, KeyError, TypeError, IndexError) as error:
                raise UserError(
                    f"{file}:{number}: not a sample of lm-evaluation-harness ({type(error).__name__}: {error})"
                ) from None
            yield {"item_id": item_id, **row}, choices, item_id if parallel else None


def _item(sample: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    arguments = sample["arguments"]
    pairs = [(one["arg_0"], one["arg_1"]) for one in arguments.values()] if isinstance(arguments, dict) else arguments
    answers = sample["filtered_resps"]
    if isinstance(answers[0], str):  # a generation task
        correct = next(sample[name] for name in ("exact_match", *sample["metrics"]) if name in sample)
        return {"gold": 0, "prediction": answers[0], "correct": float(correct) == 1.0}, [str(sample["target"])]
    choices = [str(continuation) for _, continuation in pairs]
    logprobs = [float(answer[0]) for answer in answers]
    if len(choices) != len(logprobs):
        raise ValueError(f"{len(choices)} continuations, {len(logprobs)} log-likelihoods")
    texts = [choice.removeprefix(" ") for choice in choices]
    row = {
        "gold": _gold(sample["target"], texts),
        "logprobs": logprobs,
        "char_counts": [len(text) for text in texts],
        "byte_counts": [len(text.encode()) for text in texts],
    }
    return row, choices


def _gold(target: Any, texts: Sequence[str]) -> int:
    """Index of the right choice: the target is it, or the choice's text."""
    text = str(target)
    if text in texts and not (text.isdigit() and int(text) < len(texts)):
        return texts.index(text)
    gold = int(text)
    if not 0 <= gold < len(texts):
        raise ValueError(f"target {text!r} of {len(texts)} choices")
    return gold
