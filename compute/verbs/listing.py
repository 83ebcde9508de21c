"""What a study, or a command, may name: for `transfer ls`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_args

from compute.names import UnknownName
from compute.registry import Registry


def _named(registry: Registry[Any], note: Callable[[str], str | None] | None = None) -> list[str]:
    """Return the names of a registry, each with a note and with the package it is from if that is not this one."""
    notes = {name: filter(None, (note and note(name), registry.package(name))) for name in registry}
    return [f"{name} ({', '.join(said)})" if said else name for name, said in ((n, list(s)) for n, s in notes.items())]


def _of_tasks(registries: Mapping[str, Registry[Any]]) -> list[str]:
    return [name for task, registry in registries.items() for name in _named(registry, {}.fromkeys(registry, task).get)]


def _tasks() -> list[str]:
    from compute.tasks import TASKS

    return _named(TASKS, lambda name: f"{len(TASKS[name].languages)} languages")


def _languages() -> Iterable[str]:
    from compute.tasks import TASKS

    return sorted({language for name in TASKS for language in TASKS[name].languages})


def _families() -> Iterable[str]:
    from compute.language_models.settings import Family

    return get_args(Family)


def _methods() -> list[str]:
    from compute.embeddings.mappings import METHODS

    return _named(METHODS)


def _measures() -> list[str]:
    from compute.embeddings.isometry import MEASURES

    return _named(MEASURES)


def _classifiers() -> list[str]:
    from compute.embeddings.downstream import CLASSIFIERS

    return _of_tasks(CLASSIFIERS)


def _collections() -> list[str]:
    from compute.embeddings.downstream import COLLECTIONS

    return _of_tasks(COLLECTIONS)


def _plugins() -> list[str]:
    from compute.plugin import BUILT_IN, PLUGINS

    return _named(PLUGINS, lambda name: None if name in BUILT_IN else "under plugins:")


def _importers() -> list[str]:
    from compute.importers import IMPORTERS

    return _named(IMPORTERS)


def _executors() -> list[str]:
    from compute.engine.executors import EXECUTORS

    return _named(EXECUTORS)


def _predictors() -> list[str]:
    from compute.prediction.predictors import PREDICTORS

    return _named(PREDICTORS)


_KINDS: dict[str, Callable[[], Iterable[str]]] = {
    "tasks": _tasks,
    "languages": _languages,
    "families": _families,
    "methods": _methods,
    "measures": _measures,
    "classifiers": _classifiers,
    "collections": _collections,
    "plugins": _plugins,
    "importers": _importers,
    "executors": _executors,
    "predictors": _predictors,
}


def listing(kind: str | None, also: Iterable[str] = ()) -> dict[str, list[str]]:
    """Return names by kind, or of one kind.

    Raises:
        UnknownName: no such kind; the nearest of ours, or of those that there are `also`.
    """
    if kind is not None and kind not in _KINDS:
        raise UnknownName("kind", kind, (*_KINDS, *also))
    return {name: list(names()) for name, names in _KINDS.items() if kind in (None, name)}
