"""The console script `transfer`.

Exit codes: 0 done; 1 some jobs or checks failed, or nothing keeps within the limit of harm; 2 the input is wrong.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import chdir
from pathlib import Path
from typing import NoReturn

from compute.engine.devices import DEVICES
from compute.errors import UserError
from compute.names import UnknownName
from compute.project import ARTIFACTS, LANDING, PUBLISHED, REPORT, expand, find_root, from_environment, locate

DEFAULT_STUDY = "studies/quickstart.yml"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; a user's mistake is one line on stderr and exit code 2."""
    try:
        options, unknown = _parser().parse_known_args(arguments)
        if unknown:
            known = (f"--{name.replace('_', '-')}" for name in vars(options) if name not in _NO_OPTIONS)
            raise UserError(str(UnknownName("argument", unknown[0].partition("=")[0], known)))
        with chdir(_place(options)):
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


def _place(options: argparse.Namespace) -> Path:
    """Return the project's folder, and turn the paths that were typed into paths from there.

    Typed is text; defaults are paths, from that folder already.
    """
    here = Path.cwd()
    root = find_root(here) if options.project_dir is None else (here / expand(options.project_dir)).resolve()
    if not root.is_dir():
        raise UserError(f"--project-dir {options.project_dir}: no such folder")
    for name in ("warehouse", "output", "map", "to"):
        if isinstance(typed := getattr(options, name, None), str):
            setattr(options, name, locate(expand(typed), here, root))
    if "files" in options:
        options.files = [locate(expand(typed), here, root) for typed in options.files]
    if isinstance(study := getattr(options, "study", None), str) and options.verb != "import":
        path = expand(study)
        options.study = locate(path, here, root) if path.is_file() or path.suffix in _YAML else Path(study)
    return root


_YAML = (".yml", ".yaml")

_NO_OPTIONS = ("run", "verb", "kind", "importer", "files", "arm_a", "arm_b")
"""What the parser notes besides options: verbs and their operands."""


class _Parser(argparse.ArgumentParser):
    """Says a mistake in one line, with the nearest valid word."""

    def error(self, message: str) -> NoReturn:
        wrong = re.fullmatch(r"argument (.*): invalid choice: '(.*)' \(choose from (.*)\)", message)
        if wrong is not None:
            message = str(UnknownName(wrong[1].lower(), wrong[2], re.findall(r"[\w-]+", wrong[3])))
        self.exit(2, f"transfer: {message.removeprefix('argument ')}; see `{self.prog} --help`\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="transfer",
        description="Declared transfer studies: computed once, landed as item-level scores in DuckDB.",
        epilog="Exit codes: 0 done; 1 some jobs or checks failed, or nothing keeps within the limit of harm; "
        "2 the input is wrong.",
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        added.set_defaults(run=run)
        _add_project(added)
        return added

    plan = verb("plan", _plan, "show what would run, and why")
    compute = verb("compute", _compute, "compute what the study still lacks and load it")
    load = verb("load", _load, "load landed shards of the study into the warehouse")
    check = verb("check", _check, "audit the warehouse and store the results in schema checks")
    report = verb("report", _report, "write the report page")
    for one in (plan, compute, load):
        _add_study(one, "the study file")
        _add_warehouse(one)
    for one in (check, report):
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
    report.add_argument("--output", default=REPORT, help=f"the page (default: {REPORT})")

    imports = verb("import", _import, "load results that others have computed, as a study of their own")
    imports.add_argument("importer", help="as `transfer ls importers` lists them")
    imports.add_argument("files", nargs="+", metavar="PATH", help="result files, or folders of them")
    imports.add_argument("--map", help="lm-eval: which adapter is which source, which task which language")
    imports.add_argument("--study", help="the study's name (default: the importer's)")
    imports.add_argument(
        "--harm-threshold-pp",
        type=_number,
        metavar="PP",
        help="what counts as a harm in this study, in percentage points (default: the map's, else 1)",
    )
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
        "--max-harm",
        type=_number,
        metavar="PP",
        help="the most that any target may lose on average, in percentage points; exit code 1 if no source keeps it",
    )
    _add_common(advise)
    _add_harms(verbs)
    _add_compare(verbs)
    _add_export(verbs)

    ls = verb("ls", _ls, "list what a study may name")
    ls.add_argument("kind", nargs="?", help="only this kind; all kinds if left out")
    return parser


def _add_harms(verbs: argparse._SubParsersAction[_Parser]) -> None:
    text = "list what each adapter loses, its own cell too; exit code 1 if none of them keeps within the limit"
    harms = verbs.add_parser("harms", help=text, description=text[0].upper() + text[1:] + ".")
    harms.set_defaults(run=_harms)
    _add_project(harms)
    harms.add_argument(
        "--max-harm",
        type=_number,
        metavar="PP",
        help="the most that any target may lose, in percentage points (default: the study's harm_threshold_pp)",
    )
    harms.add_argument(
        "--source",
        action="append",
        default=[],
        metavar="TASK/LANGUAGE",
        help="only adapters tuned on it; may be repeated",
    )
    harms.add_argument("--model", action="append", default=[], help="only adapters of this model; may be repeated")
    _add_common(harms)


