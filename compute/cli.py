"""The console script `transfer`. Exit codes: 0 done, 1 some jobs or checks failed, 2 the input is wrong."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from compute.devices import DEVICES
from compute.errors import UserError

if TYPE_CHECKING:
    from compute.warehouse import Warehouse

DEFAULT_STUDY = "studies/quickstart.yml"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; a user's mistake is one line on stderr and exit code 2."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except UserError as error:
        print(f"transfer: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("transfer: interrupted; what has landed is kept, run again to go on", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="transfer",
        description="Declared transfer studies: computed once, landed as item-level scores in DuckDB.",
        epilog="Exit codes: 0 done, 1 some jobs or checks failed, 2 the input is wrong.",
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        added.set_defaults(run=run)
        return added

    plan = verb("plan", _plan, "show what would run, and why")
    compute = verb("compute", _compute, "compute what the study still lacks and load it")
    load = verb("load", _load, "load landed shards of the study into the warehouse")
    check = verb("check", _check, "audit the warehouse and store the results in schema checks")
    report = verb("report", _report, "write the report page")
    for one in (plan, compute, load, check, report):
        _add_common(one)
    plan.add_argument("--all", action="store_true", help="list the landed jobs too")
    compute.add_argument(
        "--executor", default=os.environ.get("EXECUTOR", "local"), help="where jobs run (EXECUTOR; default: local)"
    )
    compute.add_argument(
        "--device",
        default=os.environ.get("DEVICE", "auto"),
        help=f"one of {', '.join(DEVICES)} (DEVICE; default: auto)",
    )
    compute.add_argument("--workers", type=_positive, help="processes (default: one a core, or one on a GPU)")
    report.add_argument("--output", type=Path, default=Path("report.html"), help="the page (default: report.html)")

    imports = verb("import", _import, "load results that others have computed, as a study of their own")
    imports.add_argument("importer", help="lm-eval, donors-recipients or bli")
    imports.add_argument("files", nargs="+", type=Path, metavar="PATH", help="result files, or folders of them")
    imports.add_argument("--map", type=Path, help="lm-eval: which adapter is which source, which task which language")
    imports.add_argument("--study", help="the study's name (default: the importer's)")
    _add_warehouse(imports)

    advise = verb("advise", _advise, "say which source to tune on for a target, and what it would cost elsewhere")
    advise.add_argument(
        "--target",
        action="append",
        default=[],
        metavar="TASK/LANGUAGE",
        help="what is to gain; given several times, all of them together",
    )
    advise.add_argument("--model", help="the model to be tuned, if the study has it: the others are asked")
    advise.add_argument(
        "--max-harm", type=float, metavar="PP", help="the most that any other target may lose, in percentage points"
    )
    _add_common(advise)

    ls = verb("ls", _ls, "list what a study may name")
    ls.add_argument("kind", nargs="?", help="only this kind; all kinds if left out")
    return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--study",
        type=Path,
        default=Path(os.environ.get("STUDY", DEFAULT_STUDY)),
        help=f"the study file (STUDY; default: {DEFAULT_STUDY})",
    )
    _add_warehouse(parser)


def _add_warehouse(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--warehouse",
        type=Path,
        default=Path(os.environ.get("WAREHOUSE", "warehouse.duckdb")),
        help="the DuckDB file (WAREHOUSE; default: warehouse.duckdb)",
    )
    parser.add_argument("--wait", type=float, default=60.0, help="seconds to wait for a lock (default: 60)")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, found {number}")
    return number


def _say(text: str) -> None:
    print(f"transfer: {text}", file=sys.stderr, flush=True)


# The imports below are local: `transfer --help` and a mistyped verb answer at once.


def _plan(options: argparse.Namespace) -> int:
    from compute.session import Session

    session = Session(options.study, options.warehouse, options.wait, _say)
    plan = session.plan()
    for key, job in plan.jobs.items():
        if key in plan.pending:
            print(f"run   {key[:8]}  {job.label}  ({plan.pending[key]})")
        elif options.all:
            print(f"done  {key[:8]}  {job.label}")
    print(f"{plan.study.study}: {len(plan.jobs)} jobs, {len(plan.pending)} to run")
    return 0


def _compute(options: argparse.Namespace) -> int:
    from compute.session import Session

    session = Session(options.study, options.warehouse, options.wait, _say)
    return session.compute(options.executor, options.device, options.workers)


def _load(options: argparse.Namespace) -> int:
    from compute.session import Session

    return Session(options.study, options.warehouse, options.wait, _say).load()


def _study_name(options: argparse.Namespace, warehouse: Warehouse) -> str:
    """The study that `--study` means: that of a study file, or, where there is no such file, one in the warehouse."""
    from compute.study_file import read_study

    name = str(options.study)
    if not options.study.exists() and warehouse.registered(name) is not None:
        return name
    return read_study(options.study).study


def _check(options: argparse.Namespace) -> int:
    from compute.audit import audit
    from compute.publish import PUBLISHED, publish
    from compute.warehouse import Warehouse

    warehouse = Warehouse(options.warehouse, options.wait, _say)
    study = _study_name(options, warehouse)
    code = audit(study, warehouse, _say)
    if code == 0:
        _say(f"{PUBLISHED}: {study}: {publish(study, warehouse):,} mart rows published")
    else:
        _say(f"{PUBLISHED}: {study} is not published: an error-level check failed")
    return code


def _report(options: argparse.Namespace) -> int:
    from compute.warehouse import Warehouse
    from report.page import write_report

    warehouse = Warehouse(options.warehouse, options.wait, _say)
    study = _study_name(options, warehouse)
    if not options.warehouse.exists():
        raise UserError(f"{options.warehouse}: no such warehouse; run `make compute` and `make build` first")
    write_report(options.warehouse, study, options.output)
    _say(f"report written to {options.output}")
    return 0


def _import(options: argparse.Namespace) -> int:
    from compute.importers import import_results
    from compute.session import LANDING
    from compute.warehouse import Warehouse

    warehouse = Warehouse(options.warehouse, options.wait, _say)
    import_results(options.importer, options.files, options.map, options.study, warehouse, LANDING, _say)
    return 0


def _advise(options: argparse.Namespace) -> int:
    from compute.advise import advise
    from compute.warehouse import Warehouse

    warehouse = Warehouse(options.warehouse, options.wait, _say)
    # What is no file's name is a study's: `advise` knows those it could be.
    is_file = options.study.exists() or options.study.suffix in (".yml", ".yaml")
    study = _study_name(options, warehouse) if is_file else str(options.study)
    print(advise(warehouse, study, options.target, options.model, options.max_harm), end="")
    return 0


def _ls(options: argparse.Namespace) -> int:
    from compute.catalogue import listing

    kinds = listing(options.kind)
    for kind, names in kinds.items():
        print(f"{kind}: {', '.join(names) if names else '(none)'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
