"""Plugin `isometry`: how alike two languages' vectors are before any map is learnt."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from compute.embeddings.dictionary import seed_rows
from compute.embeddings.isometry import MEASURES
from compute.embeddings.vectors import load_vectors
from compute.errors import JobError
from compute.plugin import Context, Job, Outcome, Planned, Plugin
from compute.plugins.costs import SECOND
from compute.plugins.pairs import DictionarySettings, planned_pairs, train_digest
from compute.study import Study


class Isometry(Plugin):
    """Rows of `raw.isometry`, one job per vector set and language pair."""

    name = "isometry"
    version = "1"

    def plan(self, study: Study, planned: Planned, config: Any) -> Iterable[Job]:
        embeddings = study.embeddings
        if embeddings is None or not embeddings.isometry:
            return
        for pair in planned_pairs(embeddings, planned):
            dictionary = DictionarySettings(
                pair.source, pair.target, max(embeddings.dictionary_sizes), pair.highest_number, embeddings.seeds[0]
            )
            yield Job(
                plugin=self.name,
                version=self.version,
                config={
                    "vectors": pair.vectors,
                    "source_language": pair.source,
                    "target_language": pair.target,
                    "measures": list(embeddings.isometry),
                    "dictionary": asdict(dictionary),
                    "train_sha256": train_digest(dictionary),
                },
                inputs=tuple(job.key for job in pair.jobs),
                label=f"isometry {pair.label}",
                batch=f"of pairs from {pair.source}",
                cost=0.3 * SECOND,
            )

    def run(self, jobs: Sequence[Job], context: Context) -> Iterator[tuple[Job, Outcome]]:
        for done, job in enumerate(jobs):
            context.report_progress(job.label, done / len(jobs))
            source, target = (load_vectors(context.artifacts.path(key)) for key in job.inputs)
            keys = {name: job.config[name] for name in ("vectors", "source_language", "target_language")}
            try:
                seeds = seed_rows(source, target, DictionarySettings(**job.config["dictionary"]).train())
                rows = [
                    {**keys, "measure": name, "value": MEASURES[name](source, target, seeds)}
                    for name in job.config["measures"]
                ]
            except ValueError as error:
                yield job, JobError(str(error))
                continue
            yield job, {"isometry": rows}
