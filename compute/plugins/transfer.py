"""Plugin `transfer`: one LoRA adapter per source, seed and control, and its scores on every target.

Training an adapter and scoring it on a target are jobs of their own, run in one visit: a new target scores the
adapters that are there and trains none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from compute.errors import JobError, UserError
from compute.language_models.planned_layers import left_out
from compute.language_models.settings import Lora
from compute.language_models.stored_reading import Reading
from compute.plugin import Context, Job, Made, Outcome, Planned, Plugin
from compute.plugins.bases import BASE, Base, load_base
from compute.plugins.costs import items_asked, model_weights, scoring_cost, tuning_cost
from compute.plugins.products import BaseModel, TaskItems, label_of
from compute.plugins.scoring_rows import ITEMS, Scoring, SourceKeys, Target, asked_items, score_rows, targets
from compute.plugins.training_log import read_log, write_log
from compute.study.schema import ModelEntry, Study
from compute.tasks import Item

if TYPE_CHECKING:
    from compute.language_models.probes import Trial

_ADAPTERS_A_STACK = 8
_ADAPTER = "adapter"
"""The input of scoring jobs: the job that trains the adapter."""


class Tuning(SourceKeys):
    """An adapter trained on a source."""

    step: Literal["train"] = "train"
    seed: int
    train_items: int | None
    dev_items: int | None
    lora: Lora
    left_out: tuple[str, ...] = ()
    """Endings of the names of layers that no adapter is put on, though `lora` asks for them."""

    added = SourceKeys.added | {"left_out"}


class TunedScoring(Scoring):
    """An adapter scored on a target."""

    step: Literal["score"] = "score"


class Transfer(Plugin):
    """Artifact: an adapter in PEFT's format. Rows of `raw.training_log` (training), `raw.item_scores` (scoring)."""

    name = "transfer"
    version = "3"
    imports = ("compute.language_models.loading", "compute.language_models.training", "compute.language_models.scoring")

    def plan(self, study: Study, planned: Planned, config: Any) -> Iterable[Job]:
        if study.sources is None:
            return
        asked = targets(study, planned)
        arms = [(None, seed) for seed in study.seeds] + [("placebo", seed) for seed in study.placebo.seeds]
        for entry in study.models:
            base = planned.find(BaseModel, entry.name)
            weights = model_weights(entry)
            scored = [
                (target, scoring_cost(weights, target.size), f"score/{entry.name}/{target.asked['target_task']}")
                for target in asked
            ]
            for variant, lora in study.lora_settings.items():
                left_out = self._left_out(base, lora)
                for control, seed in arms:
                    trainings = [
                        self._training(study, planned, entry, base, variant, left_out, control, seed, cell, weights)
                        for cell in study.sources.cells
                    ]
                    yield from trainings
                    for training in trainings:
                        yield from self._scorings(training, scored, base.product.reading)

    def _left_out(self, base: Made[BaseModel], lora: Lora) -> tuple[str, ...]:
        place = base.product.place
        if place is None:
            return ()
        try:
            return left_out(place.checkpoint, place.revision, lora, place.trust_remote_code, ask_hub=True)
        except ValueError as error:
            raise UserError(f"model {base.product.model}: {error}") from None

    def _training(
        self,
        study: Study,
        planned: Planned,
        entry: ModelEntry,
        base: Made[BaseModel],
        variant: str,
        left_out: tuple[str, ...],
        control: str | None,
        seed: int,
        cell: tuple[str, str],
        weights: float,
    ) -> Job[Tuning]:
        task, language = cell
        lora = study.lora_settings[variant]
        prompt = study.task(task, language).prompt(study.train_prompt_name(task, variant))
        arm = f"{control} " if control else ""
        return Job(
            plugin=self.name,
            version=self.version,
            config=Tuning(
                model=label_of(base),
                place=base.product.place,
                variant=variant,
                source_task=task,
                source_language=language,
                control=control,
                seed=seed,
                prompt=prompt.label,
                prompt_format=prompt,
                train_items=study.items_used(task, language, "train"),
                dev_items=study.items_used(task, language, "dev"),
                truncate=study.truncate,
                lora=lora,
                left_out=left_out,
                leaves_out_end=base.product.reading.leaves_out_end,
            ),
            inputs={BASE: base.key, ITEMS: planned.find(TaskItems, f"{task}/{language}").key},
            label=f"tune {entry.name} {variant} on {arm}{task}/{language} seed {seed}",
            batch=f"{entry.name} {variant} {arm}seed {seed}",
            cost=tuning_cost(weights, lora.epochs * items_asked(study, task, language, "train")),
            work=f"train/{entry.name}",
            leaves_artifact=True,
        )

    def _scorings(
        self, training: Job[Tuning], scored: Sequence[tuple[Target, float, str]], reading: Reading
    ) -> Iterator[Job]:
        """Yield a job for each target, with its cost and its kind of work."""
        keys = ("model", "place", "variant", "source_task", "source_language", "control", "seed")
        source = {key: getattr(training.config, key) for key in keys}
        for target, cost, work in scored:
            yield Job(
                plugin=self.name,
                version=self.version,
                config=TunedScoring(**source, **target.fields(reading)),
                inputs={BASE: training.inputs[BASE], _ADAPTER: training.key, ITEMS: target.items},
                label=f"{training.label} -> {target.label}",
                batch=training.batch,
                cost=cost,
                work=work,
            )

    def run(self, jobs: Sequence[Job], context: Context) -> Iterator[tuple[Job, Outcome]]:
        visit = _Visit(jobs, context, load_base(jobs[0], context))
        yield from visit.train()
        yield from visit.score()


