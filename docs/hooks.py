"""The reference of the docs site, made from the code: study keys from pydantic, verbs from the parser, tables from the
raw schema and from dbt's descriptions. A page is added to the site as it is built; none is kept."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from compute.cli import parser  # noqa: E402 - the repository's own, whatever is installed
from compute.store.raw_schema import TABLES  # noqa: E402
from compute.study.json_schema import study_schema  # noqa: E402
from compute.verbs import VERBS  # noqa: E402

_WORDS = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false", "null": "none"}


def on_files(files: Any, config: Any) -> Any:
    """Add the reference. MkDocs calls this."""
    from mkdocs.structure.files import File

    for name, page in reference().items():
        files.append(File.generated(config, f"reference/{name}.md", content=page))
    return files


def reference() -> dict[str, str]:
    """Return Markdown by the name of a page."""
    pages = {"study": _study(), "verbs": _verbs(), "raw-tables": _raw_tables(), "marts": _marts()}
    return {name: "\n".join(lines) + "\n" for name, lines in pages.items()}


def _study() -> Iterator[str]:
    schema = study_schema()
    yield "# The study file"
    yield ""
    yield "Every key, from the models that read it. `transfer schema` prints the same as JSON Schema, by which editors"
    yield "complete and check; `transfer ls` lists what names may be. A key without a default is required."
    for name, section in (("Study", schema), *schema["$defs"].items()):
        if "properties" not in section:
            yield from ("", f"## {name}", "", f"{_type(section)}.")
            continue
        yield from ("", f"## {_title(name)}", "")
        yield " ".join(section.get("description", "").split())
        if not section["properties"]:
            continue
        yield from ("", "| key | type | default | meaning |", "|---|---|---|---|")
        for key, field in section["properties"].items():
            required = key in section.get("required", ())
            default = "required" if required else f"`{field['default']!r}`" if "default" in field else ""
            yield f"| `{key}` | {_type(field)} | {_cell(default)} | {_cell(field.get('description', ''))} |"


def _title(name: str) -> str:
    """Return a section's heading; one that a bare text stands for has its full form beside it."""
    return f"{name.removesuffix('Keys')} in full" if name.endswith("Keys") else name.replace(".", " ")


def _type(field: dict[str, Any]) -> str:
    """Return a field's type in words, with a link to the section it is."""
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return f"[{_title(name)}](#{_title(name).lower().replace(' ', '-')})"
    if "anyOf" in field:
        return " or ".join(_type(option) for option in field["anyOf"])
    if "allOf" in field:
        return _type(field["allOf"][0])
    if "enum" in field or "const" in field:
        return ", ".join(f"`{value}`" for value in field.get("enum", [field.get("const")]))
    kind = field.get("type", "")
    if kind == "array":
        inner = field.get("items")
        return f"list of {_type(inner)}" if isinstance(inner, dict) and inner else "list"
    if kind == "object":
        inner = next(iter(field.get("patternProperties", {}).values()), None) or field.get("additionalProperties")
        return f"mapping of names to {_type(inner)}" if isinstance(inner, dict) and inner else "mapping"
    limits = [
        f"{sign} {field[key]}"
        for key, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
        if key in field
    ]
    return " ".join([_WORDS.get(kind, "anything"), ", ".join(limits)]).strip()


def _verbs() -> Iterator[str]:
    yield "# Verbs"
    yield ""
    yield "`transfer VERB --help` says the same. Exit codes: 0 done; 1 some jobs or checks failed, or nothing keeps"
    yield "within the limit of harm; 2 the input is wrong, told in one line."
    yield ""
    yield "In the repository `make` has targets of the same names. `STUDY`, `WAREHOUSE`, `EXECUTOR` and `DEVICE` are"
    yield "read from the environment, too; `TRANSFER_MIRROR` is a folder or address looked in before the network."
    (verbs,) = (action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    for name, text in VERBS.items():
        yield from ("", f"## {name}", "", f"{text[0].upper()}{text[1:]}.")
        yield from _arguments(verbs.choices[name])


def _arguments(verb: argparse.ArgumentParser) -> Iterator[str]:
    kinds = [action for action in verb._actions if isinstance(action, argparse._SubParsersAction)]
    for kind, inner in kinds[0].choices.items() if kinds else ():
        yield from ("", f"### {verb.prog.rpartition(' ')[2]} {kind}", "", inner.description or "")
        yield from _arguments(inner)
    rows = [a for a in verb._actions if a not in kinds and not isinstance(a, argparse._HelpAction)]
    if kinds or not rows:
        return
    yield from ("", "| argument | meaning |", "|---|---|")
    for action in rows:
        name = ", ".join(action.option_strings) or str(action.metavar or action.dest).upper()
        value = f" {action.metavar or action.dest.upper()}" if action.option_strings and action.nargs != 0 else ""
        yield f"| `{name}{value}` | {_cell(action.help or '')}{' (required)' if action.required else ''} |"


def _raw_tables() -> Iterator[str]:
    yield "# Raw tables"
    yield ""
    yield "Schema `raw`: what was computed, a row an item. Columns are added, never renamed."
    for table in TABLES.values():
        yield from ("", f"## raw.{table.name}", "", f"{table.grain_text} Grain: {', '.join(table.grain)}.", "")
        yield from ("| column | type | meaning |", "|---|---|---|")
        yield from (f"| `{c.name}` | {c.type} | {_cell(c.description)} |" for c in table.columns)


def _marts() -> Iterator[str]:
    yield "# Marts"
    yield ""
    yield "Schema `marts`: what follows from `raw`. Every mart leads with `study`; studies are never pooled."
    for path in sorted((ROOT / "models" / "marts").glob("*.yml")):
        for model in yaml.safe_load(path.read_text(encoding="utf-8")).get("models", ()):
            yield from ("", f"## {model['name']}", "", model["description"].strip(), "")
            yield from ("| column | type | meaning |", "|---|---|---|")
            for column in model["columns"]:
                yield f"| `{column['name']}` | {column['data_type']} | {_cell(column.get('description', ''))} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
