"""`python -m tests.truth --draws 200 --seed 1 --work DIR`: planted truth against the marts, as a table.

Resumable: what DIR holds of the same SQL, worlds, draws and seed is not done again. Ends with 1 where a number misses
its reach.
"""

from __future__ import annotations

import argparse
import functools
import sys
from pathlib import Path

from tests.truth import empirical_null, page
from tests.truth.measure import digest_of_sql, kept, measure, measure_grids
from tests.truth.prediction_worlds import GRID_WORLDS
from tests.truth.warehouse import ROOT
from tests.truth.worlds import WORLDS

PAGE = ROOT / "docs" / "calibration.md"


def main() -> int:
    """Measure, print, and write the page if asked."""
    parser = argparse.ArgumentParser(prog="python -m tests.truth", description="planted truth against the marts")
    parser.add_argument("--draws", type=int, default=200, help="studies a world (default: 200)")
    parser.add_argument("--seed", type=int, default=1, help="seed of all draws (default: 1)")
    known = [*WORLDS, *GRID_WORLDS]
    parser.add_argument("--world", nargs="+", default=known, choices=known, metavar="NAME", help="these only")
    parser.add_argument("--work", type=Path, required=True, help="folder where results are kept")
    parser.add_argument("--beside", metavar="DIGEST", help="results of other SQL that DIR holds, for a column `before`")
    parser.add_argument("--write-docs", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    asked = parser.parse_args()
    folder = asked.work.resolve()
    of_marts, of_grids = ([name for name in asked.world if name in some] for some in (WORLDS, GRID_WORLDS))
    say = functools.partial(print, flush=True)
    measured = measure(of_marts, asked.draws, asked.seed, folder, say)
    before = kept(of_marts, asked.draws, asked.seed, folder / asked.beside) if asked.beside else None
    measured += measure_grids(of_grids, asked.draws, asked.seed, folder, say)
    print(f"\n{page.table(measured, before)}", end="")
    if asked.write_docs:
        command = f"python -m tests.truth --draws {asked.draws} --seed {asked.seed} --work DIR --write-docs"
        null = empirical_null.kept(folder / digest_of_sql())
        PAGE.write_text(page.calibration(measured, before, null, command), encoding="utf-8")
        print(f"{PAGE}: written")
    return int(any(m.passes is False for m in measured))


if __name__ == "__main__":
    sys.exit(main())