class _Visit:
    """One visit: the adapters of a batch trained in stacks, then each scored on its targets."""

    def __init__(self, jobs: Sequence[Job], context: Context, base: Base) -> None:
        self.trainings: list[Job[Tuning]] = [job for job in jobs if isinstance(job.config, Tuning)]
        self.scorings: list[Job[TunedScoring]] = [job for job in jobs if isinstance(job.config, TunedScoring)]
        self.context, self.base = context, base
        self.cost = sum(job.cost for job in jobs)
        self.cost_done = 0.0
        self.failed: dict[str, JobError] = {}
        self.trial: Trial | None = None

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

    def _train_stack(self, stack: Sequence[Job[Tuning]]) -> dict[str, JobError]:
        from compute.language_models.lora import save_adapter
        from compute.language_models.training import TrainingFailure, TrainingSource, train_stack

        settings = stack[0].config.lora
        share = sum(job.cost for job in stack) / self.cost

        def progress(done: int, steps: int, text: str) -> None:
            self.context.report_progress(text, self.cost_done / self.cost + share * done / steps)

        base, sources = self.base, []
        failed: dict[str, JobError] = {}
        for job in stack:
            try:
                sources.append(
                    TrainingSource(
                        key=job.key,
                        items=asked_items(job, "train", job.config.train_items, self.context),
                        eval_items=asked_items(job, "dev", job.config.dev_items, self.context),
                        seed=job.config.seed,
                        shuffled_labels=job.config.control == "placebo",
                    )
                )
            except (ValueError, JobError) as error:
                failed[job.key] = JobError(str(error))
        if not sources:
            return failed
        try:
            results = train_stack(
                base.model,
                base.tokenizer,
                sources,
                settings,
                self.context.device,
                progress,
                encoding=base.encoding,
                trial=self._trial(stack[0], settings, sources[0].items),
            )
        except ValueError as error:
            return failed | {source.key: JobError(str(error)) for source in sources}
        failed |= {
            r.key: JobError(r.reason.removeprefix(f"source {r.key}: "))
            for r in results
            if isinstance(r, TrainingFailure)
        }
        trained = [result for result in results if not isinstance(result, TrainingFailure)]
        labels = {job.key: job.label for job in stack}
        for result in trained:
            if not any(row.learning_rate for row in result.log):
                self.context.note(
                    f"{labels[result.key]}: its one step warms up from rate zero, so nothing is learnt; set more "
                    "`epochs`, a smaller `batch_size`, or `warmup: 0`"
                )
        with self.context.artifacts.commit(result.key for result in trained) as folders:
            for result in trained:
                save_adapter(result.adapter, settings, folders[result.key], _base_name(stack[0].config))
                write_log(folders[result.key], result.log)
        return failed

    def _trial(self, job: Job[Tuning], settings: Lora, items: Sequence[Item]) -> Trial:
        """Return what trying such adapters on the base shows, once a visit; raises ValueError if they cannot be
        trained."""
        from compute.language_models.probes import try_adapters

        if self.trial is None:
            self.trial = try_adapters(self.base.model, self.base.tokenizer, items, settings, self.base.encoding)
            model = job.config.model.rpartition("@")[0]
            self.context.note(f"{model} {job.config.variant}: {self.trial.summary}")
        return self.trial

    def score(self) -> Iterator[tuple[Job, Outcome]]:
        """Yield each adapter alone, so that a score does not depend on which others were asked for."""
        from compute.language_models.lora import LoraStack, load_adapter

        by_adapter: dict[str, list[Job[TunedScoring]]] = {}
        for job in self.scorings:
            by_adapter.setdefault(job.inputs[_ADAPTER], []).append(job)
        for key, jobs in by_adapter.items():
            if key in self.failed:
                yield from ((job, JobError(f"its adapter failed: {self.failed[key]}")) for job in jobs)
                continue
            try:
                stack = LoraStack(self.base.model, [load_adapter(self.context.artifacts.path(key))])
            except (OSError, ValueError, JobError) as error:  # a damaged file: other adapters go on
                reason = JobError(f"its adapter cannot be read: {error}; without its folder it is trained again")
                yield from ((job, reason) for job in jobs)
                continue
            with stack:
                for job in jobs:
                    self.context.report_progress(job.label, self.cost_done / self.cost)
                    self.cost_done += job.cost
                    yield job, score_rows(job, self.base, self.context)


def _base_name(config: Tuning) -> str:
    """Return the base as an adapter names it: on the hub where it is from there, else as in the warehouse."""
    return config.place.checkpoint if config.place and config.place.revision else config.model
