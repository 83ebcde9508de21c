"""Plugin `bli`: bilingual lexicon induction, the rank of every test pair's translation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

from compute.errors import JobError
from compute.plugin import Context, Job, Outcome, Planned, Plugin
from compute.plugins.costs import SECOND
from compute.plugins.pairs import DictionarySettings, test_digest
from compute.study import Study

_KEYS = ("method", "variant", "vectors", "source_language", "target_language", "dictionary_size", "seed")


class InduceLexicon(Plugin):
    """Rows of `raw.bli_ranks`, one job per mapping."""

    name = "bli"
    version = "1"

    def plan(self, study: Study, planned: Planned, config: Any) -> Iterable[Job]:
        if study.embeddings is None:
            return
        for mapping in [job for job in planned.jobs.values() if job.plugin == "mapping"]:
            train = DictionarySettings(**mapping.config["dictionary"])
            test = replace(train, size=study.embeddings.test_size)
            yield Job(
                plugin=self.name,
                version=self.version,
                config={
                    **{key: mapping.config[key] for key in _KEYS},
                    "train": asdict(train),
                    "test": asdict(test),
                    "test_sha256": test_digest(test),
                },
                inputs=(mapping.key,),
                label=mapping.label.replace("map ", "induce ", 1),
                batch=mapping.batch,
                cost=0.05 * SECOND,
            )

    def run(self, jobs: Sequence[Job], context: Context) -> Iterator[tuple[Job, Outcome]]:
        from compute.embeddings.bli import bli_rows
        from compute.embeddings.vectors import load_vectors

        for done, job in enumerate(jobs):
            context.report_progress(job.label, done / len(jobs))
            mapped = context.artifacts.path(job.inputs[0])
            try:
                rows = bli_rows(
                    load_vectors(mapped / "source"),
                    load_vectors(mapped / "target"),
                    DictionarySettings(**job.config["train"]).train(),
                    DictionarySettings(**job.config["test"]).test(),
                    device=context.device,
                )
            except ValueError as error:
                yield job, JobError(str(error))
                continue
            keys = {key: job.config[key] for key in _KEYS}
            yield job, {"bli_ranks": [keys | dict(row) for row in rows]}
