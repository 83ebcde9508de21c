"""Times LoRA training of several sources, and grid cells from training to landed scores, against the published way.

    python -m benchmarks.bench_training                                                  # CPU, a small random Llama
    python -m benchmarks.bench_training --device cuda --shape qwen2.5-0.5b --dtype bfloat16 --items 270 --epochs 3
    python -m benchmarks.bench_training --checkpoint FOLDER                              # a real model

The published way (arXiv 2511.13368) is Hugging Face's `Trainer` with PEFT, one source at a time and padded to a fixed
length; and, for a cell, merging the adapter to disk, lm-evaluation-harness on all targets, and deleting. Where lm-eval
is not installed, a stand-in scores (`benchmarks.by_harness`). Sources are the topic task in eight languages; where its
files cannot be had, made-up texts of its lengths in tokens (`benchmarks.made_up_topic`).

Both sides start with the same matrices and see the items in the same order; the losses of every step, and the
log-probabilities of every answer, must agree. Each way is measured in a process of its own, after a step or two that
start what starts once. With `--result FILE` findings are kept after each, so that parts may be run one at a time.
Prints Markdown tables, as in benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers.utils import logging

from benchmarks import by_harness
from benchmarks.by_trainer import published_cells, published_training
from benchmarks.landing_without_polars import open_landing
from benchmarks.machine import PeakMemory, describe, matmul_rate, wait
from benchmarks.results import Results
from benchmarks.training_setup import LANGUAGES, SHAPES, Bench
from compute.language_models.adapters import load_adapter, save_adapter
from compute.language_models.lora import LoraStack
from compute.language_models.scoring import score_items
from compute.language_models.training import train_stack
from compute.language_models.training_records import TrainedAdapter

TOLERANCE = {"float32": (1e-3, 1e-3), "bfloat16": (0.1, 1.0)}
"""Of a step's loss, and of an answer's log-probability, in nats. In bfloat16 the harness takes its log-softmax in that
dtype too, whose steps are 0.06 at a token's 12 nats and 0.25 at an answer's 60; and the merged weights are rounded."""

PARTS = ("published", "unpadded", "stacks", "cells", "published-cells", "stand-in-cells")
STACKS = (1, 2, 4, 8)


def _our_training(bench: Bench, sources: int) -> dict[str, Any]:
    results = _train_and_save(bench, *bench.load(), sources)
    return {
        "losses": [[row.loss for row in result.log] for result in results],
        "evals": [[row.eval_loss for row in result.log if row.eval_loss is not None] for result in results],
    }


def _train_and_save(bench: Bench, model: Any, tokenizer: Any, sources: int) -> list[TrainedAdapter]:
    given = [bench.source(number) for number in range(sources)]
    results = [
        result for result in train_stack(model, tokenizer, given, bench.settings, bench.device)
        if isinstance(result, TrainedAdapter)
    ]  # fmt: skip
    assert len(results) == sources
    for result in results:
        save_adapter(result.adapter, bench.settings, bench.folder / "adapters" / result.key, "base")
    return results


def _our_cells(bench: Bench, sources: int) -> dict[str, Any]:
    model, tokenizer = bench.load()
    targets, landing = bench.targets(), open_landing(bench.folder / "landing")
    values: list[list[list[float]]] = []
    for result in _train_and_save(bench, model, tokenizer, sources):
        values.append([])
        with LoraStack(model, [load_adapter(bench.folder / "adapters" / result.key)]):
            for language, items in targets.items():
                scores = score_items(model, tokenizer, items, device=bench.device)
                rows = [
                    {
                        "model": "base", "source_language": result.key, "target_language": language,
                        "item_id": item.item_id, "gold": item.gold, "logprobs": score.logprobs,
                        "token_counts": score.token_counts, "char_counts": score.char_counts,
                        "byte_counts": score.byte_counts,
                    }
                    for item, score in zip(items, scores, strict=True)
                ]  # fmt: skip
                landing.write(f"{result.key}-{language}", {"item_scores": rows}, {"state": "landed"})
                values[-1] += [score.logprobs for score in scores]
    return {"logprobs": values, "landed_as": type(landing).__name__}


# Measuring.

WAYS: dict[str, Callable[[Bench, int], dict[str, Any]]] = {
    "published": lambda bench, sources: published_training(bench, sources, bench.padding),
    "unpadded": lambda bench, sources: published_training(bench, sources, 0),
    "stacks": _our_training,
    "cells": _our_cells,
    "published-cells": lambda bench, sources: published_cells(bench, sources, by_harness.LM_EVAL),
    "stand-in-cells": lambda bench, sources: published_cells(bench, sources, by_harness.STAND_IN),
}
"""How each part runs on that many sources."""


def measure(bench: Bench, part: str, sources: int) -> dict[str, Any]:
    """Runs one way in this process: its results, seconds, memory and the machine's rate at that time."""
    logging.set_verbosity_error()
    run = WAYS[part]
    run(bench.least, 1)  # the driver, libraries and imports start
    for left in ("adapters", "landing", "tasks"):
        shutil.rmtree(bench.folder / left, ignore_errors=True)
    memory = PeakMemory(bench.device)
    start, cpu_start = time.perf_counter(), time.process_time()
    found = run(bench, sources)
    wait(bench.device)
    found |= {"seconds": time.perf_counter() - start, "cpu": time.process_time() - cpu_start}
    found |= {"sources": sources, "gib": memory.peak() / 2**30}
    return found | {"rate": matmul_rate(bench.device, bench.dtype)}


