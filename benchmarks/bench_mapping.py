"""Times mapping and retrieval against what a user would run instead: seconds, memory, and whether results agree.

    python -m benchmarks.bench_mapping                                  # 200,000 x 300: most of an hour on 2 cores
    python -m benchmarks.bench_mapping --words 20000 --only csls        # anything smaller, or one part
    python -m benchmarks.bench_mapping --faiss ../faiss/bin/python      # an interpreter that has faiss and NumPy

Parts: `cosine` (PROC and ranks by cosine, against the way of the scripts of Glavaš et al. 2019), `csls` (exact CSLS
ranks, against MUSE's way: by faiss, and by blocked product and top-k), `proc_b` (against the paper's algorithm in
blocks). Each contender is a process of its own that loads the same arrays; only what follows the loading is timed.

The vectors are made up: a power-law spectrum, topics of related words, and target words that are noisy copies of
source words. How long the tail of the ranks is, is the noise's doing, and decides how much of the whole product exact
CSLS ranks need: hence two worlds, `short` and `long`.

Prints Markdown tables, as in benchmarks/README.md, and ends with an error if results differ by more than rounding.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from compute.embeddings.mappings import load_method
from compute.embeddings.neighbours import NEIGHBOURS
from compute.embeddings.retrieval import Ranker
from compute.embeddings.vectors import Vectors
from compute.engine.devices import available_cores

PAPER_BLOCK = 2_000
"""Rows of a block of the paper's PROC-B; its code has 30,000, which at 200,000 words are 22 GiB."""

DICTIONARY_LIMIT = 10_000

ROUNDING_MAP = 0.02
"""By how much PROC-B maps may differ: some mutual pairs exist in one rounding and not in another."""

ROUNDING_RANKS = 2
"""By how much a float32 rank in the tens of thousands may be off, where scores all but tie."""


class World(NamedTuple):
    """How vectors are made up. A target word is `cosine` (normal, with `spread`) of a source word's vector and
    something else for the rest; `topic` is the share of a vector that it has in common with its topic's words."""

    topic: float
    cosine: float
    spread: float


WORLDS = {"short": World(0.6, 0.6, 0.05), "long": World(0.3, 0.5, 0.15)}
WORDS_A_TOPIC = 20
LONE_SHARE = 0.3
"""Target words that translate nothing."""
DECAY = 0.35
"""Standard deviation of the i-th principal component: i to the power of minus this."""


