"""Times reading word vectors in word2vec text, against gensim and a line-by-line reader in Python.

    python -m benchmarks.bench_vectors                     # two files of 200,000 x 300, made first
    python -m benchmarks.bench_vectors --words 20000       # anything smaller
    python -m benchmarks.bench_vectors --files wiki.en.vec wiki.de.vec --words 200000

Prints a Markdown table, as in benchmarks/README.md, and ends with an error if the vectors read are not the same.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from gensim.models import KeyedVectors

from compute.embeddings.reading import read_vectors
from compute.embeddings.vectors import Vectors, load_vectors, save_vectors
from compute.embeddings.writing import write_word2vec_text

DECIMALS = 5
Reader = Callable[[Path, int], tuple[list[str], np.ndarray]]


def make_file(path: Path, words: int, dimension: int, seed: int) -> None:
    """Random vectors of the spread that published ones have."""
    matrix = np.random.default_rng(seed).normal(scale=0.3, size=(words, dimension)).astype(np.float32)
    write_word2vec_text(Vectors([f"word{seed}-{i}" for i in range(words)], matrix), path, DECIMALS)


def by_gensim(path: Path, limit: int) -> tuple[list[str], np.ndarray]:
    """What most scripts call."""
    keyed = KeyedVectors.load_word2vec_format(str(path), limit=limit)
    return keyed.index_to_key, keyed.vectors


def by_floats(path: Path, limit: int) -> tuple[list[str], np.ndarray]:
    """A plain reader: every line split, `float` called on every field, into rows made beforehand."""
    words = []
    with path.open(encoding="utf-8", newline="\n") as file:
        count, dimension = (int(field) for field in file.readline().split())
        matrix = np.empty((min(count, limit), dimension), dtype=np.float32)
        for row, line in zip(range(len(matrix)), file, strict=False):
            word, *fields = line.rstrip().split(" ")
            words.append(word)
            matrix[row] = [float(field) for field in fields]
    return words, matrix


def by_arrays(path: Path, limit: int) -> tuple[list[str], np.ndarray]:
    """The way of the scripts of Glavas et al. (2019): an array made of the strings of each line."""
    words: list[str] = []
    rows: list[np.ndarray] = []
    with path.open(encoding="utf-8", newline="\n") as file:
        next(file)
        for line in file:
            if len(words) == limit:
                break
            word, *fields = line.strip().split()
            words.append(word)
            rows.append(np.array(fields, dtype=np.float32))
    return words, np.array(rows)


def by_us(path: Path, limit: int) -> tuple[list[str], np.ndarray]:
    """`compute.embeddings.reading`."""
    vectors, _ = read_vectors(path, vocabulary=limit)
    return vectors.words, vectors.matrix


def timed(reader: Reader, paths: Sequence[Path], limit: int) -> tuple[float, float, list[tuple[list[str], np.ndarray]]]:
    """Wall and CPU seconds of reading all `paths`, and what was read."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = [reader(path, limit) for path in paths]
    return time.perf_counter() - wall, time.process_time() - cpu, found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--words", type=int, default=200_000)
    parser.add_argument("--dimension", type=int, default=300)
    parser.add_argument("--files", type=Path, nargs="+", help="word2vec text that exists (default: made, thrown away)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-vectors-") as folder:
        paths = arguments.files
        if paths is None:
            paths = [Path(folder, f"{seed}.vec") for seed in (0, 1)]
            for seed, path in enumerate(paths):
                make_file(path, arguments.words, arguments.dimension, seed)
        for path in paths:
            path.read_bytes()  # into the page cache, for all alike
        load = os.getloadavg()[0]
        wall, cpu, ours = timed(by_us, paths, arguments.words)
        rows = [("ours: compiled, in blocks", wall, cpu)]
        for number, (words, matrix) in enumerate(ours):
            save_vectors(Vectors(words, matrix), Path(folder, f"kept-{number}"))
        again, again_cpu, _ = timed(
            lambda path, _: (vectors := load_vectors(path)).words and (vectors.words, vectors.matrix),
            [Path(folder, f"kept-{number}") for number in range(len(paths))],
            arguments.words,
        )
        rows.append(("ours, read before: memory-mapped", again, again_cpu))
        for name, reader in (
            ("line by line, `float` of each field", by_floats),
            ("line by line, `np.array` of each line", by_arrays),
            ("gensim `load_word2vec_format`", by_gensim),
        ):
            seconds, cpu, theirs = timed(reader, paths, arguments.words)
            rows.append((name, seconds, cpu))
            for (words, matrix), (their_words, their_matrix) in zip(ours, theirs, strict=True):
                if words != their_words:
                    sys.exit(f"{name}: other words were read")
                np.testing.assert_array_equal(matrix, their_matrix)
    print("| reader | wall s | CPU s | times ours |\n|---|---|---|---|")
    for name, seconds, cpu in rows:
        print(f"| {name} | {seconds:.2f} | {cpu:.2f} | {seconds / wall:.2f} |")
    print(f"\n{len(paths)} files, {arguments.words} words, {os.cpu_count()} cores, load before {load:.1f}")


if __name__ == "__main__":
    main()
