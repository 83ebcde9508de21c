"""All 28 pairs of eight languages, mapped by PROC, RCSLS and VecMap and ranked: the paper's grid on one GPU.

    python -m benchmarks.bench_pairs --device cuda                                        # 200,000 x 300
    python -m benchmarks.bench_pairs --device cuda --budget-seconds 480 --result r.json   # again, to go on
    python -m benchmarks.bench_pairs --words 3000 --dimension 50 --training-pairs 1000 --test-pairs 500 --pairs 2

Each pair is fitted by the classes that the plugin `mapping` calls, at their defaults, mapped, and ranked by cosine and
by CSLS as the plugin `bli` does. Reading, preprocessing (unit-centre-unit, as in studies/xling_eval.yml) and writing
are not timed. Needs torch, NumPy and pydantic, and none of the warehouse's packages.

The vectors are made up: words of a common language, whose topics are of unequal sizes so that VecMap can see which
word is which, and eight languages that are noisy copies of it, each turned its own way. The more frequent a word, the
nearer are its translations; some words of each language translate nothing.

FLOP are those of the matrix products of torch, counted on the first pair by `FlopCounterMode` in a run of its own,
which is not timed. Decompositions are not among them, nor is the mapping of the vectors, which NumPy does on the host.
Their share of the matmul rate is what the first pair makes of it, timed: of large square float32 products, which are
measured here too. `--result` keeps every pair that is done, and a later call with the same settings goes on from there.

Prints Markdown tables, as in benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.bench_mapping import blended, drawn
from benchmarks.machine import matmul_rate
from compute.embeddings.bli import RankRow, bli_rows
from compute.embeddings.dictionary import GoldPair, seed_rows
from compute.embeddings.mappings import METHODS, Mapping, load_method
from compute.embeddings.vectors import Vectors, preprocess
from compute.engine.devices import available_cores

LANGUAGES = ("en", "de", "tr", "fi", "hr", "ru", "it", "fr")
PAIRS = tuple(combinations(LANGUAGES, 2))
SETTINGS = ("words", "dimension", "training_pairs", "test_pairs", "device", "threads")

TOPICS = 500
TOPIC_SKEW = 3.0
"""A topic's number is a uniform number to this power: the first topics have many words, the last few."""
TOPIC_SHARE = 0.6
"""Of a vector, what it has in common with its topic's words."""
COSINES = (0.985, 0.7)
"""Of a word with the common language's, for the most and the least frequent; of two languages' it is the square."""
SPREAD = 0.02
LONE_SHARE = 0.05
"""Words of a language that translate nothing."""


class Language(NamedTuple):
    """Preprocessed vectors, and which rows of them have translations, in the rows of the same numbers."""

    vectors: Vectors
    linked: np.ndarray


