"""A YAML file of ours: the only reader of YAML, and the lines that say what is wrong in one."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from compute.errors import UserError, reading
from compute.names import UnknownName

_MAX_BYTES = 1_000_000
_MAX_NODES = 100_000
_MAX_BITS = 64
_MAX_SHOWN = 80

Model = TypeVar("Model", bound=BaseModel)
Location = Sequence[str | int]
"""Keys and positions from the file's root, as pydantic gives them."""


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML that refuses a key written twice, which plain YAML would silently overwrite, and whose only booleans are
    true and false, as in YAML 1.2: `no` is Norwegian."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Return a node's value. Raises ConstructorError, which knows the line, whatever is wrong with it: PyYAML makes
        dates and numbers of what only looks like one (2020-99-99, `!!bool maybe`)."""
        try:
            value = super().construct_object(node, deep)  # type: ignore[no-untyped-call]
        except (yaml.YAMLError, RecursionError):
            raise
        except Exception:
            kind = node.tag.rpartition(":")[2]
            problem = f"{_shown(node.value)} is read as a value of YAML's type {kind}, and is none; put text in quotes"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from None
        if isinstance(value, int) and value.bit_length() > _MAX_BITS:
            problem = f"{_shown(node.value)} is a number of more than {_MAX_BITS} bits"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return value


_UniqueKeyLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_UniqueKeyLoader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile("true|True|TRUE|false|False|FALSE"), list("tTfF")
)


def _construct_mapping(loader: _UniqueKeyLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[str] = set()
    for key_node, _ in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise yaml.constructor.ConstructorError(
                None, None, "a key is expected to be text, this one is a list or a mapping", key_node.start_mark
            )
        if key_node.value in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"key {key_node.value!r} is written twice", key_node.start_mark
            )
        seen.add(key_node.value)
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


_UniqueKeyLoader.add_constructor("tag:yaml.org,2002:map", _construct_mapping)


@dataclass(frozen=True)
class YamlFile:
    """A mapping read from YAML, and the lines its parts stand in."""

    path: Path
    content: dict[str, Any]
    root: yaml.Node

    def validated(self, model: type[Model]) -> Model:
        """The content as a `model`. Raises UserError, one line for each mistake."""
        try:
            validated = model.model_validate(self.content)
        except ValidationError as error:
            raise UserError(self.describe(error, model)) from None
        for location, found in _truths_read_as_numbers(self.content, validated):
            raise UserError(f"{self.place(location)}: expected a number, found {found!r}")
        return validated

    def describe(self, error: ValidationError, model: Any, location: Location = ()) -> str:
        """A line for each mistake in the section at `location`, which `model` describes."""
        problems = error.errors()
        said: dict[str, list[str]] = {}
        for problem in problems:
            inner = problem["loc"]
            if problem["type"] == "too_short" and any(
                p["loc"][: len(inner)] == inner for p in problems if p != problem
            ):
                continue  # a list is short only because its entries are wrong
            if problem["type"] == "missing" and any(_is_mistyped(p, inner) for p in problems):
                continue  # the key is there, mistyped, and that is told
            said.setdefault(self.place([*location, *inner]), []).append(_expectation(problem, model))
        # Several at one place: the branches of a union, none of which fits.
        return "\n".join(f"{place}: {'; or '.join(dict.fromkeys(texts))}" for place, texts in said.items())

    def place(self, location: Location) -> str:
        """File, line and key, as far as the file has them."""
        line, known = _line_of(self.root, location)
        key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in known).lstrip(".")
        return f"{self.path}:{line}: {key}" if key else f"{self.path}"


def read_yaml(path: Path, expected: str) -> YamlFile:
    """The mapping in a YAML file.

    Raises:
        UserError: no such file, not YAML, too large or too deep, or not a mapping (of `expected`, in words).
    """
    with reading(path):
        if not path.exists():
            raise UserError(f"{path}: no such file{_nearest_file(path)}")
        if path.stat().st_size > _MAX_BYTES:
            raise UserError(f"{path}: larger than {_MAX_BYTES:,} bytes; a page of YAML is expected")
        return parse_yaml(path, path.read_text(encoding="utf-8"), expected)


def parse_yaml(path: Path, text: str, expected: str) -> YamlFile:
    """Return the mapping in a text, which is said to be from `path`.

    Raises:
        UserError: not YAML, too deep, or not a mapping (of `expected`, in words).
    """
    try:
        loader = _UniqueKeyLoader(text)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise UserError(f"{path}:{line}: character {error.character:#x} is not allowed in YAML") from None
    try:
        root = loader.get_single_node()
        if root is not None and _written_out(root, {}) > _MAX_NODES:
            raise UserError(f"{path}: its aliases stand for more than {_MAX_NODES:,} values")
        content = loader.construct_document(root) if root is not None else None
    except yaml.YAMLError as error:
        raise UserError(f"{path}{_misplaced(text, error) or _yaml_place(error)}") from None
    except RecursionError:
        raise UserError(f"{path}: nested too deeply for this file") from None
    finally:
        loader.dispose()
    if root is None or not isinstance(content, dict):
        raise UserError(f"{path}: expected a mapping with {expected}, found {type(content).__name__}")
    return YamlFile(path, content, root)


def _written_out(node: yaml.Node, known: dict[int, int]) -> int:
    """Return how many values a node has when every alias in it is written out; a few lines can stand for billions."""
    if id(node) not in known:
        known[id(node)] = 1  # a node within itself counts once
        inner: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            inner = [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            inner = node.value
        known[id(node)] = 1 + sum(_written_out(part, known) for part in inner)
    return known[id(node)]


def _shown(value: object) -> str:
    """Return how a value is shown in a line, cut where it is long."""
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


def _nearest_file(path: Path) -> str:
    siblings = [sibling.name for sibling in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
    nearest = difflib.get_close_matches(path.name, siblings, n=1)
    return f"; did you mean {path.parent / nearest[0]}?" if nearest else ""


def _yaml_place(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f":{mark.line + 1}: {problem} (column {mark.column + 1})" if mark else f": {problem}"


_OF_INDENTATION = ("expected <block end>", "mapping values are not allowed", "sequence entries are not allowed")
"""Beginnings of what PyYAML says where a line is out of step."""


def _misplaced(text: str, error: yaml.YAMLError) -> str | None:
    """Say which line is out of step, where that is what the parser stumbled over; else return None."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or ""
    lines = text.splitlines()
    if mark is None or mark.line >= len(lines):
        return None
    line, place = lines[mark.line], f":{mark.line + 1}: indented by"
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return f"{place} a tab; YAML takes spaces only"
    before = [one for one in lines[: mark.line] if one.split("#")[0].strip()]
    is_in_brackets = any("".join(before).count(a) > "".join(before).count(b) for a, b in (("{", "}"), ("[", "]")))
    if not problem.startswith(_OF_INDENTATION) or not before or is_in_brackets:
        return None
    open_at: list[int] = []
    for one in reversed(before):
        starts = [_indentation(one)]
        if one.lstrip().startswith("- "):
            starts.insert(0, len(one) - len(one.lstrip().removeprefix("- ").lstrip()))
        open_at += [start for start in starts if not open_at or start < min(open_at)]
    if _indentation(line) in open_at:
        return None
    expected = " or ".join(str(column) for column in sorted(open_at))
    return f"{place} {_indentation(line)} spaces; expected {expected}, like the lines above"


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _line_of(node: yaml.Node, location: Location) -> tuple[int, list[Any]]:
    """Line (from 1) of the deepest part of `location` present in the file, and the location as far as it names
    keys (pydantic adds parts that are not, such as the branches of a union)."""
    line, known = node.start_mark.line + 1, []
    for position, part in enumerate(location):
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == str(part)), None)
            if found is None:
                if position == len(location) - 1:
                    known.append(part)
                continue
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            continue
        known.append(part)
    return line, known


