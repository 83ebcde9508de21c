"""`python -m tests.truth --draws 200 --seed 1 --work DIR`: planted truth against the marts, as a table.

Resumable: what DIR holds of the same SQL, worlds, draws and seed is not done again. Ends with 1 where a number misses
its reach.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.truth.measure import measure, table
from tests.truth.worlds import WORLDS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.truth", description="planted truth against the marts")
    parser.add_argument("--draws", type=int, default=200, help="studies a world")
    parser.add_argument("--seed", type=int, default=1, help="seed of all draws")
    parser.add_argument(
        "--world", nargs="+", default=list(WORLDS), choices=WORLDS, metavar="NAME", help="these worlds only"
    )
    parser.add_argument("--work", type=Path, required=True, help="folder where results are kept")
    asked = parser.parse_args()
    measured = measure(asked.world, asked.draws, asked.seed, asked.work.resolve(), lambda line: print(line, flush=True))
    print()
    print(table(measured), end="")
    return int(any(m.passes is False for m in measured))


if __name__ == "__main__":
    sys.exit(main())
