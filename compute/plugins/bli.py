"""Plugin `bli`: bilingual lexicon induction, the rank of every test pair's translation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pydantic import SerializeAsAny

from compute.embeddings.dictionary_files import XLING_TEST_ROWS
from compute.embeddings.settings import NUMERAL_TEST_SIZE
from compute.plugin import Context, Job, Outcome, Planned, Plugin
from compute.plugins.costs import ranking_cost
from compute.plugins.one_job import failing_one_job, one_by_one
from compute.plugins.pairs import Dictionary, planned_pairs, planned_words
from compute.plugins.products import MAPPED, MappedVectors, MappingKeys
from compute.study.schema import Study


class Induction(MappingKeys):
    """The test pairs of a mapping, ranked."""

    dictionary: SerializeAsAny[Dictionary]
    train_sha256: str | None
    test_size: int | None
    test_sha256: str


class InduceLexicon(Plugin):
    """Rows of `raw.bli_ranks`, one job per mapping."""

    name = "bli"
    version = "2"
    imports = ("compute.embeddings.bli",)

    def plan(self, study: Study, planned: Planned, config: Any) -> Iterable[Job]:
        embeddings = study.embeddings
        if embeddings is None:
            return
        usual_size = NUMERAL_TEST_SIZE if embeddings.dictionaries == "numerals" else XLING_TEST_ROWS
        pairs = {(pair.vectors, pair.source, pair.target): pair for pair in planned_pairs(embeddings, planned)}
        for key, mapped in planned.all(MappedVectors):
            pair = pairs[mapped.keys.vectors, mapped.keys.source_language, mapped.keys.target_language]
            dictionary = pair.dictionary(mapped.keys.seed)
            yield Job(
                plugin=self.name,
                version=self.version,
                config=Induction(
                    **mapped.keys.keys,
                    dictionary=dictionary,
                    train_sha256=mapped.train_sha256,
                    test_size=embeddings.test_size,
                    test_sha256=dictionary.digest("test", embeddings.test_size),
                ),
                inputs={MAPPED: key},
                label=f"induce {mapped.name}",
                batch=mapped.batch,
                cost=ranking_cost(embeddings.test_size or usual_size, pair.settings),
                work=pair.vectors,
            )

    def run(self, jobs: Sequence[Job], context: Context) -> Iterator[tuple[Job, Outcome]]:
        return one_by_one(jobs, context, _ranked)


def _ranked(job: Job[Induction], context: Context) -> Outcome:
    from compute.embeddings.bli import bli_rows
    from compute.embeddings.vectors import load_vectors

    config = job.config
    size = config.dictionary_size
    train = planned_words(config.dictionary, "train", size, config.train_sha256) if size else []
    test = planned_words(config.dictionary, "test", config.test_size, config.test_sha256)
    mapped = context.artifacts.path(job.inputs[MAPPED])
    source, target = (load_vectors(mapped / side) for side in ("source", "target"))
    with failing_one_job():
        rows = bli_rows(source, target, train, test, device=context.device)
    return {"bli_ranks": [config.keys | dict(row) for row in rows]}
