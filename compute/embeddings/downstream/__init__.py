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

CLASSIFIERS: dict[str, Registry[type[Classifier]]] = {
    task: Registry(
        f"classifier of {task}",
        f"transfer.{task}_classifiers",
        {name: f"compute.embeddings.downstream.{place}" for name, place in ours.items()},
        f"compute.embeddings.downstream.classifiers:{base}",
    )
    for task, base, ours in (
        ("cldc", "DocumentClassifier", {"averages": "averages:AverageVectors", "cnn": "cnn:ConvolutionalNetwork"}),
        (
            "clir",
            "RetrievalModel",
            {"query_likelihood": "query_likelihood:QueryLikelihood", "agg_idf": "agg_idf:WeightedAverages"},
        ),
        ("xnli", "InferenceModel", {"esim": "esim:EnhancedSequentialInference"}),
    )
}
"""By task."""

COLLECTIONS: dict[str, Registry[type[Collection]]] = {
    task: Registry(
        f"collection of {task}",
        f"transfer.{task}_collections",
        {name: f"compute.embeddings.downstream.{place}" for name, place in ours.items()},
        f"compute.embeddings.downstream.collections:{base}",
    )
    for task, base, ours in (
        (
            "cldc",
            "Classification",
            {"sib-200": "sib_200:Sib200", "ted": "ted:Ted", "folder": "own_files:OwnDocuments"},
        ),
        (
            "clir",
            "Retrieval",
            {
                "xquad": "xquad:Xquad",
                "ntrex": "ntrex:Ntrex",
                "clef": "clef:Clef",
                "folder": "own_files:OwnSearch",
            },
        ),
        ("xnli", "Inference", {"xnli": "xnli:Xnli", "folder": "own_files:OwnPairs"}),
    )
}
"""By task."""

_Part = TypeVar("_Part")


def of_task(registries: Mapping[str, Registry[_Part]], task: str) -> Registry[_Part]:
    """Return the registry of a task. Raises UnknownName for a task there is not."""
    if task not in registries:
        raise UnknownName("downstream task", task, registries)
    return registries[task]


def load_classifier(task: str, name: str) -> type[Classifier]:
    """Return the class of a task's classifier; `load_classifier(task, name)(**settings)` is the classifier itself.

    Raises:
        compute.names.UnknownName: no such task, or it has no such classifier.
    """
    return of_task(CLASSIFIERS, task).load(name)


def load_collection(task: str, name: str) -> type[Collection]:
    """Return the class of a task's collection. Raises as `load_classifier` does."""
    return of_task(COLLECTIONS, task).load(name)
