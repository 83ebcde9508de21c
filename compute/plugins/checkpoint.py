"""Plugin `checkpoint`: models that exist already, on the hub or in a folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from compute.errors import JobError
from compute.plugin import Context, Job, Outcome, Planned, Plugin
from compute.plugins.costs import SECOND
from compute.plugins.products import model_label
from compute.study import Study


class Checkpoint(Plugin):
    """Rows of `raw.models`. The key holds the commit, or a folder's digest, and how the weights are loaded."""

    name = "checkpoint"
    version = "1"

    def plan(self, study: Study, planned: Planned, config: Any) -> Iterable[Job]:
        from compute.language_models.revisions import pin

        for entry in study.models:
            if entry.checkpoint is None:
                continue
            revision = pin(entry.checkpoint, entry.revision)
            loading = {
                "dtype": entry.dtype,
                "chat_template": entry.chat_template,
                "trust_remote_code": entry.trust_remote_code,
            }
            yield Job(
                plugin=self.name,
                version=self.version,
                config={"name": entry.name, "revision": revision.identity, **loading},
                label=f"look up {entry.name}",
                cost=SECOND,
                provides=("model", entry.name),
                hints={"checkpoint": revision.location, "revision": revision.commit, **loading},
            )

    def run(self, jobs: Sequence[Job], context: Context) -> Iterator[tuple[Job, Outcome]]:
        from compute.language_models.loading import LoadingError, describe_model

        for job in jobs:
            hints = job.hints
            try:
                found = describe_model(
                    hints["checkpoint"], hints["revision"], trust_remote_code=hints["trust_remote_code"]
                )
            except LoadingError as error:
                yield job, JobError(str(error))
                continue
            row = {
                "model": model_label(job.config["name"], job),
                "family": found.family,
                "parameters": found.parameters,
                "revision": job.config["revision"],
                "architecture": found.architecture,
            }
            yield job, {"models": [row]}
