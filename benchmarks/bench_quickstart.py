"""Times `transfer compute` of a study in a fresh directory: jobs per minute, and where the time went.

    python -m benchmarks.bench_quickstart                          # studies/quickstart.yml
    python -m benchmarks.bench_quickstart --study studies/numerals.yml --workers 1

Prints Markdown tables, as in benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

from compute.engine.devices import available_cores

ROOT = Path(__file__).resolve().parent.parent
BY_PLUGIN = """
    select plugin, count(*) as jobs, sum(seconds) as seconds, max(peak_memory_bytes) / 2**30 as peak_gib
    from raw.jobs group by plugin order by seconds desc
"""


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", type=Path, default=ROOT / "studies" / "quickstart.yml")
    parser.add_argument("--workers", type=int, default=available_cores())
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-quickstart-") as folder:
        load = os.getloadavg()[0]
        command = [
            sys.executable, "-m", "compute.cli", "compute", "--study", str(arguments.study.resolve()),
            "--warehouse", "warehouse.duckdb", "--device", "cpu", "--workers", str(arguments.workers),
        ]  # fmt: skip
        started = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)})
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        if status:
            sys.exit(1)
        with duckdb.connect(str(Path(folder, "warehouse.duckdb")), read_only=True) as connection:
            plugins = connection.execute(BY_PLUGIN).fetchall()
    jobs = sum(row[1] for row in plugins)
    print("| jobs | wall s | jobs a minute | CPU s | workers | load before |\n|---|---|---|---|---|---|")
    cpu = usage.ru_utime + usage.ru_stime
    print(f"| {jobs} | {wall:.0f} | {60 * jobs / wall:.0f} | {cpu:.0f} | {arguments.workers} | {load:.1f} |\n")
    print("| plugin | jobs | seconds in workers | peak GiB a worker |\n|---|---|---|---|")
    for plugin, count, seconds, peak in plugins:
        print(f"| {plugin} | {count} | {seconds:.0f} | {peak:.2f} |")


if __name__ == "__main__":
    main()