def _in_its_own_process(bench: Bench, part: str, sources: int) -> dict[str, Any] | None:
    """What `measure` found; None, the error being printed, where it broke."""
    print(f"{part}, {sources} sources ...", file=sys.stderr, flush=True)
    result = bench.folder / "found.json"
    result.unlink(missing_ok=True)
    command = [sys.executable, "-m", "benchmarks.bench_training", *sys.argv[1:]]
    command += ["--way", part, "--sources", str(sources), "--folder", str(bench.folder)]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(bench.folder / "datasets")}
    process = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    if process.returncode:
        print(process.stderr[-4000:], file=sys.stderr, flush=True)
        return None
    found: dict[str, Any] = json.loads(result.read_text())
    print(f"{part}, {sources} sources: {found['seconds'] / sources:.2f} s a source", file=sys.stderr, flush=True)
    return found


def _greatest_difference(one: Any, other: Any) -> float:
    if isinstance(one, list):
        return max((_greatest_difference(a, b) for a, b in zip(one, other, strict=True)), default=0.0)
    return abs(one - other)


# Tables.


def _print_table(what: str, results: Results, titles: dict[str, str], flop: Callable[[int], float]) -> None:
    """Rows of the findings whose part is in `titles`; `flop` is the work of that many sources."""
    rows = [(name, found) for name, found in results.found.items() if name.split()[0] in titles]
    if not rows:
        return
    published = next((found for name, found in rows if name.split()[0] == next(iter(titles))), None)
    published = published or next((found for name, found in rows if name.startswith("stand-in")), None)
    print(f"\n| {what} | sources | s a source | CPU s a source | × published | × in CPU s | tokens trained/s "
          "| peak GiB | of matmul rate |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|")
    for name, found in sorted(rows, key=lambda row: [*titles].index(row[0].split()[0])):
        sources = found["sources"]
        seconds, cpu = found["seconds"] / sources, found["cpu"] / sources
        times = " | ".join(_times(published, found, clock, flop) for clock in ("seconds", "cpu"))
        tokens = sum(work["tokens"] for work in results.facts["sources"][:sources])
        share = flop(sources) / found["seconds"] / found["rate"]
        print(
            f"| {titles[name.split()[0]].format(sources)} | {sources} | {seconds:.2f} | {cpu:.2f} | {times} "
            f"| {tokens / found['seconds']:,.0f} | {found['gib']:.2f} | {share:.1%} |"
        )


def _times(published: dict[str, Any] | None, found: dict[str, Any], clock: str, flop: Callable[[int], float]) -> str:
    """How many times as long the published way takes for the same work: sources have unlike many tokens."""
    if published is None:
        return "not run"
    there, here = (one[clock] / flop(one["sources"]) for one in (published, found))
    return f"{there / here:.2f}"


def _print_tables(bench: Bench, results: Results) -> None:
    facts = results.facts

    def training(sources: int) -> float:
        return float(sum(work["flop"] for work in facts["sources"][:sources]))

    kind = Path(bench.checkpoint).name if bench.checkpoint else f"{bench.shape}, random"
    print(f"{kind}, {facts['parameters'] / 1e6:.0f} M parameters; {bench.dtype}; {facts['machine']}; "
          f"texts {facts['texts']}: contexts of {facts['context_tokens']} tokens (0, 10, 50, 90, 100 %); "
          f"{bench.items} items and {bench.eval_items} held out a source, {bench.epochs} epochs")  # fmt: skip
    rates = [found["rate"] for found in results.found.values()]
    print(f"measured matmul rate: {min(rates) / 1e12:.3g} to {max(rates) / 1e12:.3g} TFLOP/s")
    titles = {
        "published": f"Trainer, padded to {bench.padding}, as published", "unpadded": "Trainer, padded to the batch",
        "stacks": "stack of {}",
    }  # fmt: skip
    _print_table("training", results, titles, training)
    stand_in = f"Trainer, merge to disk, {by_harness.TITLES[by_harness.STAND_IN]}, delete"
    titles = {
        "published-cells": "Trainer, merge to disk, lm-eval, delete", "stand-in-cells": stand_in,
        "cells": "stack, score, land",
    }  # fmt: skip
    what = f"from training to scores on {len(LANGUAGES)} targets of {bench.target_items} items"
    _print_table(what, results, titles, lambda sources: training(sources) + sources * facts["target_flop"])
    for found in results.found.values():
        if found.get("landed_as", "Landing") != "Landing":
            print("\npolars is not installed: cells landed as safetensors files, not as Parquet.")