def _expectation(problem: Any, model: Any) -> str:
    kind, context, found = problem["type"], problem.get("ctx", {}), problem["input"]
    if kind == "extra_forbidden":
        section, key = _section_at(problem["loc"], model), str(problem["loc"][-1])
        ours = getattr(section, "other_names", {}).get(key)
        if ours is not None:
            return f"unknown key {key!r}; here it is called {ours!r}"
        return str(UnknownName("key", key, section.model_fields))
    if kind == "literal_error":
        known = re.findall(r"'([^']*)'", context["expected"])
        return str(UnknownName("value", str(found), known))
    if kind == "missing" and isinstance(problem["loc"][-1], int):
        return "this list is too short: a pair is expected, [source, target]"
    if kind == "missing":
        return "this key is required"
    if kind == "too_short" and context["actual_length"]:
        return f"this list is too short: {context['min_length']} entries at least are expected, found {len(found)}"
    if kind == "too_short":
        return "this list is empty; at least one entry is expected"
    if kind in ("tuple_type", "list_type"):
        return f"expected a list, found {_shown(found)}"
    if kind in ("dict_type", "model_type", "model_attributes_type"):
        return f"expected a mapping of keys to values, found {_shown(found)}"
    if kind == "string_type" and isinstance(found, dict | list):
        return f"expected text, found a {'mapping' if isinstance(found, dict) else 'list'}"
    if kind == "string_type" and isinstance(found, bool):
        return f"expected text, found {found!r} (in YAML a truth: put it in quotes)"
    message = problem["msg"].removeprefix("Value error, ")
    if kind == "value_error" or isinstance(found, dict | list | tuple):
        return message
    return f"{message[0].lower()}{message[1:]}, found {_shown(found)}"


def _is_mistyped(problem: Any, missing: Location) -> bool:
    """Return whether `problem` is a key that does not exist but is much like the one missing beside it."""
    location = problem["loc"]
    return (
        problem["type"] == "extra_forbidden"
        and location[:-1] == missing[:-1]
        and bool(difflib.get_close_matches(str(location[-1]), [str(missing[-1])]))
    )


def _truths_read_as_numbers(found: Any, taken: Any, location: Location = ()) -> Iterator[tuple[Location, bool]]:
    """Yield where the file says true or false and the model took it for 1 or 0, as pydantic does."""
    if isinstance(found, bool):
        if isinstance(taken, int | float) and not isinstance(taken, bool):
            yield location, found
    elif isinstance(found, dict):
        for key, inner in found.items():
            part = taken.get(key) if isinstance(taken, dict) else getattr(taken, str(key), None)
            yield from _truths_read_as_numbers(inner, part, (*location, key))
    elif isinstance(found, list) and isinstance(taken, tuple | list):
        for position, (inner, part) in enumerate(zip(found, taken, strict=False)):
            yield from _truths_read_as_numbers(inner, part, (*location, position))


def _section_at(location: tuple[Any, ...], model: Any) -> Any:
    """Return the model of the section in which the last part of `location`, counted from `model`, stands."""
    for part in location[:-1]:
        field = model.model_fields.get(part)
        model = (_section_in(field.annotation) if field is not None else None) or model
    return model


def _section_in(annotation: Any) -> Any:
    """The model class inside an annotation such as `tuple[ModelEntry, ...]` or `Grid | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _section_in(argument)
        if found is not None:
            return found
    return None
