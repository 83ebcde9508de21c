"""Times `dbt build` on a generated raw grid: wall time, CPU time and peak resident memory.

    python benchmarks/bench_dbt.py                       # the paper's size; generates it first
    python benchmarks/bench_dbt.py --models 2 --items 50 # anything smaller
    python benchmarks/bench_dbt.py --warehouse big.duckdb

Prints Markdown tables, as in benchmarks/README.md.
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

ROOT = Path(__file__).resolve().parent.parent
SIZES = ("models", "sources", "seeds", "targets", "items")
SLOWEST = 8


def build(warehouse: Path, folder: Path) -> dict[str, float]:
    """Runs `dbt build`; seconds of wall and CPU, peak GiB. A build that fails ends the benchmark with its output."""
    command = [
        str(Path(sys.executable).with_name("dbt")), "build",
        "--target-path", str(folder / "target"), "--log-path", str(folder / "logs"),
    ]  # fmt: skip
    started = time.perf_counter()
    output = folder / "dbt.txt"
    with output.open("wb") as stream:
        process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | {"WAREHOUSE": str(warehouse)}, stdout=stream, stderr=stream
        )
        _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    if status:
        sys.exit(output.read_text()[-5_000:])
    return {"wall_s": wall, "cpu_s": usage.ru_utime + usage.ru_stime, "peak_gib": usage.ru_maxrss / 2**20}


def slowest(folder: Path) -> list[tuple[float, str]]:
    """(seconds, node) of the nodes that took longest."""
    results = json.loads((folder / "target" / "run_results.json").read_text())["results"]
    times = [(result["execution_time"], result["unique_id"].split(".", 2)[2]) for result in results]
    return sorted(times, reverse=True)[:SLOWEST]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--warehouse", type=Path, help="an existing grid (default: a new one, thrown away)")
    for name in SIZES:
        parser.add_argument(f"--{name}", type=int, help=f"number of {name} of a new grid")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-dbt-") as name:
        folder = Path(name)
        warehouse = arguments.warehouse
        if warehouse is None:
            warehouse = folder / "grid.duckdb"
            sizes = [f"--{size}={getattr(arguments, size)}" for size in SIZES if getattr(arguments, size)]
            script = Path(__file__).with_name("generate_grid.py")
            generated = subprocess.run(
                [sys.executable, str(script), str(warehouse), *sizes],
                env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False,
            )  # fmt: skip
            if generated.returncode:
                sys.exit(generated.returncode)
        load = os.getloadavg()[0]
        measured = build(warehouse.resolve(), folder)
        print("| wall s | CPU s | peak GiB | warehouse GB | cores | load before |")
        print("|---|---|---|---|---|---|")
        size = warehouse.stat().st_size / 1e9
        print(
            f"| {measured['wall_s']:.1f} | {measured['cpu_s']:.1f} | {measured['peak_gib']:.2f} | {size:.2f} |"
            f" {os.cpu_count()} | {load:.1f} |\n"
        )
        print("| slowest nodes | s |\n|---|---|")
        for seconds, node in slowest(folder):
            print(f"| {node} | {seconds:.1f} |")


if __name__ == "__main__":
    main()
