"""Times LoRA training of several sources, and grid cells from training to landed scores, against the published way.

    python -m benchmarks.bench_training                                                  # CPU, a small random Llama
    python -m benchmarks.bench_training --device cuda --shape qwen2.5-0.5b --dtype bfloat16 --items 270 --epochs 3

The published way (arXiv 2511.13368) is Hugging Face's `Trainer` with PEFT, one source at a time and padded to a fixed
length; and, for a cell, merging the adapter to disk, lm-evaluation-harness on all targets, and deleting. Sources are
the topic task in eight languages. Both sides start with the same matrices and see the items in the same order; the
losses of every step, and the log-probabilities of every answer, must agree. Each way is measured in a process of its
own. Prints Markdown tables, as in benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging

from benchmarks.by_trainer import published_cells, published_training, rows_of
from benchmarks.training_setup import SHAPES, Bench
from compute.landing import Landing
from compute.language_models.loading import load_model
from compute.language_models.lora import LoraStack, initial_adapter, load_adapter, save_adapter
from compute.language_models.scoring import score_items
from compute.language_models.training import TrainedAdapter, train_stack

TOLERANCE = {"float32": 1e-3, "bfloat16": 0.1}
"""Of a step's loss and of an answer's log-probability, in nats."""


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
    targets, landing = bench.targets(), Landing(bench.folder / "landing")
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
    return {"logprobs": values}


# Measuring.


def measure(bench: Bench, way: str, sources: int) -> dict[str, Any]:
    """Runs one way in this process: its results, seconds, memory and the machine's rate at that time."""
    logging.set_verbosity_error()
    run = {
        "published": lambda: published_training(bench, sources, bench.padding),
        "unpadded": lambda: published_training(bench, sources, 0),
        "ours": lambda: _our_training(bench, sources),
        "published cells": lambda: published_cells(bench, sources),
        "our cells": lambda: _our_cells(bench, sources),
    }[way]
    if way == "published cells":
        import lm_eval  # noqa: F401  # like the other imports, before the clock starts
    bench.matmul_rate()  # the driver and its libraries start
    start, cpu_start = time.perf_counter(), time.process_time()
    found = run()
    bench.wait()
    found |= {"seconds": time.perf_counter() - start, "cpu": time.process_time() - cpu_start, "gib": bench.peak_gib()}
    return found | {"rate": bench.matmul_rate()}


def _in_its_own_process(bench: Bench, way: str, sources: int) -> dict[str, Any]:
    print(f"{way}, {sources} sources ...", file=sys.stderr, flush=True)
    result = bench.folder / "result.json"
    command = [sys.executable, "-m", "benchmarks.bench_training", *sys.argv[1:]]
    command += ["--way", way, "--sources", str(sources), "--folder", str(bench.folder)]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(bench.folder / "datasets")}
    process = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    if process.returncode:
        sys.exit(process.stderr)
    found: dict[str, Any] = json.loads(result.read_text())
    return found


def _work(bench: Bench, sources: int) -> tuple[int, float]:
    """Tokens trained on by all sources, and the FLOP that cannot be saved.

    The base's layers run once forward, and once backward to their inputs; the adapters' matrices twice backward; the
    output layer at the answers only.
    """
    model, tokenizer = load_model(bench.folder / "base")
    adapter = initial_adapter(model, bench.settings, 0)
    base = sum(b.shape[0] * a.shape[1] for a, b in adapter.matrices.values())
    lora = sum(a.numel() + b.numel() for a, b in adapter.matrices.values())
    output = model.get_output_embeddings().weight.numel()
    tokens = answers = 0
    for number in range(sources):
        for row in rows_of(model, tokenizer, bench.source(number).items):
            tokens += bench.epochs * len(row["input_ids"])
            answers += bench.epochs * (len(row["labels"]) - row["labels"].count(-100))
    return tokens, 4.0 * base * tokens + 6.0 * lora * tokens + 4.0 * output * answers


def _greatest_difference(one: Any, other: Any) -> float:
    if isinstance(one, list):
        return max((_greatest_difference(a, b) for a, b in zip(one, other, strict=True)), default=0.0)
    return abs(one - other)