def _add_compare(verbs: argparse._SubParsersAction[_Parser]) -> None:
    text = "set two arms of a study against each other on the same items: variants, models, sources, prompts, placebo"
    compare = verbs.add_parser(
        "compare",
        help=text,
        description=f"{text[0].upper() + text[1:]}. An arm is a name that the study has, such as a variant, a model, a "
        "source as task/language, tuned or placebo; or several, as source=compare/de,variant=r64. What an arm leaves out "
        "is as in the other.",
    )
    compare.set_defaults(run=_compare)
    _add_project(compare)
    compare.add_argument("arm_a", metavar="A", help="the first arm")
    compare.add_argument("arm_b", metavar="B", help="the second, which is taken from it")
    compare.add_argument(
        "--on", action="append", default=[], metavar="TASK/LANGUAGE", help="only this target; may be repeated"
    )
    _add_common(compare)


def _add_export(verbs: argparse._SubParsersAction[_Parser]) -> None:
    text = "write marts as files and as tables of a paper, or mapped vectors as word2vec text"
    export = verbs.add_parser("export", help=text, description=text[0].upper() + text[1:] + ".")
    kinds = export.add_subparsers(dest="kind", required=True, metavar="WHAT")

    text = "marts of a study as CSV, Parquet, LaTeX or Markdown"
    marts = kinds.add_parser(
        "marts",
        help=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=f"""{text[0].upper() + text[1:]}, a file a mart: DIR/<mart>.<csv|parquet|tex|md>.

csv and parquet hold every column as it is. latex and markdown are tables as a paper prints them: transfer cells as
sources x targets, lexicon induction as methods x dictionary sizes, any other mart with all its columns; percentage
points to one decimal with their sign, shares to three decimals, an en dash for no value. LaTeX files are for \\input
and need the package booktabs (tables of more than 45 rows: longtable too).

Read is what passed its checks: the published file. --warehouse warehouse.duckdb reads the marts as they are.""",
    )
    marts.set_defaults(run=_export_marts)
    _add_study(marts)
    marts.add_argument("--format", required=True, help="csv, parquet, latex or markdown")
    marts.add_argument("--mart", action="append", default=[], help="only this mart, such as rpt_roles; may be repeated")
    _add_warehouse(marts, PUBLISHED)

    text = "mapped vectors of a study as word2vec text"
    vectors = kinds.add_parser(
        "vectors",
        help=text,
        description=f"{text[0].upper() + text[1:]}, both sides of each mapping that has landed: "
        "DIR/<vectors>/<method>-<variant>-<dictionary size>-<seed>/<source>-<target>.<language>.vec, which gensim's "
        "KeyedVectors.load_word2vec_format reads.",
    )
    vectors.set_defaults(run=_export_vectors)
    _add_study(vectors)
    vectors.add_argument("--method", action="append", default=[], help="only this mapping method; may be repeated")
    vectors.add_argument("--pair", action="append", default=[], help="only this pair, such as en-de; may be repeated")
    vectors.add_argument(
        "--size", action="append", default=[], type=_positive_or_zero, help="only this dictionary size; may be repeated"
    )
    _add_warehouse(vectors)

    for one in (marts, vectors):
        _add_project(one)
        one.add_argument("--to", required=True, metavar="DIR", help="where to write; made if not there")


def _add_common(parser: argparse.ArgumentParser) -> None:
    _add_study(parser)
    _add_warehouse(parser)


def _add_study(
    parser: argparse.ArgumentParser, text: str = "the study file, or the name of a study in the warehouse"
) -> None:
    parser.add_argument(
        "--study",
        default=from_environment("STUDY", DEFAULT_STUDY),
        help=f"{text} (STUDY; default: {DEFAULT_STUDY})",
    )


def _add_warehouse(parser: argparse.ArgumentParser, default: Path | None = None) -> None:
    """Add --warehouse; `default` stands in the place of WAREHOUSE."""
    parser.add_argument(
        "--warehouse",
        default=default or from_environment("WAREHOUSE", "warehouse.duckdb"),
        help=f"the DuckDB file ({f'default: {default}' if default else 'WAREHOUSE; default: warehouse.duckdb'})",
    )
    parser.add_argument("--wait", type=_seconds, default=60.0, help="seconds to wait for a lock (default: 60)")


def _add_project(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--project-dir",
        metavar="DIR",
        help="where the project's files lie (default: the nearest folder upwards with our dbt_project.yml, else here)",
    )


def _positive(text: str) -> int:
    return _at_least(1, text)