def _differences(results: Results) -> tuple[float, float]:
    """The greatest between the way of most sources and another: of two losses, and of two log-probabilities."""
    greatest = []
    for kinds in (("losses", "evals"), ("logprobs",)):
        findings = [found for found in results.found.values() if kinds[0] in found]
        findings.sort(key=lambda found: -found["sources"])
        greatest.append(
            max((_greatest_difference(findings[0][kind][: found["sources"]], found[kind])
                 for found in findings[1:] for kind in kinds), default=0.0)
        )  # fmt: skip
    return greatest[0], greatest[1]


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--shape", choices=sorted(SHAPES), default="small")
    parser.add_argument("--checkpoint", type=Path, help="folder of a real model, in place of a shape")
    parser.add_argument("--stacks", type=int, nargs="+", default=STACKS, help="sources trained at once")
    parser.add_argument("--dtype", choices=sorted(TOLERANCE), default="float32")
    parser.add_argument("--texts", choices=("auto", "topic", "made-up"), default="auto", help="what is trained on")
    parser.add_argument("--parts", choices=PARTS, nargs="+", help="all, but for one of lm-eval and its stand-in")
    parser.add_argument("--result", type=Path, help="JSON file that findings are kept in, and taken from")
    parser.add_argument("--sources", type=int, default=8, help="trained at once, up to 8")
    parser.add_argument("--items", type=int, default=40, help="trained on, a source")
    parser.add_argument("--eval-items", type=int, default=8, help="held out, a source")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--target-items", type=int, default=25, help="of each of the eight targets")
    parser.add_argument("--published-sources", type=int, default=2, help="timed of Trainer's, one after the other")
    parser.add_argument("--padding", type=int, default=256, help="the published fixed length")
    parser.add_argument("--harness-batch", type=int, default=16, help="the harness's batch size")
    parser.add_argument("--way", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    harness = "published-cells" if by_harness.installed_harness() == by_harness.LM_EVAL else "stand-in-cells"
    given.parts = given.parts or ["published", "unpadded", "stacks", "cells", harness]
    if "published-cells" in given.parts and harness == "stand-in-cells":
        sys.exit("part published-cells: lm-eval is not installed; take stand-in-cells")
    return given


def main() -> None:
    """Command line."""
    given = _parse()
    with tempfile.TemporaryDirectory(prefix="bench-training-") as temporary:
        bench = Bench(
            given.folder or Path(temporary), given.device, given.shape, given.dtype, given.items, given.eval_items,
            given.epochs, given.target_items, given.padding, given.harness_batch,
            str(given.checkpoint.resolve()) if given.checkpoint else None,
        )  # fmt: skip
        if given.way:
            (bench.folder / "found.json").write_text(json.dumps(measure(bench, given.way, given.sources)))
            return
        versions = {"torch": torch.__version__, "transformers": transformers.__version__, "texts": given.texts}
        settings = {name: value for name, value in asdict(bench).items() if name != "folder"} | versions
        results = Results(given.result, settings)
        results.facts = (bench.take_checkpoint() if given.checkpoint else bench.make_base(given.texts)) | {
            "machine": describe(given.device)
        }
        results.save()
        runs = []
        for part in given.parts:
            sizes = [size for size in given.stacks if size <= given.sources]
            if part != "stacks":
                sizes = [given.sources if part == "cells" else min(given.published_sources, given.sources)]
            runs += [(part, size) for size in sizes]
        broken = 0
        for part, size in runs:
            found = _in_its_own_process(bench, part, size)
            if found is None:
                broken += 1
            else:
                results.add(f"{part} {size}", found)
    if not results.found:
        sys.exit("nothing was measured")
    _print_tables(bench, results)
    differences = _differences(results)
    print(
        f"\nGreatest difference: {differences[0]:.1e} of a loss, {differences[1]:.1e} of an answer's log-probability."
    )
    if any(value > most for value, most in zip(differences, TOLERANCE[given.dtype], strict=True)):
        sys.exit(f"that is more than {TOLERANCE[given.dtype]}")
    if broken:
        sys.exit(f"{broken} of {len(runs)} ways broke")


if __name__ == "__main__":
    main()
