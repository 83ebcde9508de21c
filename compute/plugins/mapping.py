"""Plugin `mapping`: the vectors of two languages brought into one space."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from compute.embeddings.dictionary import seed_rows
from compute.embeddings.mappings import load_method
from compute.embeddings.vectors import load_vectors, preprocess, save_vectors
from compute.errors import JobError
from compute.plugin import Context, Job, Outcome, Planned, Plugin
from compute.plugins.costs import SECOND
from compute.plugins.pairs import DictionarySettings, planned_pairs, train_digest
from compute.study import Study


class Map(Plugin):
    """Artefact: `source/` and `target/`, the mapped vectors of both sides. Lands no rows of its own."""

    name = "mapping"
    version = "1"

    def plan(self, study: Study, planned: Planned, config: Any) -> Iterable[Job]:
        embeddings = study.embeddings
        if embeddings is None:
            return
        for pair in planned_pairs(embeddings, planned):
            for method in embeddings.methods:
                for variant, preprocessing in embeddings.preprocessings.items():
                    for size in embeddings.dictionary_sizes:
                        for seed in embeddings.seeds:
                            dictionary = DictionarySettings(pair.source, pair.target, size, pair.highest_number, seed)
                            yield Job(
                                plugin=self.name,
                                version=self.version,
                                config={
                                    "method": method.name,
                                    "settings": method.build().model_dump(mode="json"),
                                    "variant": variant,
                                    "preprocessing": preprocessing,
                                    "vectors": pair.vectors,
                                    "source_language": pair.source,
                                    "target_language": pair.target,
                                    "dictionary_size": size,
                                    "seed": seed,
                                    "dictionary": asdict(dictionary),
                                    "train_sha256": train_digest(dictionary),
                                },
                                inputs=tuple(job.key for job in pair.jobs),
                                label=f"map {pair.label} by {method.name} {variant} {size} pairs seed {seed}",
                                batch=f"of pairs from {pair.source}",
                                cost=0.03 * SECOND,
                                leaves_artifact=True,
                            )

    def run(self, jobs: Sequence[Job], context: Context) -> Iterator[tuple[Job, Outcome]]:
        for done, job in enumerate(jobs):
            context.report_progress(job.label, done / len(jobs))
            if not context.artifacts.has(job.key):
                try:
                    self._map(job, context)
                except ValueError as error:
                    yield job, JobError(str(error))
                    continue
            yield job, {}

    def _map(self, job: Job, context: Context) -> None:
        source, target = (
            preprocess(load_vectors(context.artifacts.path(key)), job.config["preprocessing"]) for key in job.inputs
        )
        seeds = seed_rows(source, target, DictionarySettings(**job.config["dictionary"]).train())
        method = load_method(job.config["method"])(**job.config["settings"])
        mapped = method.fit(source, target, seeds).apply(source, target)
        with context.artifacts.commit([job.key]) as folders:
            for side, vectors in zip(("source", "target"), mapped, strict=True):
                save_vectors(vectors, folders[job.key] / side)
