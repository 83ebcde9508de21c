"""Which study is meant: by its file or by its name, in every verb."""

from __future__ import annotations

import os
from pathlib import Path

import yaml

from compute.errors import UserError
from compute.names import UnknownName
from compute.project import STUDIES, expand
from compute.study.file import read_study
from compute.verbs.options import YAML, Options

_FIRST = STUDIES / "quickstart.yml"


def study_file(options: Options) -> Path:
    """Return the file of the study that is meant.

    Raises:
        UserError: no file in studies/ has a study of that name, or several have.
    """
    asked = _asked(options)
    if _is_file(asked):
        return asked
    files = files_by_name()
    found = files.get(str(asked), [])
    if not found:
        raise UserError(str(UnknownName("study", str(asked), files)) + f" (studies in {STUDIES}/)")
    if len(found) > 1:
        raise UserError(f"study {str(asked)!r} is in several files: {', '.join(map(str, found))}; name one of them")
    return found[0]


def study_name(options: Options) -> str:
    """Return the name of the study that is meant, which the warehouse may have without there being a file.

    Raises:
        UserError: its file is wrong.
    """
    asked = _asked(options)
    return read_study(asked).study if _is_file(asked) else str(asked)


def files_by_name() -> dict[str, list[Path]]:
    """Return the files in studies/ by the names of their studies; those that name none are left out."""
    found: dict[str, list[Path]] = {}
    for file in sorted(path for path in STUDIES.glob("*") if path.suffix in YAML):
        try:
            content = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError):
            continue  # told by whoever reads it
        if isinstance(content, dict) and isinstance(content.get("study"), str):
            found.setdefault(content["study"], []).append(file)
    return found


def _asked(options: Options) -> Path:
    if options.study is not None:
        return Path(options.study)
    if named := os.environ.get("STUDY"):
        return expand(named)
    there = sorted(path for path in STUDIES.glob("*") if path.suffix in YAML)
    return there[0] if len(there) == 1 else _FIRST


def _is_file(asked: Path) -> bool:
    return asked.is_file() or asked.suffix in YAML
