"""What the plugins of the downstream tasks share: a job for each mapping, collection, classifier and seed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from pydantic import Field, SerializeAsAny

from compute.embeddings.downstream.classifiers import Classifier
from compute.embeddings.downstream.collections import Collection
from compute.embeddings.downstream.settings import Downstream, open_collection
from compute.embeddings.downstream.texts import words_of
from compute.embeddings.vectors import Vectors, load_vectors
from compute.errors import JobError
from compute.plugin import Context, Job, Outcome, Planned, Plugin
from compute.plugins.costs import SECOND
from compute.plugins.one_job import failing_one_job, one_by_one
from compute.plugins.products import MAPPED, MappedVectors, MappingKeys
from compute.study.schema import Study


class Answering(MappingKeys):
    """The items of a collection, put to a classifier that works on mapped vectors."""

    lower_case: bool
    data_sha256: str
    task: str
    collection: str
    label: str = Field(serialization_alias="classifier")
    """`classifier` of its rows."""
    classifier: str = Field(serialization_alias="model")
    settings: SerializeAsAny[Classifier]
    folder: str | None = Field(exclude=True)
    classifier_version: str = "1"

    added = frozenset({"classifier_version"})


class LanguagePair(NamedTuple):
    """Two languages whose vectors are in one space."""

    source: Vectors
    target: Vectors
    source_language: str
    target_language: str
    lower_case: bool
    """True: the words of both vocabularies are in lower case."""

    def source_words(self, texts: Iterable[str]) -> list[list[str]]:
        """Return the words of texts in the source language."""
        return [words_of(text, self.source_language, self.lower_case) for text in texts]

    def target_words(self, texts: Iterable[str]) -> list[list[str]]:
        """Return the words of texts in the target language."""
        return [words_of(text, self.target_language, self.lower_case) for text in texts]


class DownstreamPlugin(Plugin):
    """Rows of `raw.downstream_items`. The name of the plugin is that of its task."""

    seconds: float = 5.0
    """About how long a job takes."""

    @abstractmethod
    def rows(
        self, pair: LanguagePair, collection: Collection, classifier: Classifier, seed: int, device: str
    ) -> Iterator[dict[str, Any]]:
        """Yield a row for each item, less the keys that all of a job's rows share."""

    def plan(self, study: Study, planned: Planned, config: Any) -> Iterable[Job]:
        embeddings = study.embeddings
        entries = [one for one in embeddings.downstream if one.task == self.name] if embeddings else []
        if embeddings is None or not entries:
            return
        digests: dict[tuple[int, str, str], str] = {}
        for key, mapped in planned.all(MappedVectors):
            source, target = mapped.keys.source_language, mapped.keys.target_language
            for number, entry in enumerate(entries):
                if not entry.runs_on(source, target):
                    continue
                if (number, source, target) not in digests:
                    digests[number, source, target] = entry.open().digest(source, target)
                yield from self._jobs(entry, key, mapped, digests[number, source, target])

    def _jobs(self, entry: Downstream, key: str, mapped: MappedVectors, data_sha256: str) -> Iterator[Job[Answering]]:
        for chosen in entry.classifiers:
            classifier = entry.build(chosen)
            for seed in (entry.seeds if classifier.draws else ()) or (mapped.keys.seed,):
                yield Job(
                    plugin=self.name,
                    version=self.version,
                    config=Answering(
                        **mapped.keys.keys | {"seed": seed},
                        lower_case=mapped.lower_case,
                        data_sha256=data_sha256,
                        task=entry.task,
                        collection=entry.collection,
                        label=chosen.shown,
                        classifier=chosen.name,
                        settings=classifier,
                        classifier_version=classifier.version,
                        folder=None if entry.folder is None else str(entry.open().folder),
                    ),
                    inputs={MAPPED: key},
                    label=f"{entry.task} {entry.collection} by {chosen.shown}: {mapped.what} seed {seed}",
                    batch=mapped.batch,
                    cost=self.seconds * SECOND,
                    work=f"{chosen.name}/{entry.collection}",
                )

    def run(self, jobs: Sequence[Job], context: Context) -> Iterator[tuple[Job, Outcome]]:
        return one_by_one(jobs, context, self._answered)

    def _answered(self, job: Job[Answering], context: Context) -> Outcome:
        config = job.config
        collection = _open(config)
        source, target = (load_vectors(context.artifacts.path(job.inputs[MAPPED]) / side) for side in _SIDES)
        pair = LanguagePair(source, target, config.source_language, config.target_language, config.lower_case)
        keys = config.keys | {"task": config.task, "collection": config.collection, "classifier": config.label}
        with failing_one_job():
            found = self.rows(pair, collection, config.settings, config.seed, context.device)
            return {"downstream_items": [keys | row for row in found]}


_SIDES = ("source", "target")


def _open(config: Answering) -> Collection:
    """Return the collection that a job was planned with. Raises JobError if it is not what it was."""
    collection = open_collection(config.task, config.collection, config.folder)
    languages = config.source_language, config.target_language
    if not collection.covers(*languages) or collection.digest(*languages) != config.data_sha256:
        raise JobError(f"the collection {config.collection} in {config.folder} has changed since it was planned")
    return collection
