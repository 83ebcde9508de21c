"""VecMap without pairs against its authors' script: seconds, memory, and MAP on the it-fr golden vectors.

    python -m benchmarks.bench_vecmap --peer ../vecmap            # the golden vectors, both to convergence
    python -m benchmarks.bench_vecmap --peer ../vecmap --large    # 200,000 x 300 made up: seconds an iteration
    python -m benchmarks.bench_vecmap                             # ours alone

`--peer` is a checkout of https://github.com/artetxem/vecmap (GPL-3), run as it is in a process of its own. Both
are commands that read the same two text files and write two, with the same number of threads, one after the other.

Prints Markdown tables, as in benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from compute.embeddings.bli import bli_rows
from compute.embeddings.dictionary import GoldPair
from compute.embeddings.mappings.vecmap import VecMap
from compute.embeddings.mappings.vecmap_induction import Induced
from compute.embeddings.reading import read_vectors
from compute.embeddings.vectors import Vectors, preprocess
from compute.embeddings.writing import write_word2vec_text

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT.parent / "shared/golden/vectors"
DICTIONARY = (
    ROOT.parent / "shared/data/codogogo/xling-eval/008a643439707ff64a95e282cc10613124dffce1/bli_datasets"
    "/it-fr/yacle.test.freq.2k.it-fr.tsv"
)
RETRIEVALS = ("cosine", "csls")


class Run(NamedTuple):
    """What a command took, and its own seconds of every iteration."""

    wall: float
    cpu: float
    peak_gib: float
    iterations: list[float]


class LoggedVecMap(VecMap):
    """VecMap that notes the seconds of each iteration, and may stop early."""

    seconds: ClassVar[list[float]] = []
    most: ClassVar[int] = 0

    def iterations(self, *arguments: Any) -> Iterator[Induced]:
        """As `VecMap.iterations`, at most `most` of them if it is not 0."""
        started = time.perf_counter()
        for induced in super().iterations(*arguments):
            self.seconds.append(time.perf_counter() - started)
            yield induced
            if len(self.seconds) == self.most:
                return
            started = time.perf_counter()


def map_files(files: list[Path], cutoff: int, most: int, log: Path) -> None:
    """Our counterpart of the peer's command: reads source and target, and writes them mapped."""
    LoggedVecMap.most = most
    source, target = (preprocess(read_vectors(path)[0], "unit-centre-unit") for path in files[:2])
    mapping = LoggedVecMap(vocabulary_cutoff=cutoff).fit(source, target, np.empty((0, 2), dtype=np.int64))
    log.write_text("".join(f"{seconds}\n" for seconds in LoggedVecMap.seconds))
    if not most:
        for path, vectors in zip(files[2:], mapping.apply(source, target), strict=True):
            write_word2vec_text(vectors, path)


def run(command: list[str], log: Path, most: int, threads: int) -> Run:
    """Runs a command that logs a line an iteration, the seconds last; ends it after `most` if that is not 0."""
    environment = os.environ | {f"{name}_NUM_THREADS": str(threads) for name in ("OMP", "MKL", "OPENBLAS", "NUMEXPR")}
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        if most and log.exists() and len(log.read_text().splitlines()) >= most:
            process.kill()
        time.sleep(0.05)
    wall = time.perf_counter() - started
    seconds = [float(line.split("\t")[-1]) for line in log.read_text().splitlines()] if log.exists() else []
    if status and len(seconds) < max(1, most):
        sys.exit(f"{' '.join(command)} failed")
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 2**20, seconds)


def contenders(arguments: argparse.Namespace, folder: Path, most: int) -> Iterator[tuple[str, list[str], Path]]:
    """(name, command, its log): ours, and the peer's if there is one."""
    inputs = [str(folder / "source.vec"), str(folder / "target.vec")]
    for name in ("ours", "VecMap") if arguments.peer else ("ours",):
        outputs = [str(folder / f"{name}.{side}.vec") for side in ("source", "target")]
        log = folder / f"{name}.log"
        options = ["--cutoff", str(arguments.cutoff), "--iterations", str(most), "--log", str(log)]
        command = ["-m", "benchmarks.bench_vecmap", "--map", *inputs, *outputs, *options]
        if name == "VecMap":
            options = ["--unsupervised", "--vocabulary_cutoff", str(arguments.cutoff), "--log", str(log)]
            script = str(arguments.peer.resolve() / "map_embeddings.py")
            command = ["-W", "ignore", script, *options, *inputs, *outputs]
        yield name, [sys.executable, *command], log


