"""Plugin `bli`: bilingual lexicon induction, the rank of every test pair's translation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from compute.errors import JobError, UserError
from compute.plugin import Context, Job, Outcome, Planned, Plugin
from compute.plugins.costs import SECOND
from compute.plugins.mishaps import of_one_job
from compute.plugins.pairs import open_dictionary, planned_pairs, planned_words
from compute.study import Study

_KEYS = ("method", "variant", "vectors", "source_language", "target_language", "dictionary_size", "seed")


class InduceLexicon(Plugin):
    """Rows of `raw.bli_ranks`, one job per mapping."""

    name = "bli"
    version = "2"

    def plan(self, study: Study, planned: Planned, config: Any) -> Iterable[Job]:
        embeddings = study.embeddings
        if embeddings is None:
            return
        pairs = {(pair.vectors, pair.source, pair.target): pair for pair in planned_pairs(embeddings, planned)}
        for mapping in [job for job in planned.jobs.values() if job.plugin == "mapping"]:
            keys = {key: mapping.config[key] for key in _KEYS}
            pair = pairs[keys["vectors"], keys["source_language"], keys["target_language"]]
            dictionary = pair.dictionary(keys["seed"])
            yield Job(
                plugin=self.name,
                version=self.version,
                config={
                    **keys,
                    "dictionary": dictionary.config,
                    "train_sha256": mapping.config["train_sha256"],
                    "test_size": embeddings.test_size,
                    "test_sha256": dictionary.digest("test", embeddings.test_size),
                },
                inputs=(mapping.key,),
                label=mapping.label.replace("map ", "induce ", 1),
                batch=mapping.batch,
                cost=0.05 * SECOND,
                hints=dictionary.hints,
            )

    def run(self, jobs: Sequence[Job], context: Context) -> Iterator[tuple[Job, Outcome]]:
        from compute.embeddings.bli import bli_rows
        from compute.embeddings.vectors import load_vectors

        for done, job in enumerate(jobs):
            context.report_progress(job.label, done / len(jobs))
            config = job.config
            dictionary = open_dictionary(config["dictionary"], job.hints)
            try:
                size = config["dictionary_size"]
                train = planned_words(dictionary, "train", size, config["train_sha256"]) if size else []
                test = planned_words(dictionary, "test", config["test_size"], config["test_sha256"])
                mapped = context.artifacts.path(job.inputs[0])
                source, target = (load_vectors(mapped / side) for side in ("source", "target"))
                with of_one_job():
                    rows = bli_rows(source, target, train, test, device=context.device)
            except (ValueError, UserError, JobError) as error:
                yield job, JobError(str(error))
                continue
            keys = {key: config[key] for key in _KEYS}
            yield job, {"bli_ranks": [keys | dict(row) for row in rows]}
