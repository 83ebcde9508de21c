"""Plugin `vectors`: monolingual word vectors, one job per vector set and language."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from compute.embeddings.settings import TrainedVectors
from compute.errors import JobError
from compute.plugin import Context, Job, Outcome, Planned, Plugin
from compute.plugins.costs import SECOND
from compute.plugins.products import vectors_product
from compute.study import Study


class TrainVectors(Plugin):
    """Artefact: `.npy` and vocabulary. Lands no rows of its own: vectors are not numbers to query."""

    name = "vectors"
    version = "1"

    def plan(self, study: Study, planned: Planned, config: Any) -> Iterable[Job]:
        if study.embeddings is None:
            return
        for name, settings in study.embeddings.vectors.items():
            for language in study.embeddings.languages:
                yield Job(
                    plugin=self.name,
                    version=self.version,
                    config={"language": language, **settings.model_dump(mode="json")},
                    label=f"train vectors {name} for {language}",
                    batch=f"{name} {language}",
                    cost=settings.sentences * settings.epochs / 15_000 * SECOND,
                    provides=("vectors", vectors_product(name, language)),
                    leaves_artifact=True,
                )

    def run(self, jobs: Sequence[Job], context: Context) -> Iterator[tuple[Job, Outcome]]:
        from compute.embeddings.numeral_corpus import numeral_sentences
        from compute.embeddings.training import train_vectors
        from compute.embeddings.vectors import save_vectors

        for job in jobs:
            context.report_progress(job.label, 0.0)
            config = dict(job.config)
            language = config.pop("language")
            settings = TrainedVectors(**config)
            if not context.artifacts.has(job.key):
                try:
                    text = numeral_sentences(language, settings.sentences, settings.highest_number, settings.seed)
                    vectors = train_vectors(text, settings)
                except ValueError as error:
                    yield job, JobError(str(error))
                    continue
                with context.artifacts.commit([job.key]) as folders:
                    save_vectors(vectors, folders[job.key])
            yield job, {}
