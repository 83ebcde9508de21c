"""Plugin `items`: what is asked, one job per task and language."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pydantic import Field

from compute.plugin import Context, Job, JobConfig, Outcome, Planned, Plugin
from compute.plugins.costs import SECOND
from compute.plugins.one_job import one_by_one
from compute.plugins.products import TaskItems
from compute.study.schema import Study
from compute.tasks import SPLITS, open_task
from compute.tasks.folder import FolderTaskSettings
from compute.tasks.store import save_questions


class TaskData(JobConfig):
    """A task in a language, read; the prompt decides how `raw.items` words the choices."""

    task: str
    language: str
    prompt: str
    sha256: str
    prompt_name: str | None = Field(exclude=True)
    folder: FolderTaskSettings | None = Field(exclude=True)


class Items(Plugin):
    """Artifact: the questions of every split. Rows of `raw.tasks` and `raw.items`.

    Its key carries the data's digest to every job that asks the questions, and its artifact the questions
    themselves: sources are read here and nowhere else.
    """

    name = "items"
    version = "3"

    def plan(self, study: Study, planned: Planned, config: Any) -> Iterable[Job]:
        for name, language in study.cells:
            task = study.task(name, language)
            prompt = study.prompt_name(name)
            yield Job(
                plugin=self.name,
                version=self.version,
                config=TaskData(
                    task=name,
                    language=language,
                    prompt=task.prompt(prompt).label,
                    sha256=task.digest(language),
                    prompt_name=prompt,
                    folder=study.tasks.get(name),
                ),
                label=f"items of {name}/{language}",
                batch=f"of {name}",
                cost=0.02 * SECOND,
                work=name,
                provides=TaskItems(name, language),
                leaves_artifact=True,
            )

    def run(self, jobs: Sequence[Job], context: Context) -> Iterator[tuple[Job, Outcome]]:
        return one_by_one(jobs, context, _read)


def _read(job: Job[TaskData], context: Context) -> Outcome:
    name, language, folder = job.config.task, job.config.language, job.config.folder
    task = open_task(name, language, {name: folder} if folder else {})
    questions = {split: task.questions(language, split) for split in SPLITS}
    if not context.artifacts.has(job.key):
        with context.artifacts.commit([job.key]) as folders:
            save_questions(folders[job.key], questions)
    render = task.prompt(job.config.prompt_name).item
    items = [
        {
            "task": task.name,
            "language": language,
            "item_id": item.item_id,
            "parallel_id": item.parallel_id,
            "split": split,
            "gold": item.gold,
            "choices": list(item.choices),
            "context": item.context if split == "test" else None,
            "prompt": job.config.prompt,
        }
        for split in SPLITS
        for item in map(render, questions[split])
    ]
    left_out = [f"{number} ({reason})" for reason, number in task.dropped(language).items() if number]
    if left_out:
        context.note(f"{job.label}: rows left out: {', '.join(left_out)}")
    return {"tasks": [{**task.facts, "sha256": job.config.sha256}], "items": items}
