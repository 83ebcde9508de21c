"""Plugin `transfer`: one LoRA adapter per source, seed and control, and its scores on every target.

Training an adapter and scoring it on a target are jobs of their own, run in one visit: a new target scores the
adapters that are there and trains none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from compute.errors import JobError
from compute.plugin import Context, Job, Outcome, Planned, Plugin
from compute.plugins.costs import scoring_cost, tuning_cost
from compute.plugins.products import items_product, model_label
from compute.plugins.scoring_rows import score_rows, target_config
from compute.plugins.training_log import read_log, write_log
from compute.study import ModelEntry, Study
from compute.tasks import load_task

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_ADAPTERS_A_STACK = 8
_TRAINING_ITEMS, _TEST_ITEMS = 300, 100  # usual sizes, for the cost only


class Transfer(Plugin):
    """Artefact: an adapter in PEFT's format. Rows of `raw.training_log` (training), `raw.item_scores` (scoring)."""

    name = "transfer"
    version = "1"

    def plan(self, study: Study, planned: Planned, config: Any) -> Iterable[Job]:
        if study.sources is None:
            return
        arms = [(None, seed) for seed in study.seeds] + [("placebo", seed) for seed in study.placebo.seeds]
        for entry in study.models:
            base = planned.find("model", entry.name)
            for variant in study.lora_settings:
                for control, seed in arms:
                    trainings = [
                        self._training(study, planned, entry, base, variant, control, seed, cell)
                        for cell in study.sources.cells
                    ]
                    yield from trainings
                    for training in trainings:
                        yield from self._scorings(study, planned, entry, training)

    def _training(
        self,
        study: Study,
        planned: Planned,
        entry: ModelEntry,
        base: Job,
        variant: str,
        control: str | None,
        seed: int,
        cell: tuple[str, str],
    ) -> Job:
        task, language = cell
        lora = study.lora_settings[variant]
        arm = f"{control} " if control else ""
        return Job(
            plugin=self.name,
            version=self.version,
            config={
                "step": "train",
                "model": model_label(entry.name, base),
                "variant": variant,
                "source_task": task,
                "source_language": language,
                "control": control,
                "seed": seed,
                "prompt": load_task(task).prompt().label,
                "train_items": study.items.train,
                "dev_items": study.items.dev,
                "lora": lora.model_dump(mode="json"),
            },
            inputs=(base.key, planned.find("items", items_product(task, language)).key),
            label=f"tune {entry.name} {variant} on {arm}{task}/{language} seed {seed}",
            batch=f"{entry.name} {variant} {arm}seed {seed}",
            cost=tuning_cost(entry.architecture, lora.epochs * (study.items.train or _TRAINING_ITEMS)),
            leaves_artifact=True,
        )

    def _scorings(self, study: Study, planned: Planned, entry: ModelEntry, training: Job) -> Iterator[Job]:
        assert study.targets is not None
        keys = ("model", "variant", "source_task", "source_language", "control", "seed")
        for task, language in study.targets.cells:
            yield Job(
                plugin=self.name,
                version=self.version,
                config={
                    "step": "score",
                    **{key: training.config[key] for key in keys},
                    **target_config(task, language, study.items.test),
                },
                inputs=(training.inputs[0], training.key, planned.find("items", items_product(task, language)).key),
                label=f"{training.label} -> {task}/{language}",
                batch=training.batch,
                cost=scoring_cost(entry.architecture, study.items.test or _TEST_ITEMS),
            )

    def run(self, jobs: Sequence[Job], context: Context) -> Iterator[tuple[Job, Outcome]]:
        from compute.language_models.loading import load_model

        model, tokenizer = load_model(context.artifacts.path(jobs[0].inputs[0]), device=context.device)
        visit = _Visit(jobs, context, model, tokenizer)
        yield from visit.train()
        yield from visit.score()


class _Visit:
    """One visit: the adapters of a batch trained in stacks, then each scored on its targets."""

    def __init__(
        self, jobs: Sequence[Job], context: Context, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
    ) -> None:
        self.trainings = [job for job in jobs if job.config["step"] == "train"]
        self.scorings = [job for job in jobs if job.config["step"] == "score"]
        self.context, self.model, self.tokenizer = context, model, tokenizer
        self.cost = sum(job.cost for job in jobs)
        self.cost_done = 0.0
        self.failed: dict[str, JobError] = {}

    def train(self) -> Iterator[tuple[Job, Outcome]]:
        """Adapters that an earlier, killed visit had committed are taken as they are; the rest are trained."""
        done = [job for job in self.trainings if self.context.artifacts.has(job.key)]
        left = [job for job in self.trainings if not self.context.artifacts.has(job.key)]
        for start in range(0, len(left), _ADAPTERS_A_STACK):
            stack = left[start : start + _ADAPTERS_A_STACK]
            self.failed |= self._train_stack(stack)
            done += stack
            self.cost_done += sum(job.cost for job in stack)
        for job in done:
            if job.key in self.failed:
                yield job, self.failed[job.key]
            else:
                yield job, {"training_log": read_log(self.context.artifacts.path(job.key))}

    def _train_stack(self, stack: Sequence[Job]) -> dict[str, JobError]:
        from compute.language_models.lora import save_adapter
        from compute.language_models.settings import Lora
        from compute.language_models.training import TrainingFailure, TrainingSource, train_stack

        settings = Lora(**stack[0].config["lora"])
        share = sum(job.cost for job in stack) / self.cost

        def progress(done: int, steps: int, text: str) -> None:
            self.context.report_progress(text, self.cost_done / self.cost + share * done / steps)

        sources = []
        for job in stack:
            task, language = load_task(job.config["source_task"]), job.config["source_language"]
            sources.append(
                TrainingSource(
                    key=job.key,
                    items=task.items(language, "train")[: job.config["train_items"]],
                    eval_items=task.items(language, "dev")[: job.config["dev_items"]],
                    seed=job.config["seed"],
                    shuffled_labels=job.config["control"] == "placebo",
                )
            )
        results = train_stack(self.model, self.tokenizer, sources, settings, self.context.device, progress)
        failed = {r.key: JobError(r.reason) for r in results if isinstance(r, TrainingFailure)}
        trained = [result for result in results if not isinstance(result, TrainingFailure)]
        with self.context.artifacts.commit(result.key for result in trained) as folders:
            for result in trained:
                save_adapter(result.adapter, settings, folders[result.key], stack[0].config["model"])
                write_log(folders[result.key], result.log)
        return failed

    def score(self) -> Iterator[tuple[Job, Outcome]]:
        """Each adapter alone, so that a score does not depend on which others were asked for."""
        from compute.language_models.lora import LoraStack, load_adapter
        from compute.language_models.scoring import score_items

        score = partial(score_items, self.model, self.tokenizer, device=self.context.device)
        by_adapter: dict[str, list[Job]] = {}
        for job in self.scorings:
            by_adapter.setdefault(job.inputs[1], []).append(job)
        for key, jobs in by_adapter.items():
            if key in self.failed:
                yield from ((job, JobError(f"its adapter failed: {self.failed[key]}")) for job in jobs)
                continue
            adapter = load_adapter(self.context.artifacts.path(key))
            with LoraStack(self.model, [adapter]):
                for job in jobs:
                    self.context.report_progress(job.label, self.cost_done / self.cost)
                    self.cost_done += job.cost
                    yield job, score_rows(job, score)
