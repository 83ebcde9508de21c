"""The study file as JSON Schema, made from the models that read it: for editors, and for the reference in docs/."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

from compute.embeddings.downstream import CLASSIFIERS
from compute.embeddings.mappings import METHODS
from compute.embeddings.settings import CORPORA, PUBLISHED_DICTIONARIES, DictionaryFiles, DownloadedVectors, ReadVectors
from compute.errors import UserError
from compute.plugin import load_plugin, optional_plugins
from compute.study.schema import Study

_BY_NAME = ("ModelEntry", "MethodEntry", "ClassifierEntry", "FolderPrompt")
"""Sections that a bare text stands for."""

_DRAFT = "https://json-schema.org/draft/2020-12/schema"

_VECTORS: tuple[type[BaseModel], ...] = (*CORPORA.values(), ReadVectors, DownloadedVectors)


def study_schema() -> dict[str, Any]:
    """Return the schema of the file as it is written, short forms too.

    Of what is named, settings are those of the parts that are installed; whether there is one of a name, or a task has
    a language, is not told.
    """
    schema = Study.model_json_schema()
    parts = schema["$defs"]
    further: tuple[type[BaseModel], ...] = (*_VECTORS, DictionaryFiles)
    for model in further:
        own = model.model_json_schema(ref_template="#/$defs/{model}")
        parts.update(own.pop("$defs", {}))
        parts[model.__name__] = own
    for name in _BY_NAME:
        # The full form stays under a name of its own, so that the reference can list its keys.
        parts[f"{name}Keys"] = parts[name]
        parts[name] = {"anyOf": [{"type": "string"}, _ref(f"{name}Keys")]}
    parts["ModelEntryKeys"]["required"] = []  # a checkpoint is its own name
    parts["Grid"] = {"anyOf": [_ref("GridBlock"), {"type": "array", "items": _ref("GridBlock"), "minItems": 1}]}
    embeddings = parts["Embeddings"]["properties"]
    _by_name(embeddings["vectors"], {"anyOf": [_ref(model.__name__) for model in _VECTORS]})
    embeddings["dictionaries"]["anyOf"] = [{"enum": list(PUBLISHED_DICTIONARIES)}, _ref("DictionaryFiles")]
    _by_name(schema["properties"]["variants"], _ref("Variant"))
    _by_part(parts, schema["properties"]["plugins"])
    return {
        "$schema": _DRAFT,
        **schema,
        "title": "A study of Transfer Warehouse",
    }


def _by_name(section: dict[str, Any], content: dict[str, Any]) -> None:
    """Say what a mapping has under each name."""
    section["patternProperties"] = dict.fromkeys(section["patternProperties"], content)
    section["additionalProperties"] = False


def _by_part(parts: dict[str, Any], plugins: dict[str, Any]) -> None:
    """Say what may be set of each mapping method, classifier and plugin that is installed."""
    methods = {name: _settings(parts, f"method.{name}", METHODS.load, name) for name in METHODS}
    parts["MethodEntryKeys"]["allOf"] = [_if_named(name, settings) for name, settings in methods.items()]
    parts["Downstream"]["allOf"] = []
    for task, classifiers in CLASSIFIERS.items():
        told = {name: _settings(parts, f"classifier.{task}.{name}", classifiers.load, name) for name in classifiers}
        of_task = {"items": {"allOf": [_if_named(name, settings) for name, settings in told.items()]}}
        parts["Downstream"]["allOf"].append(_if({"task": {"const": task}}, {"classifiers": of_task}))
    plugins["properties"] = {
        name: _settings(parts, f"plugin.{name}", lambda name: load_plugin(name).Config, name)
        for name in optional_plugins()
    }


def _settings(
    parts: dict[str, Any], label: str, load: Callable[[str], type[BaseModel] | None], name: str
) -> dict[str, Any]:
    """Return what may be set of a part, put among `parts` as `label`; anything, where the part cannot be loaded."""
    try:
        model = load(name)
    except UserError:
        return {"type": "object"}
    if model is None:
        return {"type": "object", "maxProperties": 0}
    own = model.model_json_schema(ref_template=f"#/$defs/{label}.{{model}}")
    parts.update({f"{label}.{inner}": content for inner, content in own.pop("$defs", {}).items()})
    parts[label] = own
    return _ref(label)


def _if_named(name: str, settings: dict[str, Any]) -> dict[str, Any]:
    return _if({"name": {"const": name}}, {"settings": settings})


def _if(these: dict[str, Any], then: dict[str, Any]) -> dict[str, Any]:
    """Return the rule that a mapping with these values has those; it says nothing of a bare name."""
    return {
        "if": {"type": "object", "properties": these, "required": list(these)},
        "then": {"properties": then},
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/$defs/{name}"}
