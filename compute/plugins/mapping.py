"""Plugin `mapping`: the vectors of two languages brought into one space."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from pydantic import SerializeAsAny

from compute.embeddings.mappings import MappingMethod
from compute.embeddings.settings import Preprocessing
from compute.embeddings.vectors import Vectors, load_vectors, preprocess, save_vectors
from compute.errors import JobError, UserError
from compute.plugin import Context, Job, Outcome, Planned, Plugin
from compute.plugins.costs import mapping_cost
from compute.plugins.one_job import failing_one_job
from compute.plugins.pairs import Pair, TrainingPairs, planned_pairs, planned_seeds
from compute.plugins.products import MappedVectors, MappingKeys
from compute.study.embeddings import Embeddings, MethodEntry
from compute.study.schema import Study


class Mapping(MappingKeys, TrainingPairs):
    """One method, set in one way, on one language pair."""

    settings: SerializeAsAny[MappingMethod]
    preprocessing: Preprocessing
    method_version: str = "1"

    added = frozenset({"method_version"})


class Map(Plugin):
    """Artifact: `source/` and `target/`, the mapped vectors of both sides. Lands no rows of its own.

    A method that draws is planned for each seed of the study; one that does not once for each dictionary, and again for
    each seed only where the seed decides the dictionary. An unsupervised one is planned with `dictionary_size` 0, once
    for all sizes.
    """

    name = "mapping"
    version = "3"
    imports = ("torch",)

    def plan(self, study: Study, planned: Planned, config: Any) -> Iterable[Job]:
        embeddings = study.embeddings
        if embeddings is None:
            return
        for pair in planned_pairs(embeddings, planned):
            for entry in embeddings.methods:
                if embeddings.runs_on(entry, pair.source, pair.target):
                    for run in _runs(entry.build(), entry, pair, embeddings):
                        yield self._job(run, entry, pair)

    def _job(self, run: _Run, entry: MethodEntry, pair: Pair) -> Job[Mapping]:
        dictionary = pair.dictionary(run.seed) if run.size else None
        what = f"{pair.label} by {entry.name} {run.variant}"
        # What takes minutes is run in a batch of its own: others do not wait for it.
        batch = f"of pairs from {pair.source}" if run.method.supervision == "supervised" else f"{what} {run.size}"
        what += f" {run.size} pairs" if run.size else ""
        config = Mapping(
            method=entry.name,
            settings=run.method,
            variant=run.variant,
            preprocessing=run.preprocessing,
            vectors=pair.vectors,
            source_language=pair.source,
            target_language=pair.target,
            dictionary_size=run.size,
            seed=run.seed,
            dictionary=dictionary,
            train_sha256=dictionary.digest("train", run.size) if dictionary else None,
            method_version=run.method.version,
        )
        return Job(
            plugin=self.name,
            version=self.version,
            config=config,
            inputs=pair.made_by,
            label=f"map {what} seed {run.seed}",
            batch=batch,
            cost=mapping_cost(run.method, pair.settings),
            work=f"{entry.name}/{entry.variant}/{pair.vectors}",
            provides=MappedVectors(config, config.train_sha256, pair.settings.lower_cases, what, batch),
            leaves_artifact=True,
        )

    def run(self, jobs: Sequence[Job], context: Context) -> Iterator[tuple[Job, Outcome]]:
        sides = _Sides(context)
        told: set[str] = set()
        for done, job in enumerate(jobs):
            context.report_progress(job.label, done / len(jobs))
            if not context.artifacts.has(job.key):
                try:
                    few = _map(job, sides, context)
                except (ValueError, UserError, JobError) as error:
                    yield job, JobError(str(error))
                    continue
                if few is not None and few not in told:
                    context.note(few)
                    told.add(few)
            yield job, {}


class _Sides:
    """The preprocessed vectors of the pair that was last asked for: a pair's jobs come one after the other."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._key: tuple[tuple[str, ...], Preprocessing] | None = None
        self._vectors: tuple[Vectors, Vectors]

    def of(self, job: Job[Mapping]) -> tuple[Vectors, Vectors]:
        key = (tuple(job.inputs.values()), job.config.preprocessing)
        if key != self._key:
            self._key = None
            one, other = (
                preprocess(load_vectors(self._context.artifacts.path(made)), job.config.preprocessing)
                for made in job.inputs.values()
            )
            self._key, self._vectors = key, (one, other)
        return self._vectors


def _map(job: Job[Mapping], sides: _Sides, context: Context) -> str | None:
    """Map and keep the vectors of a job; return a line where words without a vector leave too few pairs for a map."""
    config = job.config
    source, target = sides.of(job)
    seeds = planned_seeds(config, source, target)
    with failing_one_job():
        mapping = config.settings.fit(source, target, seeds, context.device, config.seed)
        mapped = mapping.apply(source, target)
    with context.artifacts.commit([job.key]) as folders:
        for side, vectors in zip(("source", "target"), mapped, strict=True):
            save_vectors(vectors, folders[job.key] / side)
    asked, dimension = config.dictionary_size, min(source.dimension, target.dimension)
    if len(seeds) >= min(asked, dimension):
        return None
    return (
        f"{config.vectors.split('@')[0]} {config.source_language}-{config.target_language}: of "
        f"{asked:,} training pairs {len(seeds):,} have two known words, fewer than the vectors have dimensions, "
        f"{dimension}"
    )


class _Run(NamedTuple):
    """What one job of a method on a pair varies."""

    method: MappingMethod
    variant: str
    preprocessing: Preprocessing
    size: int
    seed: int


def _runs(method: MappingMethod, entry: MethodEntry, pair: Pair, embeddings: Embeddings) -> Iterator[_Run]:
    sizes = (0,) if method.supervision == "unsupervised" else embeddings.dictionary_sizes
    # The study's seeds, or only the first where another would give the same.
    draws = method.draws or pair.dictionary(embeddings.seeds[0]).seeded
    seeds = embeddings.seeds if draws else embeddings.seeds[:1]
    for variant, preprocessing in embeddings.preprocessings_of(entry).items():
        for size in sizes:
            for seed in seeds:
                yield _Run(method, variant, preprocessing, size, seed)