def make(world: World, words: int, dimension: int, train: int, test: int, folder: Path) -> None:
    """Writes `source.npy` and `target.npy` (unit rows of one space), `train.npy` and `pairs.npy`."""
    rng = np.random.default_rng(0)
    topics = drawn(rng, max(1, words // WORDS_A_TOPIC), dimension)

    def fresh() -> np.ndarray:
        own = drawn(rng, words, dimension)
        return blended(topics[rng.integers(0, len(topics), words)], np.float32(world.topic**0.5), own)

    source, other = fresh(), fresh()
    cosine = rng.normal(world.cosine, world.spread, size=(words, 1)).clip(0.05, 0.98).astype(np.float32)
    cosine[rng.random(words) < LONE_SHARE] = 0
    target = blended(source, cosine, other)
    translated = rng.permutation(np.flatnonzero(cosine[:, 0])[: 4 * (train + test)])[: train + test]
    pairs = np.stack([translated, translated], axis=1)
    np.save(folder / "train.npy", pairs[:train])
    np.save(folder / "pairs.npy", pairs[train:])
    np.save(folder / "source.npy", source)
    np.save(folder / "target.npy", target)


def unit(matrix: np.ndarray) -> np.ndarray:
    """Rows of Euclidean length 1."""
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


def drawn(rng: np.random.Generator, words: int, dimension: int) -> np.ndarray:
    """float32 [words, dimension]: unit rows of the power-law spectrum."""
    scale = (np.arange(1, dimension + 1) ** -DECAY).astype(np.float32)
    return unit(rng.standard_normal((words, dimension), dtype=np.float32) * scale)


def blended(of: np.ndarray, cosine: np.ndarray | np.float32, other: np.ndarray) -> np.ndarray:
    """Unit rows whose cosine with those of `of` is about `cosine` ([n, 1] or one for all); the rest is `other`."""
    return unit(cosine * of + np.sqrt(1 - cosine**2) * other)


class Loaded(NamedTuple):
    """What a contender starts from: unit vectors, and pairs of rows that translate each other."""

    source: np.ndarray
    target: np.ndarray
    train: np.ndarray
    pairs: np.ndarray

    def vectors(self) -> tuple[Vectors, Vectors]:
        """As the mapping methods take them."""
        source, target = (
            Vectors([str(row) for row in range(len(matrix))], matrix) for matrix in (self.source, self.target)
        )
        return source, target


Contender = Callable[[Loaded], Callable[[], np.ndarray]]
"""Prepares what shall not be timed; the function it returns is, and gives the result."""


def our_cosine(data: Loaded) -> Callable[[], np.ndarray]:
    """PROC, both sides mapped, ranks by cosine."""
    source, target = data.vectors()
    queries, gold = np.ascontiguousarray(data.pairs.T)

    def run() -> np.ndarray:
        mapped, same = load_method("proc")().fit(source, target, data.train).apply(source, target)
        return Ranker(mapped.matrix, same.matrix).ranks(queries, gold, "cosine")

    return run


def our_cosine_asked(data: Loaded) -> Callable[[], np.ndarray]:
    """The same, but of the source words only those asked for are mapped: a rank by cosine needs no others."""
    source, target = data.vectors()
    asked = Vectors([source.words[row] for row in data.pairs[:, 0]], source.matrix[data.pairs[:, 0]])
    gold = np.ascontiguousarray(data.pairs[:, 1])

    def run() -> np.ndarray:
        mapped, same = load_method("proc")().fit(source, target, data.train).apply(asked, target)
        return Ranker(mapped.matrix, same.matrix).ranks(np.arange(len(gold)), gold, "cosine")

    return run


def scripts_cosine(data: Loaded) -> Callable[[], np.ndarray]:
    """The way of map.py and eval.py: for every query a product with the target matrix, and all of it sorted."""

    def run() -> np.ndarray:
        u, _, vt = np.linalg.svd(data.source[data.train[:, 0]].T @ data.target[data.train[:, 1]])
        mapped, target = unit(data.source @ (u @ vt)), unit(data.target)
        ranks = np.empty(len(data.pairs))
        for i, (query, gold) in enumerate(data.pairs):
            order = np.argsort(np.dot(mapped[query], target.T))[::-1]
            ranks[i] = np.flatnonzero(order == gold)[0] + 1
        return ranks

    return run


def bare_product(data: Loaded) -> Callable[[], np.ndarray]:
    """Nothing but the product of the queries with the target matrix."""
    queries, target = torch.from_numpy(data.source[data.pairs[:, 0]]), torch.from_numpy(data.target)
    products = torch.zeros((len(queries), len(target)))

    def run() -> np.ndarray:
        torch.mm(queries, target.T, out=products)
        return np.empty(0)

    return run


def our_csls(data: Loaded) -> Callable[[], np.ndarray]:
    """`compute.embeddings.retrieval`."""
    queries, gold = np.ascontiguousarray(data.pairs.T)
    return lambda: Ranker(data.source, data.target).ranks(queries, gold, "csls")


def _mean_nearest(queries: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
    """MUSE's way without faiss: blocks of 1,024 queries, a product and a top-k each."""
    turned = keys.T.contiguous()
    return torch.cat([(block @ turned).topk(NEIGHBOURS, dim=1).values.mean(1) for block in queries.split(1_024)])


def _csls_ranks(data: Loaded, of_source: torch.Tensor, of_target: torch.Tensor) -> np.ndarray:
    ranks = np.empty(len(data.pairs))
    for i, (query, gold) in enumerate(data.pairs):
        products = torch.from_numpy(data.target) @ torch.from_numpy(data.source[query])
        scores = 2 * products - of_source[query] - of_target
        ranks[i] = 1 + int((scores > scores[gold]).sum())
    return ranks


def blocked_csls(data: Loaded) -> Callable[[], np.ndarray]:
    """Blocked product and top-k, both ways, as MUSE does."""
    source, target = torch.from_numpy(data.source), torch.from_numpy(data.target)
    return lambda: _csls_ranks(data, _mean_nearest(source, target), _mean_nearest(target, source))


def blocked_csls_one_way(data: Loaded) -> Callable[[], np.ndarray]:
    """The same without the source words' neighbourhoods, which change no rank."""
    source, target = torch.from_numpy(data.source), torch.from_numpy(data.target)
    return lambda: _csls_ranks(data, torch.zeros(len(source)), _mean_nearest(target, source))


def our_proc_b(data: Loaded) -> Callable[[], np.ndarray]:
    """`compute.embeddings.mappings.proc_b`."""
    source, target = data.vectors()

    def run() -> np.ndarray:
        learnt = load_method("proc_b")().fit(source, target, data.train).source_map
        return np.empty(0) if learnt is None else learnt

    return run


def paper_proc_b(data: Loaded) -> Callable[[], np.ndarray]:
    """The paper's algorithm: both directions solved, mapped and searched apart, in blocks that fit memory."""

    def solved(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        u, _, vt = np.linalg.svd(x.T @ y)
        return np.asarray(u @ vt)

    def nearest(queries: np.ndarray, keys: np.ndarray) -> np.ndarray:
        return np.concatenate(
            [(queries[i : i + PAPER_BLOCK] @ keys.T).argmax(axis=1) for i in range(0, len(queries), PAPER_BLOCK)]
        )

    def run() -> np.ndarray:
        x, y = data.source[data.train[:, 0]], data.target[data.train[:, 1]]
        source, target = unit(data.source), unit(data.target)
        to_target = nearest(unit(data.source @ solved(x, y)), target)
        to_source = nearest(unit(data.target @ solved(y, x)), source)
        mutual = [(i, int(j)) for i, j in enumerate(to_target) if to_source[j] == i]
        mutual.sort(key=sum)
        rows = np.array([*data.train.tolist(), *mutual[: DICTIONARY_LIMIT - len(data.train)]])
        return solved(data.source[rows[:, 0]], data.target[rows[:, 1]])

    return run


PARTS: dict[str, dict[str, Contender]] = {
    "cosine": {
        "ours": our_cosine,
        "ours, asked words mapped": our_cosine_asked,
        "the way of map.py and eval.py": scripts_cosine,
        "bare product": bare_product,
    },
    "csls": {
        "ours": our_csls,
        "blocked product and top-k, both ways": blocked_csls,
        "blocked product and top-k, one way": blocked_csls_one_way,
    },
    "proc_b": {"ours": our_proc_b, "the paper's, in blocks": paper_proc_b},
}


class Run(NamedTuple):
    """What a contender took, and its result."""

    wall: float
    cpu: float
    peak: float
    result: np.ndarray


def contend(part: str, name: str, folder: Path, threads: int) -> None:
    """In a process of its own: runs one contender and prints what it took."""
    torch.set_num_threads(threads)
    data = Loaded(*(np.load(folder / f"{array}.npy") for array in Loaded._fields))
    run = PARTS[part][name](data)
    wall, cpu = time.perf_counter(), time.process_time()
    result = run()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    np.save(folder / "result.npy", result)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({"wall": wall, "cpu": cpu, "peak": peak}))


def run_apart(command: list[str], folder: Path, threads: int) -> Run:
    """Runs `command` with so many threads; it prints its seconds and leaves `result.npy`."""
    limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    printed = subprocess.run(command, env=os.environ | limits, check=True, capture_output=True, text=True).stdout
    return Run(**json.loads(printed), result=np.load(folder / "result.npy"))


def agreement(part: str, ours: np.ndarray, theirs: np.ndarray) -> tuple[str, bool]:
    """How two results compare, in words, and whether they differ by no more than rounding."""
    if theirs.size == 0:
        return "", True
    apart = np.abs(ours - theirs)
    if part == "proc_b":
        return f"maps differ by {apart.max():.0e} at most", bool(apart.max() <= ROUNDING_MAP)
    some = f", the others by {apart.max():g} at most" if apart.any() else ""
    return f"{(apart == 0).sum()} of {len(apart)} ranks equal{some}", bool(apart.max() <= ROUNDING_RANKS)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--words", type=int, default=200_000)
    parser.add_argument("--dimension", type=int, default=300)
    parser.add_argument("--train", type=int, default=5_000, help="training pairs")
    parser.add_argument("--test", type=int, default=2_000, help="test pairs")
    parser.add_argument("--threads", type=int, default=available_cores())
    parser.add_argument("--only", choices=PARTS, help="one part (default: all)")
    parser.add_argument("--world", choices=WORLDS, help="how long the tail of ranks is (default: both)")
    parser.add_argument("--faiss", type=Path, help="a Python interpreter that has faiss and NumPy")
    parser.add_argument("--skip", metavar="NAME", help="leave out contenders whose names begin so")
    parser.add_argument("--contend", nargs=3, metavar=("PART", "NAME", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.contend:
        part, name, folder = arguments.contend
        contend(part, name, Path(folder), arguments.threads)
        return
    agreed = True
    with tempfile.TemporaryDirectory(prefix="bench-mapping-") as made:
        folder = Path(made)
        for world in [arguments.world] if arguments.world else WORLDS:
            make(WORLDS[world], arguments.words, arguments.dimension, arguments.train, arguments.test, folder)
            for part in [arguments.only] if arguments.only else PARTS:
                if world != (arguments.world or next(iter(WORLDS))) and part != "csls":
                    continue  # the ranks make no difference there
                commands = {
                    name: [
                        sys.executable, "-m", "benchmarks.bench_mapping", "--contend", part, name, str(folder),
                        "--threads", str(arguments.threads),
                    ]
                    for name in PARTS[part]
                    if not (arguments.skip and name.startswith(arguments.skip))
                }  # fmt: skip
                if part == "csls" and arguments.faiss:
                    script = str(Path(__file__).with_name("by_faiss.py"))
                    commands["faiss, both ways"] = [str(arguments.faiss), script, str(folder), str(arguments.threads)]
                agreed &= report(part, world, commands, folder, arguments.threads)
    sys.exit(0 if agreed else 1)


def report(part: str, world: str, commands: dict[str, list[str]], folder: Path, threads: int) -> bool:
    """Runs and prints a part; True if results agree."""
    agreed, ours = True, None
    for name, command in commands.items():
        load = os.getloadavg()[0]
        run = run_apart(command, folder, threads)
        if ours is None:
            ours = run
            note = ""
            if part != "proc_b":
                note = f" (MAP {(1 / run.result).mean():.3f}; ranks: median {np.median(run.result):.0f},"
                note += f" 99 % {np.quantile(run.result, 0.99):.0f}, largest {run.result.max():.0f})"
            print(f"**{part}**, world `{world}`{note}\n")
            print("| contender | wall s | CPU s | peak GiB | times ours | results | load before |")
            print("|---|---|---|---|---|---|---|")
        said, fine = agreement(part, ours.result, run.result) if run is not ours else ("", True)
        agreed &= fine
        times = run.wall / ours.wall
        print(
            f"| {name} | {run.wall:.1f} | {run.cpu:.1f} | {run.peak:.2f} | {times:.2f} | {said} | {load:.1f} |",
            flush=True,
        )
    print()
    return agreed


if __name__ == "__main__":
    main()
