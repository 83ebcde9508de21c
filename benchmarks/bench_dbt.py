"""Times `dbt build` on a generated raw grid, then its report: wall time, CPU time and peak resident memory.

    python benchmarks/bench_dbt.py                       # the paper's size; generates it first
    python benchmarks/bench_dbt.py --models 2 --items 50 # anything smaller
    python benchmarks/bench_dbt.py --models 1 --sources 2 --seeds 1 --tasks 200 --targets 20000 --items 4 # wide
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
SIZES = ("models", "sources", "seeds", "tasks", "targets", "items")
SLOWEST = 8


def build(folder: Path) -> list[str]:
    """The command that derives everything, all tests included."""
    dbt = str(Path(sys.executable).with_name("dbt"))
    return [dbt, "build", "--target-path", str(folder / "target"), "--log-path", str(folder / "logs")]


def report(page: Path) -> list[str]:
    """The command that writes the grid's page."""
    return [sys.executable, "-m", "compute.cli", "report", "--study", "grid", "--output", str(page)]


def timed(command: list[str], warehouse: Path, folder: Path) -> dict[str, float]:
    """Seconds of wall and CPU, peak GiB. A command that fails ends the benchmark with its output."""
    started = time.perf_counter()
    output = folder / "output.txt"
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
        page = folder / "report.html"
        print("| | wall s | CPU s | peak GiB | result MB | cores | load before |")
        print("|---|---|---|---|---|---|---|")
        for name, command, result in (
            ("dbt build", build(folder), warehouse),
            ("report", report(page), page),
        ):
            measured = timed(command, warehouse.resolve(), folder)
            print(
                f"| {name} | {measured['wall_s']:.1f} | {measured['cpu_s']:.1f} | {measured['peak_gib']:.2f} |"
                f" {result.stat().st_size / 1e6:.1f} | {os.cpu_count()} | {load:.1f} |"
            )
        print()
        print("| slowest nodes | s |\n|---|---|")
        for seconds, node in slowest(folder):
            print(f"| {node} | {seconds:.1f} |")


if __name__ == "__main__":
    main()
