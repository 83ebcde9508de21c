"""Results files and samples of lm-evaluation-harness, written by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.helpers.importing import Place

STAMP = "2026-01-01T00-00-00.000001"
SOURCES = "adapters: {out/a: {source: toy/en, seed: 7}}\ntasks: {toy_de: toy/de}\nparallel: [toy]\n"


def choices(correct: list[bool], words: tuple[str, str] = (" ja", " nö"), **more: Any) -> list[dict[str, Any]]:
    """Samples of two choices, the second right."""
    return [
        {
            "doc_id": number, "doc": {}, "target": "1", "filter": "none", "metrics": ["acc"], "acc": float(right),
            "arguments": {f"gen_args_{i}": {"arg_0": "q", "arg_1": word} for i, word in enumerate(words)},
            "filtered_resps": [["-2.0", "False"], ["-1.0" if right else "-3.0", "False"]],
            **more,
        }
        for number, right in enumerate(correct)
    ]  # fmt: skip


def answers(metric: str, values: list[Any]) -> list[dict[str, Any]]:
    """Samples of a generation task."""
    request = {"gen_args_0": {"arg_0": "q", "arg_1": {"until": ["\n"]}}}
    return [
        {"doc_id": i, "target": "12", "arguments": request, "filter": "none", "filtered_resps": ["12"], metric: value}
        for i, value in enumerate(values)
    ]


def run(
    folder: Path,
    samples: list[dict[str, Any]] | None,
    scores: dict[str, Any] | None = None,
    task: str = "toy_de",
    arguments: Any = None,
    adapter: str | None = None,
    settings: dict[str, Any] | None = None,
    file: str = f"results_{STAMP}.json",
    samples_file: str | None = None,
    **content: Any,
) -> Path:
    """A results file, and samples, as lm-evaluation-harness 0.4 writes them. Returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    if scores is None:
        right = [sample["acc"] for sample in samples or ()]
        scores = {"acc,none": sum(right) / len(right), "acc_stderr,none": 0.1}
    arguments = arguments or {"pretrained": "org/small"} | ({"peft": adapter} if adapter else {})
    whole = {
        "results": {task: {"alias": task, **scores}},
        "configs": {task: {"doc_to_text": "{{q}}", **(settings or {})}},
        "n-shot": {task: 0}, "n-samples": {task: {"original": 9, "effective": len(samples or "1234")}},
        "config": {"model": "hf", "model_args": arguments, "model_sha": "abcdef0123"}, **content,
    }  # fmt: skip
    (folder / file).write_text(json.dumps(whole))
    if samples is not None:
        name = samples_file or f"samples_{task}_{STAMP}.jsonl"
        (folder / name).write_text("".join(json.dumps(sample) + "\n" for sample in samples))
    return folder


def said(place: Place) -> str:
    """Return all that the import said."""
    return "\n".join(place.said)
