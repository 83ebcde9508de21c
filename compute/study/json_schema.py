"""The study file as JSON Schema, made from the models that read it: for editors, and for the reference in docs/."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from compute.embeddings.settings import CORPORA, PUBLISHED_DICTIONARIES, DictionaryFiles, DownloadedVectors, ReadVectors
from compute.study.schema import Study

_BY_NAME = ("ModelEntry", "MethodEntry", "ClassifierEntry", "FolderPrompt")
"""Sections that a bare text stands for."""

_DRAFT = "https://json-schema.org/draft/2020-12/schema"

_VECTORS: tuple[type[BaseModel], ...] = (*CORPORA.values(), ReadVectors, DownloadedVectors)


def study_schema() -> dict[str, Any]:
    """Return the schema of the file as it is written, short forms too. What names mean is not looked up."""
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
    return {
        "$schema": _DRAFT,
        **schema,
        "title": "A study of Transfer Warehouse",
    }


def _by_name(section: dict[str, Any], content: dict[str, Any]) -> None:
    """Say what a mapping has under each name."""
    section["patternProperties"] = dict.fromkeys(section["patternProperties"], content)
    section["additionalProperties"] = False


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/$defs/{name}"}
