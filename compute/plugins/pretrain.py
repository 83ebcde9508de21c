"""Plugin `pretrain`: tiny language models trained from scratch."""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from safetensors import safe_open

from compute.errors import JobError
from compute.language_models.settings import Architecture, Pretraining
from compute.plugin import Context, Job, JobConfig, Outcome, Planned, Plugin
from compute.plugins.costs import pretraining_cost
from compute.plugins.products import BaseModel, TaskItems, model_label
from compute.plugins.training_log import read_log, write_log
from compute.study.schema import Study
from compute.tasks import Prompt, Question
from compute.tasks.numerals import pretraining_text
from compute.tasks.store import load_questions


@lru_cache(maxsize=8)
def _numerals_text(settings: Pretraining) -> tuple[str, ...]:
    return tuple(
        pretraining_text(
            settings.languages,
            settings.seed,
            readings=settings.readings,
            counting=settings.counting,
            examples=settings.examples,
        )
    )


def _tasks_text(settings: Pretraining, questions: Iterable[tuple[list[Question], Prompt]]) -> list[str]:
    """Shuffled documents: every question's texts, and of each list the last `examples` with their answers.

    The last, because sources are tuned on the first: what the base has seen labelled is least of what is tuned on.
    """
    documents = []
    for asked, prompt in questions:
        documents += ["\n".join(question.fields.values()) for question in asked]
        labelled = [prompt.item(question) for question in asked[max(0, len(asked) - settings.examples) :]]
        documents += [item.context + item.choices[item.gold] for item in labelled]
    random.Random(f"pre-training {settings.seed}").shuffle(documents)
    return documents


class Training(JobConfig):
    """A model trained from scratch; the prompts are those of the tasks that it reads, in the order of the inputs."""

    name: str
    architecture: Architecture
    pretraining: Pretraining
    text_sha256: str | None
    prompts: tuple[Prompt, ...]


class Pretrain(Plugin):
    """Artifact: a model in `save_pretrained` format. Rows of `raw.models` and `raw.training_log`."""

    name = "pretrain"
    version = "3"
    imports = ("compute.language_models.pretraining",)

    def plan(self, study: Study, planned: Planned, config: Any) -> Iterable[Job]:
        for entry in study.models:
            settings = entry.pretrain
            if settings is None or entry.architecture is None:
                continue
            cells = settings.cells
            text = "\n".join(_numerals_text(settings)) if settings.corpus == "numerals" else None
            yield Job(
                plugin=self.name,
                version=self.version,
                config=Training(
                    name=entry.name,
                    architecture=entry.architecture,
                    pretraining=settings,
                    text_sha256=None if text is None else hashlib.sha256(text.encode()).hexdigest(),
                    prompts=tuple(study.task(*cell).prompt(study.prompt_name(cell[0])) for cell in cells),
                ),
                inputs={cell: planned.find(TaskItems, cell).key for cell in map("/".join, cells)},
                label=f"pre-train {entry.name}",
                cost=pretraining_cost(entry),
                work=f"{entry.architecture.family}/{entry.name}",
                provides=BaseModel(entry.name),
                leaves_artifact=True,
            )

    def run(self, jobs: Sequence[Job], context: Context) -> Iterator[tuple[Job, Outcome]]:
        from compute.language_models.pretraining import PretrainingError, pretrain

        for job in jobs:
            architecture, settings = job.config.architecture, job.config.pretraining
            if not context.artifacts.has(job.key):
                try:
                    with context.artifacts.commit([job.key]) as folders:
                        folder = folders[job.key]
                        result = pretrain(
                            architecture,
                            settings,
                            self._text(job, context),
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
                "model": model_label(job.config.name, job.key),
                "family": architecture.family,
                "parameters": _count_parameters(folder / "model.safetensors"),
                "revision": job.key,
                "architecture": json.loads((folder / "config.json").read_text())["architectures"][0],
            }
            yield job, {"models": [model], "training_log": read_log(folder)}

    def _text(self, job: Job[Training], context: Context) -> Sequence[str]:
        settings = job.config.pretraining
        if settings.corpus == "numerals":
            return _numerals_text(settings)
        return _tasks_text(
            settings,
            (
                (load_questions(context.artifacts.path(key), "train"), prompt)
                for key, prompt in zip(job.inputs.values(), job.config.prompts, strict=True)
            ),
        )


def _count_parameters(weights_file: Path) -> int:
    """Parameters in a safetensors file; shared ones are stored, and counted, once."""
    with safe_open(weights_file, "pt") as weights:
        return sum(math.prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118
