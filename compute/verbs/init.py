"""`transfer init`: make a project in a folder, or add an example to one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from string import Template

from compute import __version__
from compute.dbt import install_packages
from compute.errors import UserError
from compute.names import UnknownName
from compute.project import CHECKS, SCHEMA, STUDIES, is_project, package_folder, refresh
from compute.store.files import write_whole
from compute.verbs.options import Options, Parser, TypedPath, say
from compute.verbs.schema import write_schema

_FILES = Path(__file__).parents[1] / "new_project"

_MACROS = ("generate_schema_name.sql", "dbt_overrides/portable_relations.sql")
"""Macros that dbt takes from the project alone, not from a package."""

EXAMPLES = {
    "quickstart": "pre-trains three tiny models on number words, tunes them, maps word vectors (6 minutes on 2 cores)",
    "own-data": "tunes on a task of your own, written as JSONL (1 minute)",
    "embeddings": "maps word vectors by five methods, with pairs and without (2 minutes)",
    "import": "reads results that others have computed, as CSV (seconds)",
}
_IMPORT = "transfer import donors-recipients results/cells.csv --study published"
_COMPUTE = 'for study in studies/*.yml; do transfer plan --study "$study"; done; transfer compute'
_FIRST_STUDY = {"quickstart": "quickstart", "own-data": "own_data", "embeddings": "embeddings", "import": "published"}


def add_arguments(parser: Parser) -> None:
    """Add what the verb takes."""
    parser.add_argument(
        "folder",
        nargs="?",
        type=TypedPath,
        default=TypedPath("."),
        metavar="DIR",
        help="made if not there (default: .)",
    )
    parser.add_argument(
        "--example",
        metavar="NAME",
        help="; ".join(f"{name}: {text}" for name, text in EXAMPLES.items()),
    )


def run(options: Options) -> int:
    """Write the files that are not there yet, and say how to go on.

    Raises:
        UserError: no such example, a dbt project of another kind, or a folder that cannot be written.
    """
    example, folder = options.example, options.folder
    if example is not None and example not in EXAMPLES:
        raise UserError(str(UnknownName("example", example, EXAMPLES)))
    if (folder / "dbt_project.yml").exists() and not is_project(folder):
        raise UserError(f"{folder / 'dbt_project.yml'}: a dbt project of another profile; choose a folder of its own")
    if folder.exists() and folder.samefile(package_folder()):
        raise UserError(f"{folder}: this is the repository, which is a project already")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for place, content in _contents(folder, example):
            _write(folder / place, content)
        for empty in (STUDIES, Path("models"), CHECKS):
            (folder / empty).mkdir(exist_ok=True)
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be written: {error.strerror}") from None
    with chdir(folder):
        refresh(Path.cwd())
        write_schema(SCHEMA)
        install_packages()
    first = {None: "write studies/mine.yml (`transfer ls` helps), ", "import": f"{_IMPORT}, "}.get(example, "")
    enter = "" if folder == Path() else f"cd {folder}, "
    say(f"{folder}: a project; next: {enter}{first}transfer run{' published' if example == 'import' else ''}")
    return 0


def _contents(folder: Path, example: str | None) -> Iterator[tuple[Path, bytes]]:
    """Yield the place of each file in a project, and its content."""
    name = _project_name(folder)
    study = _FIRST_STUDY.get(example or "", "mine")
    get = _IMPORT if example == "import" else _COMPUTE
    for file, place in (
        ("dbt_project.yml", "dbt_project.yml"),
        ("packages.yml", "packages.yml"),
        ("gitignore", ".gitignore"),
        ("workflow.yml", ".github/workflows/transfer.yml"),
        ("README.md", "README.md"),
    ):
        text = (_FILES / file).read_text(encoding="utf-8")
        filled = Template(text).safe_substitute(project=name, first_study=study, get=get, version=__version__)
        yield Path(place), filled.encode()
    package = package_folder()
    yield Path("profiles.yml"), (package / "profiles.yml").read_bytes()
    for macro in _MACROS:
        yield Path("macros", Path(macro).name), (package / "dbt_project" / "macros" / macro).read_bytes()
    if example == "quickstart":
        yield STUDIES / "quickstart.yml", (package / STUDIES / "quickstart.yml").read_bytes()
    elif example is not None:
        root = package / "examples" / example
        for path in sorted(path for path in root.rglob("*") if path.is_file()):
            yield path.relative_to(root), path.read_bytes()


def _write(path: Path, content: bytes) -> None:
    """Write a file if it is not there; nothing is overwritten."""
    if path.exists():
        if path.read_bytes() != content:
            say(f"{path}: there already, left as it is")
        return
    if path.parent.name == STUDIES.name and path.suffix == ".yml":
        content = f"# yaml-language-server: $schema=../{SCHEMA}\n".encode() + content
    write_whole(path, content)


def _project_name(folder: Path) -> str:
    """Return the folder's name as dbt takes one: a letter, then letters, digits and underscores; not the package's."""
    name = re.sub(r"\W+", "_", folder.resolve().name, flags=re.ASCII).strip("_").lower()
    return name if re.match(r"[a-z]", name) and name != "transfer_warehouse" else f"project_{name}".rstrip("_")