def _positive_or_zero(text: str) -> int:
    return _at_least(0, text)


def _at_least(least: int, text: str) -> int:
    number = int(text) if re.fullmatch(r"-?\d{1,9}", text) else None
    if number is None or number < least:
        raise argparse.ArgumentTypeError(f"expected a whole number, {least} or more, found {text!r}")
    return number


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number, found {text!r}") from None


def _seconds(text: str) -> float:
    number = _number(text)
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"expected seconds, 0 or more, found {text!r}")
    return number


def _say(text: str) -> None:
    print(f"transfer: {text}", file=sys.stderr, flush=True)


# The imports below are local: `transfer --help` and a mistyped verb answer at once.


def _plan(options: argparse.Namespace) -> int:
    from compute.verbs.session import Session

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
    from compute.verbs.session import Session

    session = Session(options.study, options.warehouse, options.wait, _say)
    return session.compute(options.executor, options.device, options.workers)


def _load(options: argparse.Namespace) -> int:
    from compute.verbs.session import Session

    return Session(options.study, options.warehouse, options.wait, _say).load()


def _study_name(options: argparse.Namespace) -> str:
    """The study that `--study` means: that of a study file, or, where it is no file's name, one in the warehouse."""
    from compute.study.file import read_study

    if options.study.is_file() or options.study.suffix in _YAML:
        return read_study(options.study).study
    return str(options.study)


def _check(options: argparse.Namespace) -> int:
    from compute.store.audit import audit
    from compute.store.publish import publish
    from compute.store.warehouse import Warehouse

    warehouse = Warehouse(options.warehouse, options.wait, _say)
    study = _study_name(options)
    code = audit(study, warehouse, _say)
    if code == 0:
        _say(f"{PUBLISHED}: {study}: {publish(study, warehouse):,} mart rows published")
    else:
        _say(f"{PUBLISHED}: {study} is not published: an error-level check failed")
    return code


def _report(options: argparse.Namespace) -> int:
    from report.page import write_report

    study = _study_name(options)
    if not options.warehouse.exists():
        raise UserError(f"{options.warehouse}: no such warehouse; run `make compute` and `make build` first")
    write_report(options.warehouse, study, options.output, options.wait)
    _say(f"report written to {options.output}")
    return 0


def _import(options: argparse.Namespace) -> int:
    from compute.importers import import_results
    from compute.store.warehouse import Warehouse

    warehouse = Warehouse(options.warehouse, options.wait, _say)
    threshold = options.harm_threshold_pp
    if threshold is not None and not 0 < threshold < float("inf"):
        raise UserError(f"--harm-threshold-pp {threshold:g}: expected percentage points above 0")
    import_results(options.importer, options.files, options.map, options.study, warehouse, LANDING, _say, threshold)
    return 0


def _advise(options: argparse.Namespace) -> int:
    from compute.store.warehouse import Warehouse
    from compute.verbs.advise import advise

    warehouse = Warehouse(options.warehouse, options.wait, _say)
    told = advise(warehouse, _study_name(options), options.target, options.model, options.max_harm)
    print(told.text, end="")
    return 0 if told.is_within else 1


def _harms(options: argparse.Namespace) -> int:
    from compute.store.warehouse import Warehouse
    from compute.verbs.harms import harms

    warehouse = Warehouse(options.warehouse, options.wait, _say)
    told = harms(warehouse, _study_name(options), options.max_harm, options.source, options.model)
    print(told.text, end="")
    return 0 if told.is_within else 1


def _compare(options: argparse.Namespace) -> int:
    from compute.store.warehouse import Warehouse
    from compute.verbs.comparison import compare

    warehouse = Warehouse(options.warehouse, options.wait, _say)
    print(compare(warehouse, _study_name(options), options.arm_a, options.arm_b, options.on), end="")
    return 0


def _export_marts(options: argparse.Namespace) -> int:
    from compute.store.warehouse import Warehouse
    from report.paper.marts import export_marts

    warehouse = Warehouse(options.warehouse, options.wait, _say)
    study = _study_name(options)
    written = export_marts(warehouse, study, options.format, options.to, options.mart)
    _say(f"{options.to}: {len(written)} marts of {study} exported")
    return 0


def _export_vectors(options: argparse.Namespace) -> int:
    from compute.store.artifacts import ArtifactStore
    from compute.store.warehouse import Warehouse
    from compute.verbs.vector_export import export_vectors

    warehouse = Warehouse(options.warehouse, options.wait, _say)
    study = _study_name(options)
    store = ArtifactStore(ARTIFACTS)
    return export_vectors(warehouse, study, store, options.to, _say, options.method, options.pair, options.size)


def _ls(options: argparse.Namespace) -> int:
    from compute.verbs.listing import listing

    kinds = listing(options.kind)
    for kind, names in kinds.items():
        print(f"{kind}: {', '.join(names) if names else '(none)'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
