"""Plugin `isometry`: how alike two languages' vectors are before any map is learnt."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from compute.embeddings.isometry import MEASURES
from compute.embeddings.vectors import load_vectors
from compute.plugin import Context, Job, Outcome, Planned, Plugin
from compute.plugins.costs import SECOND, comparing_cost
from compute.plugins.one_job import one_by_one
from compute.plugins.pairs import Dictionary, Pair, TrainingPairs, planned_pairs, planned_seeds
from compute.study.schema import Study


class Measuring(TrainingPairs):
    """Measures of one language pair's vectors, as they are."""

    vectors: str
    source_language: str
    target_language: str
    measures: tuple[str, ...]
    versions: tuple[tuple[str, str], ...] = ()
    """Of measures, where it is not 1."""

    added = frozenset({"versions"})


class Isometry(Plugin):
    """Rows of `raw.isometry`, per vector set and language pair one job for the measures that look at the vectors
    alone, as they are, and one for those that look at translations, of the largest training dictionary of the study's
    first seed: where that is of no use, the others are still had."""

    name = "isometry"
    version = "3"

    def plan(self, study: Study, planned: Planned, config: Any) -> Iterable[Job]:
        embeddings = study.embeddings
        if embeddings is None:
            return
        of_pairs = [name for name in embeddings.isometry if MEASURES[name].of_pairs]
        alone = [name for name in embeddings.isometry if not MEASURES[name].of_pairs]
        for pair in planned_pairs(embeddings, planned):
            if alone:
                yield self._job(pair, alone, f"isometry {pair.label}")
            if of_pairs:
                dictionary, size = pair.dictionary(embeddings.seeds[0]), max(embeddings.dictionary_sizes)
                yield self._job(pair, of_pairs, f"isometry {pair.label} by training pairs", dictionary, size)

    def _job(
        self, pair: Pair, measures: list[str], label: str, dictionary: Dictionary | None = None, size: int = 0
    ) -> Job[Measuring]:
        return Job(
            plugin=self.name,
            version=self.version,
            config=Measuring(
                vectors=pair.vectors,
                source_language=pair.source,
                target_language=pair.target,
                measures=tuple(measures),
                dictionary=dictionary,
                dictionary_size=size,
                train_sha256=dictionary.digest("train", size) if dictionary else None,
                versions=tuple((name, MEASURES[name].version) for name in measures if MEASURES[name].version != "1"),
            ),
            inputs=pair.made_by,
            label=label,
            batch=f"of pairs from {pair.source}",
            cost=0.05 * SECOND if dictionary else comparing_cost(pair.settings),
            work=f"{'+'.join(measures)}/{pair.vectors}",
        )

    def run(self, jobs: Sequence[Job], context: Context) -> Iterator[tuple[Job, Outcome]]:
        return one_by_one(jobs, context, _measured)


def _measured(job: Job[Measuring], context: Context) -> Outcome:
    config = job.config
    keys = config.model_dump(include={"vectors", "source_language", "target_language"})
    source, target = (load_vectors(context.artifacts.path(key)) for key in job.inputs.values())
    seeds = planned_seeds(config, source, target)
    rows = [{**keys, "measure": name, "value": MEASURES[name](source, target, seeds)} for name in config.measures]
    return {"isometry": rows}
