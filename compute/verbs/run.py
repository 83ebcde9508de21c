"""`transfer run`: a study from its file to its report; what `make all` does."""

from __future__ import annotations

from compute.errors import UserError
from compute.store.warehouse import Warehouse
from compute.verbs import build, check, compute, report
from compute.verbs.chosen import study_file, study_name
from compute.verbs.options import Options, Parser, TypedStudy, add_study, add_warehouse, say


def add_arguments(parser: Parser) -> None:
    """Add what the verb takes."""
    parser.add_argument("operand", nargs="?", type=TypedStudy, metavar="STUDY", help="as --study")
    add_study(parser)
    add_warehouse(parser)
    compute.add_machines(parser)
    parser.set_defaults(output=None, quiet=True, part=None)


def run(options: Options) -> int:
    """Compute, build, check and report; return 1 where jobs, dbt's tests or checks failed, else 0.

    What failed does not keep the rest from being built and reported; a mart that cannot be built does.
    """
    from report.afterword import afterword  # seconds to import

    options.study = options.operand or options.study
    name = study_name(options)
    code = 0 if _is_imported(options, name) else compute.run(options)
    say("building the marts and their tests")
    if build.run(options):
        say("not reported: the marts are not all built, or a test of them fails")
        return 1
    code = max(code, check.run(options))
    report.run(options)
    print(afterword(options.warehouse, name))
    return code


def _is_imported(options: Options, name: str) -> bool:
    """Return whether the study has no file, and the warehouse has it from elsewhere.

    Raises:
        UserError: it has neither.
    """
    try:
        study_file(options)
        return False
    except UserError:
        registered = Warehouse(options.warehouse, options.wait, say).registered(name)
        if registered is None or registered.origin == "computed":
            raise
    say(f"{name}: imported ({registered.origin}); nothing to compute")
    return True