def _compare_training(bench: Bench, most: int) -> float:
    """Prints the table of training; the greatest difference of two losses."""
    published = _in_its_own_process(bench, "published", most)
    ways = [(f"Trainer, padded to {bench.padding}", most, published)]
    ways.append(("Trainer, padded to the batch", most, _in_its_own_process(bench, "unpadded", most)))
    sizes = [size for size in (1, 2, 4, 8) if size <= most]
    ways += [(f"stack of {size}", size, _in_its_own_process(bench, "ours", size)) for size in sizes]
    print("| training | sources | s a source | CPU s a source | × published | tokens/s | peak GiB | of matmul rate |")
    print("|---|---|---|---|---|---|---|---|")
    difference = 0.0
    for name, sources, found in ways:
        tokens, flop = _work(bench, sources)
        times = published["seconds"] / most / (found["seconds"] / sources)
        share = flop / found["seconds"] / found["rate"]
        print(
            f"| {name} | {sources} | {found['seconds'] / sources:.2f} | {found['cpu'] / sources:.2f} | {times:.1f} "
            f"| {tokens / found['seconds']:,.0f} | {found['gib']:.2f} | {share:.0%} |"
        )
        for kind in ("losses", "evals"):
            difference = max(difference, _greatest_difference(found[kind], published[kind][:sources]))
    return difference


def _compare_cells(bench: Bench, most: int, published_sources: int) -> float:
    """Prints the table of grid cells; the greatest difference of two answers' log-probabilities."""
    published = _in_its_own_process(bench, "published cells", published_sources)
    ours = _in_its_own_process(bench, "our cells", most)
    print("\n| from training to scores | sources | s a source | CPU s a source | × published | peak GiB |")
    print("|---|---|---|---|---|---|")
    for name, sources, found in (
        ("Trainer, merge, lm-eval, delete", published_sources, published),
        ("stack, score, land", most, ours),
    ):
        times = published["seconds"] / published_sources / (found["seconds"] / sources)
        seconds, cpu = found["seconds"] / sources, found["cpu"] / sources
        print(f"| {name} | {sources} | {seconds:.2f} | {cpu:.2f} | {times:.1f} | {found['gib']:.2f} |")
    return _greatest_difference(ours["logprobs"][:published_sources], published["logprobs"])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--shape", choices=sorted(SHAPES), default="small")
    parser.add_argument("--dtype", choices=sorted(TOLERANCE), default="float32")
    parser.add_argument("--sources", type=int, default=8, help="trained at once, up to 8")
    parser.add_argument("--items", type=int, default=40, help="trained on, a source")
    parser.add_argument("--eval-items", type=int, default=8, help="held out, a source")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--target-items", type=int, default=25, help="of each of the eight targets")
    parser.add_argument("--published-sources", type=int, default=2, help="cells that are timed of the published way")
    parser.add_argument("--padding", type=int, default=256, help="the published fixed length")
    parser.add_argument("--harness-batch", default="16", help="lm-eval's batch size, or auto")
    parser.add_argument("--way", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-training-") as temporary:
        bench = Bench(
            given.folder or Path(temporary), given.device, given.shape, given.dtype, given.items, given.eval_items,
            given.epochs, given.target_items, given.padding, given.harness_batch,
        )  # fmt: skip
        if given.way:
            (bench.folder / "result.json").write_text(json.dumps(measure(bench, given.way, given.sources)))
            return
        bench.make_base()
        print(f"{given.shape}, {given.dtype}, {given.device}, {torch.get_num_threads()} threads\n")
        loss_difference = _compare_training(bench, given.sources)
        difference = _compare_cells(bench, given.sources, given.published_sources)
    print(f"\nGreatest difference: {loss_difference:.1e} of a loss, {difference:.1e} of an answer's log-probability.")
    if max(loss_difference, difference) > TOLERANCE[given.dtype]:
        sys.exit(f"that is more than {TOLERANCE[given.dtype]}")


if __name__ == "__main__":
    main()
