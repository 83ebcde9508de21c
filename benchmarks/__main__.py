"""`make bench`: every benchmark, one after the other; but `bench_pairs`, which without a GPU takes hours."""

from __future__ import annotations

import subprocess
import sys

BENCHMARKS = {
    "quickstart": "jobs per minute of the quickstart study, in a fresh directory",
    "landing": "rows landed and loaded at the size of the paper's grid, and the plan of a million jobs",
    "dbt": "dbt build, and the report, over a raw grid of the paper's size",
    "scoring": "log-likelihoods against lm-evaluation-harness",
    "training": "LoRA training and grid cells against Trainer, PEFT and lm-evaluation-harness",
    "vectors": "reading vectors against gensim and a line-by-line reader",
    "mapping": "Procrustes, exact CSLS ranks and PROC-B against the published ways",
    "vecmap": "VecMap without a dictionary (with --peer: against its authors' script)",
}


def main() -> int:
    """Run all; the exit code is the number of benchmarks that failed."""
    failed = 0
    for name, text in BENCHMARKS.items():
        print(f"## {name}: {text}\n", flush=True)
        failed += subprocess.run([sys.executable, "-m", f"benchmarks.bench_{name}"], check=False).returncode != 0
        print(flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
