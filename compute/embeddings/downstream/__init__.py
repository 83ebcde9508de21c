"""What mapped vectors are for: three tasks that are learnt, or asked, in one language and answered in another
(Glavaš et al. 2019, section 4).

* `cldc`: a classifier of documents trained in the source language, tested in the target language;
* `clir`: queries of the source language, documents of the target language;
* `xnli`: a model of inference between sentences, trained in the source language, tested in the target language.

A task's items come from a *collection*, and are put to a *classifier* (of `clir`: a retrieval model). Both are looked
up here, by task and name, and imported on first use.

To add a classifier: one file with a subclass of the task's base class in `compute.embeddings.downstream.classifiers`,
its fields the settings; one line in `CLASSIFIERS`. To add a collection: one file with a subclass of the task's base
class in `compute.embeddings.downstream.collections`; one line in `COLLECTIONS`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from compute.names import UnknownName

if TYPE_CHECKING:
    from compute.embeddings.downstream.classifiers import Classifier
    from compute.embeddings.downstream.collections import Collection

CLASSIFIERS: dict[str, dict[str, str]] = {
    "cldc": {
        "averages": "compute.embeddings.downstream.averages:AverageVectors",
        "cnn": "compute.embeddings.downstream.cnn:ConvolutionalNetwork",
    },
    "clir": {
        "query_likelihood": "compute.embeddings.downstream.query_likelihood:QueryLikelihood",
        "agg_idf": "compute.embeddings.downstream.agg_idf:WeightedAverages",
    },
    "xnli": {
        "esim": "compute.embeddings.downstream.esim:EnhancedSequentialInference",
    },
}
"""Task -> name in a study -> "module:class"."""

COLLECTIONS: dict[str, dict[str, str]] = {
    "cldc": {
        "sib-200": "compute.embeddings.downstream.sib_200:Sib200",
        "ted": "compute.embeddings.downstream.ted:Ted",
        "folder": "compute.embeddings.downstream.own_files:OwnDocuments",
    },
    "clir": {
        "xquad": "compute.embeddings.downstream.xquad:Xquad",
        "ntrex": "compute.embeddings.downstream.ntrex:Ntrex",
        "clef": "compute.embeddings.downstream.clef:Clef",
        "folder": "compute.embeddings.downstream.own_files:OwnSearch",
    },
    "xnli": {
        "xnli": "compute.embeddings.downstream.xnli:Xnli",
        "folder": "compute.embeddings.downstream.own_files:OwnPairs",
    },
}
"""Task -> name in a study -> "module:class"."""


def load_classifier(task: str, name: str) -> type[Classifier]:
    """The class of a task's classifier; `load_classifier(task, name)(**settings)` is the classifier itself.

    Raises:
        compute.names.UnknownName: no such task, or it has no such classifier.
    """
    return cast("type[Classifier]", _load(CLASSIFIERS, "classifier", task, name))


def load_collection(task: str, name: str) -> type[Collection]:
    """The class of a task's collection.

    Raises:
        compute.names.UnknownName: no such task, or it has no such collection.
    """
    return cast("type[Collection]", _load(COLLECTIONS, "collection", task, name))


def check_name(registry: dict[str, dict[str, str]], kind: str, task: str, name: str) -> None:
    """Raises UnknownName unless `name` is a `kind` of the task; nothing is imported."""
    if task not in registry:
        raise UnknownName("downstream task", task, registry)
    if name not in registry[task]:
        raise UnknownName(f"{kind} of {task}", name, registry[task])


def _load(registry: dict[str, dict[str, str]], kind: str, task: str, name: str) -> Any:
    check_name(registry, kind, task, name)
    module, _, attribute = registry[task][name].partition(":")
    return getattr(import_module(module), attribute)
