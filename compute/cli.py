"""The console script `transfer`.

Exit codes: 0 done; 1 some jobs or checks failed, or nothing keeps within the limit of harm; 2 the input is wrong.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Collection, Sequence
from contextlib import chdir
from pathlib import Path

from compute import __version__
from compute.errors import UserError, refused_by_disk
from compute.names import UnknownName
from compute.project import SCHEMA, expand, find_root, locate, refresh
from compute.store.database import read_place
from compute.verbs import VERBS, load_verb
from compute.verbs.options import YAML, Options, Parser, TypedPath, TypedStudy, TypedWarehouse, add_project, say


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; a user's mistake is one line on stderr and exit code 2."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if threading.current_thread() is not threading.main_thread():
        return _run(arguments or ["--help"])
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what has landed is loaded
    try:
        return _run(arguments or ["--help"])
    finally:
        if signal.getsignal(signal.SIGTERM) is signal.default_int_handler:
            signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def _run(arguments: Sequence[str]) -> int:
    try:
        # The verb is the first word: the only options that may stand before it end the run.
        options, unknown = parser(arguments[:1]).parse_known_args(arguments)
        if unknown:
            known = (f"--{name.replace('_', '-')}" for name in vars(options) if name not in _NO_OPTIONS)
            raise UserError(str(UnknownName("argument", unknown[0].partition("=")[0], known)))
        root = _place(options)
        if refresh(root):
            from compute.verbs.schema import write_schema

            write_schema(root / SCHEMA)
        with chdir(root):
            code = int(options.run(options))
        sys.stdout.flush()  # a full disk behind it is told here, not by the interpreter at its end
        return code
    except UserError as error:
        say(str(error))
        return 2
    except BrokenPipeError:
        _drop_output()
        return 0
    except (KeyboardInterrupt, Exception) as error:
        if isinstance(error, KeyboardInterrupt) or str(error) == "Query interrupted":  # DuckDB's word for Ctrl-C
            return _interrupted()
        if (refused := refused_by_disk(error, "standard output, or another file")) is None:
            raise
        say(refused)
        try:
            sys.stdout.flush()
        except OSError:
            _drop_output()
        return 2


def _interrupted() -> int:
    if threading.current_thread() is threading.main_thread():
        for told in (signal.SIGINT, signal.SIGTERM):
            signal.signal(told, signal.SIG_IGN)  # it is ending
    say("interrupted; what has landed is kept, run again to go on")
    return 130


def _drop_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


_NO_OPTIONS = ("run", "verb", "kind", "importer", "files", "folder", "operand", "query", "arm_a", "arm_b")
"""What the parser notes besides options: verbs and their operands."""


def parser(whole: Collection[str] = tuple(VERBS)) -> Parser:
    """Return the parser of all verbs; only those named in `whole` have their arguments, and their modules imported."""
    parser = Parser(
        prog="transfer",
        description="Declared transfer studies: computed once, landed as item-level scores in DuckDB.",
        epilog="Exit codes: 0 done; 1 some jobs or checks failed, or nothing keeps within the limit of harm; "
        "2 the input is wrong.",
    )
    parser.add_argument("--version", action="version", version=f"transfer {__version__}")
    parser.set_defaults(project_dir=None)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, text in VERBS.items():
        added = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        if name in whole:
            verb = load_verb(name)
            added.set_defaults(run=verb.run)
            verb.add_arguments(added)
            add_project(added)
    return parser


def _place(options: Options) -> Path:
    """Return the project's folder, and turn the paths that were typed into paths from there."""
    here = Path.cwd()
    root = find_root(here) if options.project_dir is None else (here / expand(options.project_dir)).resolve()
    if not root.is_dir():
        raise UserError(f"--project-dir {options.project_dir}: no such folder")
    for name, value in vars(options).items():
        if isinstance(value, list):
            setattr(options, name, [_from_root(one, here, root) for one in value])
        else:
            setattr(options, name, _from_root(value, here, root))
    return root


def _from_root(value: object, here: Path, root: Path) -> object:
    if not isinstance(value, TypedPath):
        return value
    if isinstance(value, TypedWarehouse):
        return read_place(value, here, root)
    path = expand(value)
    if isinstance(value, TypedStudy) and not path.is_file() and path.suffix not in YAML:
        return Path(value)
    return locate(path, here, root)


if __name__ == "__main__":
    sys.exit(main())
