"""What mapped vectors are for: three tasks that are learnt, or asked, in one language and answered in another
(Glavaš et al. 2019, section 4).

* `cldc`: a classifier of documents trained in the source language, tested in the target language;
* `clir`: queries of the source language, documents of the target language;
* `xnli`: a model of inference between sentences, trained in the source language, tested in the target language.

A task's items come from a *collection*, and are put to a *classifier* (of `clir`: a retrieval model). Both are looked
up here, by task and name, and imported on first use.

To add a classifier: one file with a subclass of the task's base class in `compute.embeddings.downstream.classifiers`,
its fields the settings; one line in `CLASSIFIERS`. To add a collection: one file with a subclass of the task's base
class in `compute.embeddings.downstream.collections`; one line in `COLLECTIONS`. In a package of your own the lines are
entry points of the groups `transfer.cldc_classifiers`, `transfer.cldc_collections`, and so on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

from compute.names import UnknownName
from compute.registry import Registry

if TYPE_CHECKING:
    from compute.embeddings.downstream.classifiers import Classifier
    from compute.embeddings.downstream.collections import Collection

_Part = TypeVar("_Part")


def _by_task(kind: str, module: str, ours: Mapping[str, tuple[str, dict[str, str]]]) -> dict[str, Registry[_Part]]:
    """Return a registry a task; `ours`: task -> base class of its parts, and those of ours by name."""
    here = "compute.embeddings.downstream"
    return {
        task: Registry(
            f"{kind} of {task}",
            f"transfer.{task}_{kind}s",
            {name: f"{here}.{place}" for name, place in parts.items()},
            f"{here}.{module}:{base}",
        )
        for task, (base, parts) in ours.items()
    }


CLASSIFIERS: dict[str, Registry[type[Classifier]]] = _by_task(
    "classifier",
    "classifiers",
    {
        "cldc": ("DocumentClassifier", {"averages": "averages:AverageVectors", "cnn": "cnn:ConvolutionalNetwork"}),
        "clir": (
            "RetrievalModel",
            {"query_likelihood": "query_likelihood:QueryLikelihood", "agg_idf": "agg_idf:WeightedAverages"},
        ),
        "xnli": ("InferenceModel", {"esim": "esim:EnhancedSequentialInference"}),
    },
)
"""By task."""

COLLECTIONS: dict[str, Registry[type[Collection]]] = _by_task(
    "collection",
    "collections",
    {
        "cldc": ("Classification", {"sib-200": "sib_200:Sib200", "ted": "ted:Ted", "folder": "own_files:OwnDocuments"}),
        "clir": (
            "Retrieval",
            {"xquad": "xquad:Xquad", "ntrex": "ntrex:Ntrex", "clef": "clef:Clef", "folder": "own_files:OwnSearch"},
        ),
        "xnli": ("Inference", {"xnli": "xnli:Xnli", "folder": "own_files:OwnPairs"}),
    },
)
"""By task."""


def of_task(registries: Mapping[str, Registry[_Part]], task: str) -> Registry[_Part]:
    """Return the registry of a task. Raises UnknownName for a task there is not."""
    if task not in registries:
        raise UnknownName("downstream task", task, registries)
    return registries[task]
