"""Plugin `pretrain`: tiny language models trained from scratch."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from safetensors import safe_open

from compute.errors import JobError
from compute.language_models.settings import Architecture, Pretraining
from compute.plugin import Context, Job, Outcome, Planned, Plugin
from compute.plugins.costs import pretraining_cost
from compute.plugins.products import model_label
from compute.plugins.training_log import read_log, write_log
from compute.study import Study
from compute.tasks.numerals import pretraining_text


@lru_cache(maxsize=8)
def _text_digest(languages: tuple[str, ...], seed: int, readings: int, counting: int, examples: int) -> str:
    text = pretraining_text(languages, seed, readings=readings, counting=counting, examples=examples)
    return hashlib.sha256("\n".join(text).encode()).hexdigest()


class Pretrain(Plugin):
    """Artefact: a model in `save_pretrained` format. Rows of `raw.models` and `raw.training_log`."""

    name = "pretrain"
    version = "1"

    def plan(self, study: Study, planned: Planned, config: Any) -> Iterable[Job]:
        for model in study.models:
            settings = model.pretrain
            yield Job(
                plugin=self.name,
                version=self.version,
                config={
                    "name": model.name,
                    "architecture": model.architecture.model_dump(mode="json"),
                    "pretraining": settings.model_dump(mode="json"),
                    "text_sha256": _text_digest(
                        settings.languages, settings.seed, settings.readings, settings.counting, settings.examples
                    ),
                },
                label=f"pre-train {model.name}",
                cost=pretraining_cost(
                    model.architecture, settings.steps * settings.batch_tokens, settings.vocabulary_size
                ),
                provides=("model", model.name),
                leaves_artifact=True,
            )

    def run(self, jobs: Sequence[Job], context: Context) -> Iterator[tuple[Job, Outcome]]:
        from compute.language_models.pretraining import PretrainingError, pretrain

        for job in jobs:
            architecture = Architecture(**job.config["architecture"])
            settings = Pretraining(**job.config["pretraining"])
            if not context.artifacts.has(job.key):
                try:
                    with context.artifacts.commit([job.key]) as folders:
                        folder = folders[job.key]
                        result = pretrain(
                            architecture,
                            settings,
                            folder,
                            context.device,
                            lambda done, steps, text: context.report_progress(text, done / steps),
                        )
                        write_log(folder, result.log)
                except (PretrainingError, ValueError) as error:
                    yield job, JobError(str(error))
                    continue
            folder = context.artifacts.path(job.key)
            model = {
                "model": model_label(job.config["name"], job),
                "family": architecture.family,
                "parameters": _count_parameters(folder / "model.safetensors"),
                "revision": job.key,
                "architecture": json.loads((folder / "config.json").read_text())["architectures"][0],
            }
            yield job, {"models": [model], "training_log": read_log(folder)}


def _count_parameters(weights_file: Path) -> int:
    """Parameters in a safetensors file; shared ones are stored, and counted, once."""
    with safe_open(weights_file, "pt") as weights:
        return sum(math.prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118
