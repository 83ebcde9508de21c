"""`transfer schema`: the JSON Schema of a study file."""

from __future__ import annotations

import json
from pathlib import Path

from compute.store.files import write_whole
from compute.study.json_schema import study_schema
from compute.verbs.options import Options, Parser


def add_arguments(parser: Parser) -> None:
    """Add nothing: the verb takes none."""


def run(options: Options) -> int:
    """Print it."""
    print(_text())
    return 0


def write_schema(path: Path) -> None:
    """Write it where studies of a project name it. Raises OSError."""
    write_whole(path, f"{_text()}\n".encode())


def _text() -> str:
    return json.dumps(study_schema(), indent=1, ensure_ascii=False)
