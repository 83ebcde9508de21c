"""The verbs of `transfer`, one module each: `add_arguments(parser)` and `run(options)`, which returns the exit code."""

from __future__ import annotations

from importlib import import_module
from typing import Protocol, cast

from compute.verbs.options import Options, Parser


class Verb(Protocol):
    """What a module of a verb has."""

    def add_arguments(self, parser: Parser) -> None:
        """Add what the verb takes, besides --project-dir, which all of them take."""

    def run(self, options: Options) -> int:
        """Do it, in the project's folder. Raises UserError for what is wrong with the input."""


VERBS = {
    "init": "make a project: studies, a thin dbt project on ours, a workflow; or add an example to one",
    "run": "compute, build, check and report a study",
    "plan": "show what would run, and why",
    "calibrate": "measure in half a minute how long a study's jobs take here, for what `transfer plan` says of it",
    "compute": "compute what the study still lacks and load it",
    "status": "show what runs where, what failed, and when a study should be done",
    "cancel": "end all runs of a study, and take what is queued for it out of the queue",
    "load": "load what has landed of the study into the warehouse",
    "build": "build the marts and run their tests (dbt build)",
    "check": "audit the warehouse and store the results in schema checks",
    "report": "write the report page",
    "import": "load results that others have computed, as a study of their own",
    "advise": "say which source to tune on for a target, and what it would cost elsewhere",
    "predict": "say what cells that were not computed are expected to be, from those that were, with intervals",
    "power": "say how small a change a study can show, before it is computed, and what more seeds or items would buy",
    "harms": "list what each adapter loses, its own cell too; exit code 1 if none of them keeps within the limit",
    "compare": "set two arms of a study against each other on the same items: variants, models, sources, placebo",
    "export": "write marts as files and tables of a paper, charts as figures, vectors as word2vec text, or adapters",
    "sql": "open DuckDB's shell on the warehouse, or ask it one question",
    "docs": "write dbt's documentation of every table as one page",
    "ls": "list what a study may name, and the studies there are",
    "rm": "remove a study from the warehouse; what it computed stays landed",
    "prune": "list artifacts and landed results that no study asks for, and remove them if told to",
    "schema": "print the JSON Schema of a study file, by which editors complete and check",
    "doctor": "check versions, devices, memory, disk, locks, hub, mirror and files; say what to do",
}
"""Every verb, and what it does, in the order of `transfer --help`. Its module is called like it."""

_MODULES = {"import": "import_results"}
"""Modules of verbs that are words of Python."""


def load_verb(name: str) -> Verb:
    """Return the module of a verb of `VERBS`, imported now: `transfer --help` and a mistyped verb answer at once."""
    return cast(Verb, import_module(f"compute.verbs.{_MODULES.get(name, name)}"))
