"""CSLS ranks the way MUSE finds them with faiss: exact inner-product search over both vocabularies, both ways.

    <a Python with faiss and NumPy> benchmarks/by_faiss.py FOLDER THREADS

Reads unit vectors `source.npy`, `target.npy` and `pairs.npy` of FOLDER, writes `result.npy` there, and prints
seconds, CPU seconds and peak GiB as JSON. A program of its own, since the project does not depend on faiss.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

import faiss
import numpy as np

NEIGHBOURS = 10


def mean_nearest(queries: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Mean inner product of each row of `queries` with its nearest rows of `keys`."""
    index = faiss.IndexFlatIP(keys.shape[1])
    index.add(keys)
    return index.search(queries, NEIGHBOURS)[0].mean(axis=1)


def main() -> None:
    """Command line."""
    folder = Path(sys.argv[1])
    faiss.omp_set_num_threads(int(sys.argv[2]))
    source, target, pairs = (np.load(folder / f"{name}.npy") for name in ("source", "target", "pairs"))
    wall, cpu = time.perf_counter(), time.process_time()
    of_source, of_target = mean_nearest(source, target), mean_nearest(target, source)
    ranks = np.empty(len(pairs))
    for i, (query, gold) in enumerate(pairs):
        scores = 2 * (target @ source[query]) - of_source[query] - of_target
        ranks[i] = 1 + (scores > scores[gold]).sum()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    np.save(folder / "result.npy", ranks)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({"wall": wall, "cpu": cpu, "peak": peak}))


if __name__ == "__main__":
    main()
