"""`python -m data_checks WAREHOUSE STUDY FINDINGS_JSON [--docs FOLDER] [--own FOLDER] [--parent PID]`: exit 0 when the
checks ran, whatever they found; 2 with one line on stderr when the warehouse lacks what they read."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from compute.errors import UserError
from compute.orphans import end_with
from compute.store.database import read_place
from data_checks.own_checks import read_own_checks, try_own_checks
from data_checks.views import require


def main() -> int:
    """Run the checks and write what they found as a JSON list."""
    parser = argparse.ArgumentParser(prog="python -m data_checks", description="Great Expectations over one study.")
    parser.add_argument("warehouse", help="DuckDB file or lake, opened read-only")
    parser.add_argument("study", help="name of the study")
    parser.add_argument("findings", help="JSON file to write; -: the last line of what is printed")
    parser.add_argument("--docs", type=Path, help="folder to write Great Expectations' Data Docs into")
    parser.add_argument("--own", type=Path, help="folder of the project's own checks")
    parser.add_argument("--parent", type=int, metavar="PID", help="end when this process is no longer the parent")
    arguments = parser.parse_args()
    if arguments.parent is not None:
        end_with(arguments.parent)

    try:
        warehouse = read_place(arguments.warehouse)
        own = read_own_checks(arguments.own) if arguments.own is not None else ()
        require(warehouse, arguments.study)
        try_own_checks(own, arguments.own, warehouse, arguments.study)
        from data_checks.runner import run_checks  # takes seconds to import

        findings = run_checks(warehouse, arguments.study, arguments.docs, own)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{error.filename or arguments.docs}: cannot be written: {error.strerror}", file=sys.stderr)
        return 2
    if arguments.findings == "-":
        print(f"\n{json.dumps(findings, allow_nan=False)}")
    else:
        Path(arguments.findings).write_text(json.dumps(findings, indent=1, allow_nan=False), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