def make_languages(words: int, dimension: int) -> dict[str, Language]:
    """The eight languages."""
    rng = np.random.default_rng(0)
    topics = drawn(rng, min(TOPICS, max(1, words // 30)), dimension)

    def fresh() -> np.ndarray:
        topic = (len(topics) * rng.random(words) ** TOPIC_SKEW).astype(np.int64)
        return blended(topics[topic], np.float32(TOPIC_SHARE**0.5), drawn(rng, words, dimension))

    common = fresh()
    made = {}
    for name in LANGUAGES:
        cosine = np.linspace(*COSINES, words) + rng.normal(0, SPREAD, words)
        cosine = cosine.clip(0.05, 0.995).astype(np.float32)[:, None]
        cosine[rng.random(words) < LONE_SHARE] = 0
        turn = np.linalg.qr(rng.normal(size=(dimension, dimension)))[0].astype(np.float32)
        vectors = Vectors([f"{name}{row}" for row in range(words)], blended(common, cosine, fresh()) @ turn)
        made[name] = Language(preprocess(vectors, "unit-centre-unit"), cosine[:, 0] > 0)
    return made


class Task(NamedTuple):
    """One pair of languages."""

    source: Vectors
    target: Vectors
    train: list[GoldPair]
    test: list[GoldPair]


def make_task(one: Language, other: Language, training: int, test: int) -> Task:
    """Training and test pairs among the more frequent words that translate each other."""
    rows = np.flatnonzero(one.linked & other.linked)[: 4 * (training + test)]
    if len(rows) < training + test:
        sys.exit(f"{len(rows)} words translate each other, {training + test} pairs are asked for; try more --words")
    rows = np.random.default_rng(0).permutation(rows)
    pairs = [GoldPair(str(row), one.vectors.words[row], other.vectors.words[row]) for row in rows[: training + test]]
    return Task(one.vectors, other.vectors, pairs[:training], pairs[training:])


def fit(method: str, task: Task, device: str) -> Mapping:
    """As the plugin `mapping`."""
    chosen = load_method(method)
    unsupervised = chosen.supervision == "unsupervised"
    seeds = np.empty((0, 2), np.int64) if unsupervised else seed_rows(task.source, task.target, task.train)
    return chosen().fit(task.source, task.target, seeds, device)


def rank(mapped: tuple[Vectors, Vectors], task: Task, device: str) -> list[RankRow]:
    """As the plugin `bli`."""
    return bli_rows(*mapped, task.train, task.test, device=device)


def count(method: str, task: Task, device: str) -> dict[str, int]:
    """FLOP of the matrix products of fitting and of ranking."""
    with FlopCounterMode(display=False) as fitting:
        mapping = fit(method, task, device)
    with FlopCounterMode(display=False) as ranking:
        rank(mapping.apply(task.source, task.target), task, device)
    return {"fit": fitting.get_total_flops(), "rank": ranking.get_total_flops()}


def measure(method: str, task: Task, device: str) -> dict[str, float]:
    """Seconds, peak memory and MAP. Maps and ranks come back to the host, which thereby has waited for the device."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    times = [time.perf_counter()]
    mapping = fit(method, task, device)
    times.append(time.perf_counter())
    mapped = mapping.apply(task.source, task.target)
    times.append(time.perf_counter())
    rows = rank(mapped, task, device)
    times.append(time.perf_counter())
    taken = dict(zip(("fit", "map", "rank"), np.diff(times).tolist(), strict=True))
    for retrieval in ("cosine", "csls"):
        ranks = [row["rank"] for row in rows if row["retrieval"] == retrieval]
        taken[f"MAP {retrieval}"] = float(np.mean([1 / found for found in ranks if found is not None]))
    taken["peak"] = (
        torch.cuda.max_memory_allocated() / 2**30
        if device == "cuda"
        else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    )
    return taken


def kept(arguments: argparse.Namespace) -> dict[str, Any]:
    """What an earlier call left in `--result`, or nothing yet."""
    settings = {name: getattr(arguments, name) for name in SETTINGS}
    if arguments.result and arguments.result.exists():
        results: dict[str, Any] = json.loads(arguments.result.read_text())
        if results["settings"] != settings:
            sys.exit(f"{arguments.result} is of other settings, {results['settings']}")
        return results
    return {
        "settings": settings,
        "machine": torch.cuda.get_device_name() if arguments.device == "cuda" else "CPU",
        "torch": torch.__version__,
        "matmul_rate": matmul_rate(arguments.device, "float32"),
        "flops": {},
        "runs": {},
    }


def missing(arguments: argparse.Namespace, results: dict[str, Any]) -> Iterator[tuple[tuple[str, str], list[str]]]:
    """Pairs of languages, and the methods that have not run on them."""
    for pair in PAIRS[: arguments.pairs]:
        methods = [method for method in arguments.methods if "-".join(pair) not in results["runs"].get(method, {})]
        if methods:
            yield pair, methods


def print_tables(results: dict[str, Any]) -> None:
    """Medians over pairs; memory is the most of any; shares are the first pair's."""
    rate = results["matmul_rate"]
    print(f"\n{results['machine']}, torch {results['torch']}, {rate / 1e12:.3g} TFLOP/s in large float32 products\n")
    print(
        "| method | pairs | fit s | map s | rank s | seconds in all | TFLOP fit | rank | of matmul rate: fit | rank"
        " | all | peak GiB | MAP cosine | CSLS |\n|" + "---|" * 14
    )
    for method, runs in results["runs"].items():
        first, flops = next(iter(runs.values())), results["flops"][method]
        total = sum(run[part] for run in runs.values() for part in ("fit", "map", "rank"))
        middle = {key: np.median([run[key] for run in runs.values()]) for key in first}
        shares = [flops[part] / first[part] / rate for part in ("fit", "rank")]
        shares.append(sum(flops.values()) / sum(first[part] for part in ("fit", "map", "rank")) / rate)
        cells = [method, f"{len(runs)}", *(f"{middle[part]:.2f}" for part in ("fit", "map", "rank")), f"{total:.1f}"]
        cells += [*(f"{flops[part] / 1e12:.3g}" for part in ("fit", "rank")), *(f"{share:.1%}" for share in shares)]
        cells += [f"{max(run['peak'] for run in runs.values()):.2f}"]
        cells += [f"{middle[key]:.3f}" for key in ("MAP cosine", "MAP csls")]
        print(f"| {' | '.join(cells)} |")
    print(flush=True)


def main() -> None:
    """Command line."""
    started = time.perf_counter()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--words", type=int, default=200_000)
    parser.add_argument("--dimension", type=int, default=300)
    parser.add_argument("--training-pairs", type=int, default=5_000)
    parser.add_argument("--test-pairs", type=int, default=2_000)
    parser.add_argument("--pairs", type=int, default=len(PAIRS), help="the first so many pairs of languages")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=["proc", "rcsls", "vecmap"], metavar="METHOD")
    parser.add_argument("--threads", type=int, default=available_cores())
    parser.add_argument("--budget-seconds", type=float, default=float("inf"), help="start no pair after so many")
    parser.add_argument("--result", type=Path, help="a JSON file, written after each pair, and gone on from")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.set_float32_matmul_precision("highest")  # as workers have it
    results = kept(arguments)
    languages = make_languages(arguments.words, arguments.dimension)
    print(f"{len(languages)} languages made after {time.perf_counter() - started:.0f} s", flush=True)
    for pair, methods in missing(arguments, results):
        if time.perf_counter() - started > arguments.budget_seconds:
            print(f"{arguments.budget_seconds:.0f} s are over: nothing of {'-'.join(pair)} or later is started")
            break
        one, other = (languages[name] for name in pair)
        task = make_task(one, other, arguments.training_pairs, arguments.test_pairs)
        for method in methods:
            if method not in results["flops"]:
                results["flops"][method] = count(method, task, arguments.device)
            taken = measure(method, task, arguments.device)
            results["runs"].setdefault(method, {})["-".join(pair)] = taken
            print(f"{'-'.join(pair)} {method}: {', '.join(f'{k} {v:.3g}' for k, v in taken.items())}", flush=True)
            if arguments.result:
                arguments.result.write_text(json.dumps(results, indent=1) + "\n")
    print_tables(results)


if __name__ == "__main__":
    main()