def mean_average_precision(folder: Path, name: str, dictionary: Path) -> list[float]:
    """MAP of what a contender wrote, by cosine and by CSLS, over covered test rows."""
    source, target = (read_vectors(folder / f"{name}.{side}.vec")[0] for side in ("source", "target"))
    with dictionary.open(encoding="utf-8", newline="") as file:
        lines = [line.rstrip("\r\n").lower().split("\t") for line in file]
    test = [GoldPair(str(number), left.strip(), right.strip()) for number, (left, right) in enumerate(lines)]
    rows = bli_rows(source, target, [], test)
    return [
        float(np.mean([1 / row["rank"] for row in rows if row["retrieval"] == retrieval and row["rank"] is not None]))
        for retrieval in RETRIEVALS
    ]


def made_up(words: int, dimension: int) -> tuple[Vectors, Vectors]:
    """Two vocabularies whose words fall into clusters, the second the first turned round, with noise."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(500, dimension)) * np.linspace(2, 0.5, dimension)
    source = centres[rng.integers(len(centres), size=words)] + rng.normal(size=(words, dimension))
    rotation = np.linalg.qr(rng.normal(size=(dimension, dimension)))[0]
    target = source @ rotation + 0.3 * rng.normal(size=(words, dimension))
    return tuple(  # type: ignore[return-value]
        Vectors([f"{side}{row}" for row in range(words)], matrix.astype(np.float32))
        for side, matrix in (("s", source), ("t", target))
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", type=Path, help="a checkout of artetxem/vecmap")
    parser.add_argument("--large", action="store_true", help="200,000 x 300 vectors, cut-off 20,000, a few iterations")
    parser.add_argument("--words", type=int, default=200_000, help="with --large: words of each side")
    parser.add_argument("--dimension", type=int, default=300, help="with --large: length of a vector")
    parser.add_argument("--cutoff", type=int, help="vocabulary cut-off (default: 4,000, or 20,000 with --large)")
    parser.add_argument("--iterations", type=int, help="with --large: iterations timed (default: 5)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="threads of either")
    parser.add_argument("--map", type=Path, nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--log", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.map:
        map_files(arguments.map, arguments.cutoff, arguments.iterations, arguments.log)
        return
    arguments.cutoff = arguments.cutoff or (20_000 if arguments.large else 4_000)
    most = (arguments.iterations or 5) if arguments.large else 0
    if not arguments.large and not (GOLDEN.is_dir() and DICTIONARY.is_file()):
        sys.exit(f"the golden vectors or the it-fr dictionary are not at {GOLDEN.parent.parent}; try --large")
    with tempfile.TemporaryDirectory(prefix="bench-vecmap-") as name:
        folder = Path(name)
        if arguments.large:
            sides = made_up(arguments.words, arguments.dimension)
        else:
            sides = tuple(read_vectors(GOLDEN / f"bible.{language}.100d.vec.gz")[0] for language in ("it", "fr"))
        for side, vectors in zip(("source", "target"), sides, strict=True):
            write_word2vec_text(vectors, folder / f"{side}.vec", decimals=5)
        load = os.getloadavg()[0]
        print(f"{arguments.threads} threads, load before {load:.1f}, cut-off {arguments.cutoff}\n")
        print(
            "| | wall s | CPU s | peak GiB | iterations | s an iteration (median) |"
            + ("" if most else " MAP cosine | CSLS |")
        )
        print("|---|---|---|---|---|---|" + ("" if most else "---|---|"))
        for contender, command, log in contenders(arguments, folder, most):
            taken = run(command, log, most, arguments.threads)
            cells = [f"{taken.wall:.1f}", f"{taken.cpu:.1f}", f"{taken.peak_gib:.2f}", str(len(taken.iterations))]
            cells.append(f"{np.median(taken.iterations):.3f}")
            if not most:
                cells += [f"{value:.4f}" for value in mean_average_precision(folder, contender, DICTIONARY)]
            print(f"| {contender} | {' | '.join(cells)} |", flush=True)
        print()


if __name__ == "__main__":
    main()
