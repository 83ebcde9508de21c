"""What the plugins of the downstream tasks share: a job for each mapping, collection, classifier and seed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from compute.embeddings.downstream import load_classifier
from compute.embeddings.downstream.classifiers import Classifier
from compute.embeddings.downstream.collections import Collection
from compute.embeddings.downstream.settings import Downstream, open_collection
from compute.embeddings.downstream.texts import words_of
from compute.embeddings.vectors import Vectors, load_vectors
from compute.errors import JobError, UserError
from compute.plugin import Context, Job, Outcome, Planned, Plugin
from compute.plugins.costs import SECOND
from compute.plugins.mishaps import of_one_job
from compute.plugins.pairs import planned_pairs
from compute.study import Study

_MAPPING = ("method", "variant", "vectors", "source_language", "target_language", "dictionary_size")
_KEYS = (*_MAPPING, "seed", "task", "collection")


class MappedPair(NamedTuple):
    """Two languages whose vectors are in one space."""

    source: Vectors
    target: Vectors
    source_language: str
    target_language: str
    lower_case: bool
    """True: the words of both vocabularies are in lower case."""

    def source_words(self, texts: Iterable[str]) -> list[list[str]]:
        """The words of texts in the source language."""
        return [words_of(text, self.source_language, self.lower_case) for text in texts]

    def target_words(self, texts: Iterable[str]) -> list[list[str]]:
        """The words of texts in the target language."""
        return [words_of(text, self.target_language, self.lower_case) for text in texts]


class DownstreamPlugin(Plugin):
    """Rows of `raw.downstream_items`. The name of the plugin is that of its task."""

    seconds: float = 5.0
    """About how long a job takes."""

    @abstractmethod
    def rows(
        self, pair: MappedPair, collection: Collection, classifier: Classifier, seed: int, device: str
    ) -> Iterator[dict[str, Any]]:
        """A row for each item, less the keys that all of a job's rows share."""

    def plan(self, study: Study, planned: Planned, config: Any) -> Iterable[Job]:
        embeddings = study.embeddings
        entries = [one for one in embeddings.downstream if one.task == self.name] if embeddings else []
        if embeddings is None or not entries:
            return
        lower_cases = {pair.vectors: pair.settings.lower_cases for pair in planned_pairs(embeddings, planned)}
        digests: dict[tuple[int, str, str], str] = {}
        for mapping in [job for job in planned.jobs.values() if job.plugin == "mapping"]:
            source, target = mapping.config["source_language"], mapping.config["target_language"]
            for number, entry in enumerate(entries):
                if not entry.runs_on(source, target):
                    continue
                if (number, source, target) not in digests:
                    digests[number, source, target] = entry.open().digest(source, target)
                common = {
                    **{key: mapping.config[key] for key in _MAPPING},
                    "lower_case": lower_cases[mapping.config["vectors"]],
                    "data_sha256": digests[number, source, target],
                }
                yield from self._jobs(entry, mapping, common)

    def _jobs(self, entry: Downstream, mapping: Job, common: dict[str, Any]) -> Iterator[Job]:
        for chosen in entry.classifiers:
            classifier = entry.build(chosen)
            for seed in (entry.seeds if classifier.draws else ()) or (mapping.config["seed"],):
                what = mapping.label.removeprefix("map ").replace(f" seed {mapping.config['seed']}", "")
                yield Job(
                    plugin=self.name,
                    version=self.version,
                    config={
                        **common,
                        "seed": seed,
                        "task": entry.task,
                        "collection": entry.collection,
                        "classifier": chosen.shown,
                        "model": chosen.name,
                        "settings": classifier.model_dump(mode="json"),
                    },
                    inputs=(mapping.key,),
                    label=f"{entry.task} {entry.collection} by {chosen.shown}: {what} seed {seed}",
                    batch=mapping.batch,
                    cost=self.seconds * SECOND,
                    hints={"folder": None if entry.folder is None else str(entry.open().folder)},
                )

    def run(self, jobs: Sequence[Job], context: Context) -> Iterator[tuple[Job, Outcome]]:
        for done, job in enumerate(jobs):
            context.report_progress(job.label, done / len(jobs))
            config = job.config
            try:
                collection = _open(job)
                classifier = load_classifier(self.name, config["model"])(**config["settings"])
                source, target = (load_vectors(context.artifacts.path(job.inputs[0]) / side) for side in _SIDES)
                languages = config["source_language"], config["target_language"]
                pair = MappedPair(source, target, *languages, config["lower_case"])
                keys = {key: config[key] for key in (*_KEYS, "classifier")}
                with of_one_job():
                    found = self.rows(pair, collection, classifier, config["seed"], context.device)
                    rows = [keys | row for row in found]
            except (ValueError, UserError, JobError) as error:
                yield job, JobError(str(error))
                continue
            yield job, {"downstream_items": rows}


_SIDES = ("source", "target")


def _open(job: Job) -> Collection:
    """The collection that a job was planned with. Raises JobError if it is not what it was."""
    folder, config = job.hints["folder"], job.config
    collection = open_collection(config["task"], config["collection"], folder)
    languages = config["source_language"], config["target_language"]
    if not collection.covers(*languages) or collection.digest(*languages) != config["data_sha256"]:
        raise JobError(f"the collection {config['collection']} in {folder} has changed since it was planned")
    return collection
