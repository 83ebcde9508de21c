"""Plugin `sources`: tunings that exist already, adapters and checkpoints, scored on every target.

An adapter is put on the base by PEFT itself, one at a time; the base is loaded once for all of a model's. A tuned
checkpoint is loaded as a model is. Either is known by its content, wherever it lies.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from pydantic import Field

from compute.errors import JobError, UserError
from compute.language_models.given_adapters import GivenAdapter, check_vocabulary, read_adapter
from compute.language_models.stored_reading import Reading, stored_reading
from compute.plugin import Context, Job, Made, Outcome, Planned, Plugin
from compute.plugins.bases import BASE, load_base
from compute.plugins.costs import model_weights, scoring_cost
from compute.plugins.products import BaseModel, CheckpointPlace, checkpoint_place, label_of
from compute.plugins.scoring_rows import ITEMS, Scoring, Target, score_rows, targets
from compute.study.given import base_files, look_up
from compute.study.schema import ModelEntry, Study
from compute.study.sources import GivenSource

_CONTENT = "content"
"""The input of scoring jobs: digest of the adapter, or what the tuned checkpoint is pinned to."""


class GivenScoring(Scoring):
    """A tuning that exists, scored on a target; its content is an input."""

    kind: str
    """`adapter`, put on the base; or `checkpoint`, in the place of it."""
    folder: Path | None = Field(exclude=True)
    """An adapter's."""


@dataclass(frozen=True)
class _Found:
    """A source's files: its content, where they lie, and how texts are read with it."""

    kind: str
    content: str
    place: CheckpointPlace | None
    reading: Reading
    folder: Path | None = None


class Sources(Plugin):
    """Rows of `raw.item_scores` with the source's name as their variant."""

    name = "sources"
    version = "1"
    imports = ("compute.language_models.peft_models", "compute.language_models.scoring")

    def plan(self, study: Study, planned: Planned, config: Any) -> Iterable[Job]:
        asked = None
        for entry in study.models:
            base = planned.find(BaseModel, entry.name) if entry.sources else None
            for source in entry.sources:
                assert base is not None
                asked = targets(study, planned) if asked is None else asked
                try:
                    found = self._find(entry, source, base)
                except UserError as error:
                    raise UserError(f"source {source.name} of model {entry.name}: {error}") from None
                yield from self._scorings(entry, source, found, base, asked)

    def _find(self, entry: ModelEntry, source: GivenSource, base: Made[BaseModel]) -> _Found:
        place = base.product.place
        there = look_up(source, base_files(entry, place.revision if place else None, label_of(base)))
        if isinstance(there, GivenAdapter):
            return _Found("adapter", there.digest, place, base.product.reading, there.folder)
        reading = stored_reading(there.location, there.commit)
        return _Found("checkpoint", there.identity, checkpoint_place(entry, there), reading)

    def _scorings(
        self,
        entry: ModelEntry,
        source: GivenSource,
        found: _Found,
        base: Made[BaseModel],
        asked: Sequence[Target],
    ) -> Iterator[Job]:
        # Adapters share a visit, and with it the base; a checkpoint is a visit of its own.
        weights = model_weights(entry)
        own = "" if found.kind == "adapter" else f" {source.name} seed {source.seed}"
        for target in asked:
            yield Job(
                plugin=self.name,
                version=self.version,
                config=GivenScoring(
                    model=label_of(base),
                    place=found.place,
                    variant=source.label,
                    source_task=source.task,
                    source_language=source.language,
                    seed=source.seed,
                    kind=found.kind,
                    folder=found.folder,
                    **target.fields(found.reading),
                ),
                inputs={BASE: base.key, _CONTENT: found.content, ITEMS: target.items},
                label=f"{found.kind} {source.name} of {entry.name} ({'/'.join(source.cell)}) seed {source.seed} -> "
                f"{target.label}",
                batch=f"{entry.name} {found.kind}s{own}",
                cost=scoring_cost(weights, target.size),
                work=f"{found.kind}/{entry.name}/{target.asked['target_task']}",
            )

    def run(self, jobs: Sequence[Job], context: Context) -> Iterator[tuple[Job, Outcome]]:
        visit = _Visit(jobs, context)
        if jobs[0].config.kind == "checkpoint":
            yield from visit.score(jobs, visit.base.model)
            return
        for _, together in groupby(jobs, key=lambda job: (job.inputs[_CONTENT], job.config.folder)):
            yield from visit.score_adapter(list(together))


class _Visit:
    """One visit: a base, loaded once as long as the adapters that were on it leave it as it was."""

    def __init__(self, jobs: Sequence[Job[GivenScoring]], context: Context) -> None:
        self.context, self.first, self.size = context, jobs[0], len(jobs)
        self.done = 0
        self.base = load_base(self.first, context)

    def score(self, jobs: Iterable[Job[GivenScoring]], model: Any) -> Iterator[tuple[Job, Outcome]]:
        """Yield what a model says of each job's target."""
        for job in jobs:
            self.context.report_progress(job.label, self.done / self.size)
            self.done += 1
            yield job, score_rows(job, replace(self.base, model=model), self.context)

    def score_adapter(self, jobs: Sequence[Job[GivenScoring]]) -> Iterator[tuple[Job, Outcome]]:
        """Yield what the base says with an adapter on it, for each job of that adapter."""
        from compute.language_models.memory import release_memory
        from compute.language_models.peft_models import state_of, with_adapter

        before = state_of(self.base.model)
        left = list(jobs)
        try:
            with with_adapter(self.base.model, self._adapter(jobs[0])) as model:
                for job, outcome in self.score(jobs, model):
                    left.remove(job)
                    yield job, outcome
        except (ValueError, JobError, UserError) as error:  # of this adapter; others go on
            yield from ((job, JobError(str(error))) for job in left)
        if state_of(self.base.model) != before:
            # Some methods write into the base, as trained embeddings do: the next adapter begins with a new one.
            del self.base
            release_memory()
            self.base = load_base(self.first, self.context)

    def _adapter(self, job: Job[GivenScoring]) -> GivenAdapter:
        """Return the adapter of a job. Raises JobError if it is another than was planned."""
        assert job.config.folder is not None
        adapter = read_adapter(job.config.folder)
        if adapter.digest != job.inputs[_CONTENT]:
            raise JobError(f"{adapter.folder}: the adapter has changed since the study was planned; run it again")
        if job.config.place is None:
            check_vocabulary(adapter, self.context.artifacts.path(job.inputs[BASE]) / "tokenizer.json")
        return adapter
