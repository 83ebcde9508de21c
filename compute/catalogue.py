"""What a study may name, for `transfer ls`."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

from compute.errors import UserError
from compute.names import UnknownName


def _tasks() -> list[str]:
    from compute.tasks import TASKS, load_task

    return [f"{name} ({len(load_task(name).languages)} languages)" for name in TASKS]


def _languages() -> list[str]:
    from compute.tasks import TASKS, load_task

    return sorted({language for name in TASKS for language in load_task(name).languages})


def _families() -> list[str]:
    from compute.language_models.settings import Family

    return list(get_args(Family))


def _methods() -> list[str]:
    from compute.embeddings.mappings import METHODS

    return list(METHODS)


def _classifiers() -> list[str]:
    from compute.embeddings.downstream import CLASSIFIERS

    return [f"{name} ({task})" for task, names in CLASSIFIERS.items() for name in names]


def _collections() -> list[str]:
    from compute.embeddings.downstream import COLLECTIONS

    return [f"{name} ({task})" for task, names in COLLECTIONS.items() for name in names]


def _measures() -> list[str]:
    from compute.embeddings.isometry import MEASURES

    return list(MEASURES)


def _plugins() -> list[str]:
    from compute.plugin import BUILT_IN, optional_plugins

    return [*BUILT_IN, *(f"{name} (under plugins:)" for name in optional_plugins())]


def _executors() -> list[str]:
    from compute.executors import EXECUTORS

    return list(EXECUTORS)


_KINDS: dict[str, Callable[[], list[str]]] = {
    "tasks": _tasks,
    "languages": _languages,
    "families": _families,
    "methods": _methods,
    "measures": _measures,
    "classifiers": _classifiers,
    "collections": _collections,
    "plugins": _plugins,
    "executors": _executors,
}


def listing(kind: str | None) -> dict[str, list[str]]:
    """Names by kind, or of one kind. Raises UserError for a kind there is not, with the nearest."""
    if kind is not None and kind not in _KINDS:
        raise UserError(str(UnknownName("kind", kind, _KINDS)))
    return {name: names() for name, names in _KINDS.items() if kind in (None, name)}
