"""`make bench`: every benchmark, one after the other."""

from __future__ import annotations

import subprocess
import sys

BENCHMARKS = {
    "quickstart": "jobs per minute of the quickstart study, in a fresh directory",
    "dbt": "dbt build over a raw grid of the paper's size",
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
