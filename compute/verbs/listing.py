"""What a study, or a command, may name: for `transfer ls`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any, get_args

from compute.names import UnknownName
from compute.registry import Registry


def _named(registry: Registry[Any], note: Callable[[str], str | None] | None = None) -> list[str]:
    """Return the names of a registry, each with a note and with the package it is from if that is not this one."""
    notes = {name: filter(None, (note and note(name), registry.package(name))) for name in registry}
    return [f"{name} ({', '.join(said)})" if said else name for name, said in ((n, list(s)) for n, s in notes.items())]


def _tasks() -> list[str]:
    from compute.tasks import TASKS

    return _named(TASKS, lambda name: f"{len(TASKS[name].languages)} languages")


def _languages() -> Iterable[str]:
    from compute.tasks import TASKS

    return sorted({language for name in TASKS for language in TASKS[name].languages})


def _families() -> Iterable[str]:
    from compute.language_models.settings import Family

    return get_args(Family)


def _plugins() -> list[str]:
    from compute.plugin import BUILT_IN, PLUGINS

    return _named(PLUGINS, lambda name: None if name in BUILT_IN else "under plugins:")


def _registry(module: str, name: str) -> Callable[[], list[str]]:
    """Return what lists a registry, or registries by task; its module is imported when it is asked for."""

    def names() -> list[str]:
        found = getattr(import_module(module), name)
        if isinstance(found, Registry):
            return _named(found)
        return [one for task, own in found.items() for one in _named(own, dict.fromkeys(own, task).get)]

    return names


_KINDS: dict[str, Callable[[], Iterable[str]]] = {
    "tasks": _tasks,
    "languages": _languages,
    "families": _families,
    "methods": _registry("compute.embeddings.mappings", "METHODS"),
    "measures": _registry("compute.embeddings.isometry", "MEASURES"),
    "classifiers": _registry("compute.embeddings.downstream", "CLASSIFIERS"),
    "collections": _registry("compute.embeddings.downstream", "COLLECTIONS"),
    "plugins": _plugins,
    "importers": _registry("compute.importers", "IMPORTERS"),
    "executors": _registry("compute.engine.executors", "EXECUTORS"),
    "predictors": _registry("compute.prediction.predictors", "PREDICTORS"),
}


def listing(kind: str | None, also: Iterable[str] = ()) -> dict[str, list[str]]:
    """Return names by kind, or of one kind.

    Raises:
        UnknownName: no such kind; the nearest of ours, or of those that there are `also`.
    """
    if kind is not None and kind not in _KINDS:
        raise UnknownName("kind", kind, (*_KINDS, *also))
    return {name: list(names()) for name, names in _KINDS.items() if kind in (None, name)}
