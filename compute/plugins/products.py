"""How plugins name what they make, so that others find it in the plan without knowing who made it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compute.plugin import Job, digest

if TYPE_CHECKING:
    from compute.embeddings.settings import VectorSet


def items_product(task: str, language: str) -> str:
    """The items of a task in a language, kind `items`."""
    return f"{task}/{language}"


def vectors_product(name: str, language: str) -> str:
    """A vector set's vectors of a language, kind `vectors`."""
    return f"{name}/{language}"


def model_label(name: str, job: Job) -> str:
    """`name@digest`: a model as named in rows, tied to exactly the pre-training `job` that made it."""
    return f"{name}@{job.key[:8]}"


def vectors_label(name: str, settings: VectorSet) -> str:
    """`name@digest`: a vector set as named in rows, tied to exactly these settings; the content of files is in the keys
    of the jobs that read them, one a language."""
    return f"{name}@{digest(settings.identity())[:8]}"
