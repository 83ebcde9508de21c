"""Real checkpoints: scoring against lm-evaluation-harness, LoRA training and grid cells against Trainer and PEFT.

    TRANSFER_MIRROR=... python -m benchmarks.bench_checkpoints models/smollm2-135m models/gemma3-270m

German items of the topic and sentiment tasks are scored; sources are the topic task in several languages. Every way is
a process of its own in one run, with the same items and, for training, the same matrices and order. Prints the tables
of `bench_scoring` and `bench_training` for each model; `--profile` prints the ten kernels that scoring and training
spend most in, and nothing else.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any


def main() -> int:
    """Command line; the exit code is the number of benchmarks that failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoints", nargs="+", type=Path, help="folders of models")
    parser.add_argument("--items", type=int, default=96, help="scored, of each task")
    parser.add_argument("--batch-sizes", nargs="+", default=["4", "8", "16"], help="the harness's")
    parser.add_argument("--repeats", type=int, default=3, help="of scoring")
    parser.add_argument("--rounds", type=int, default=1, help="of scoring, in which contenders take turns")
    parser.add_argument("--training-items", type=int, default=32, help="a source")
    parser.add_argument("--target-items", type=int, default=12, help="of each of a cell's eight targets")
    parser.add_argument("--only", choices=("scoring", "training"), help="one half")
    parser.add_argument("--profile", action="store_true", help="kernels by time, one thread")
    given = parser.parse_args()
    failed = 0
    for checkpoint in given.checkpoints:
        if given.profile:
            profile(checkpoint, given.items, given.training_items)
            continue
        runs = {
            "scoring": ["--items", str(given.items), "--repeats", str(given.repeats), "--rounds",
                        str(given.rounds), "--batch-sizes", *given.batch_sizes],
            "training": ["--sources", "4", "--stacks", "1", "4", "--published-sources", "1", "--epochs", "1",
                         "--items", str(given.training_items), "--target-items", str(given.target_items)],
        }  # fmt: skip
        for name, arguments in runs.items():
            if given.only in (None, name):
                command = [sys.executable, "-m", f"benchmarks.bench_{name}", "--checkpoint", str(checkpoint)]
                failed += subprocess.run([*command, *arguments], check=False).returncode != 0
    return failed


def profile(checkpoint: Path, items: int, training_items: int) -> None:
    """Print by kernel where the time goes, in one thread."""
    import torch

    from benchmarks.training_setup import Bench
    from compute.language_models.scoring import score_items
    from compute.language_models.training import train_stack
    from compute.tasks import load_task

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), "cpu", "", "float32", training_items, 8, 1, 2, 0, 8, str(checkpoint.resolve()))
        bench.take_checkpoint()
        model, tokenizer = bench.load()
        for task in ("topic", "sentiment"):
            asked = load_task(task).items("de", "test")[:items]
            _print_kernels(f"{checkpoint.name}, scoring {task}", lambda: score_items(model, tokenizer, asked))  # noqa: B023
        for size in (1, 4):
            given = [bench.source(number) for number in range(size)]
            train: Callable[[], Any] = lambda: list(train_stack(model, tokenizer, given, bench.settings, "cpu"))  # noqa: B023, E731
            _print_kernels(f"{checkpoint.name}, training a stack of {size}", train)


def _print_kernels(title: str, run: Callable[[], Any]) -> None:
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiled

    with profiled(activities=[ProfilerActivity.CPU]) as found:
        run()
    kernels = sorted(found.key_averages(), key=lambda kernel: -kernel.self_cpu_time_total)
    total = sum(kernel.self_cpu_time_total for kernel in kernels)
    print(f"\n{title}\n\n| kernel | share | calls |\n|---|---|---|")
    for kernel in kernels[:10]:
        print(f"| `{kernel.key}` | {kernel.self_cpu_time_total / total:.1%} | {kernel.count:,} |")


if __name__ == "__main__":
    sys.exit(main())
