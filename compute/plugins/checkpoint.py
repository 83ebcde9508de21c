"""Plugin `checkpoint`: models that exist already, on the hub or in a folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pydantic import Field

from compute.errors import JobError
from compute.plugin import Context, Job, JobConfig, Outcome, Planned, Plugin
from compute.plugins.costs import SECOND
from compute.plugins.products import BaseModel, CheckpointPlace, checkpoint_place, model_label
from compute.study.schema import Study


class PinnedModel(JobConfig):
    """A model that exists, at a commit or with a folder's digest, and how its weights are loaded."""

    name: str
    revision: str
    dtype: str
    chat_template: bool
    trust_remote_code: bool
    place: CheckpointPlace = Field(exclude=True)


class Checkpoint(Plugin):
    """Rows of `raw.models`. The key holds the commit, or a folder's digest, and how the weights are loaded."""

    name = "checkpoint"
    version = "1"
    imports = ("compute.language_models.loading",)

    def plan(self, study: Study, planned: Planned, config: Any) -> Iterable[Job]:
        from compute.language_models.revisions import pin
        from compute.language_models.stored_config import check_quantized
        from compute.language_models.stored_reading import stored_reading

        for entry in study.models:
            if entry.checkpoint is None:
                continue
            revision = pin(entry.checkpoint, entry.revision)
            check_quantized(revision.location, revision.commit, study.sources is not None, ask_hub=True)
            place = checkpoint_place(entry, revision)
            yield Job(
                plugin=self.name,
                version=self.version,
                config=PinnedModel(
                    name=entry.name,
                    revision=revision.identity,
                    dtype=entry.dtype,
                    chat_template=entry.chat_template,
                    trust_remote_code=entry.trust_remote_code,
                    place=place,
                ),
                label=f"look up {entry.name}",
                cost=SECOND,
                work=entry.name,
                provides=BaseModel(entry.name, place, stored_reading(revision.location, revision.commit)),
            )

    def run(self, jobs: Sequence[Job], context: Context) -> Iterator[tuple[Job, Outcome]]:
        from compute.language_models.loading import LoadingError, describe_model

        for job in jobs:
            place = job.config.place
            try:
                found = describe_model(place.checkpoint, place.revision, trust_remote_code=place.trust_remote_code)
            except LoadingError as error:
                yield job, JobError(str(error))
                continue
            row = {
                "model": model_label(job.config.name, job.key),
                "family": found.family,
                "parameters": found.parameters,
                "revision": job.config.revision,
                "architecture": found.architecture,
            }
            yield job, {"models": [row]}
