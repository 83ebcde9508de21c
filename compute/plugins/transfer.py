"""Plugin `transfer`: one LoRA adapter per source, seed and control, and its scores on every target.

Training an adapter and scoring it on a target are jobs of their own, run in one visit: a new target scores the
adapters that are there and trains none. So are the adapters on the way (`score_at`): what one training gives in a
visit is one run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from compute.errors import JobError, UserError
from compute.language_models.planned_layers import left_out
from compute.language_models.settings import Lora
from compute.language_models.stored_reading import Reading
from compute.plugin import Context, Job, Made, Outcome, Planned, Plugin
from compute.plugins.bases import BASE, Base, load_base
from compute.plugins.costs import SECOND, items_asked, model_weights, scoring_cost, tuning_cost
from compute.plugins.products import BaseModel, TaskItems, label_of
from compute.plugins.scoring_rows import ITEMS, SOURCE_KEYS, Scoring, Target, score_rows, targets
from compute.plugins.training_log import read_log, write_log
from compute.plugins.tunings import MixedTuning, Part, Tuning, part_rows, training_source
from compute.study.mixtures import Mixture
from compute.study.schema import ModelEntry, Study
from compute.tasks import Item, Prompt

if TYPE_CHECKING:
    from compute.language_models.probes import Trial

_ADAPTERS_A_STACK = 8
_ADAPTER = "adapter"
"""The input of scoring jobs: the job that trains the adapter."""


class TunedScoring(Scoring):
    """An adapter scored on a target."""

    step: Literal["score"] = "score"


_Training = Job[Tuning | MixedTuning]


@dataclass(frozen=True)
class _Arm:
    """What all trainings of one model, variant, control and seed have in common."""

    study: Study
    planned: Planned
    entry: ModelEntry
    base: Made[BaseModel]
    variant: str
    left_out: tuple[str, ...]
    control: str | None
    seed: int
    weights: float
    """Of the model, in thousands of millions."""

    def on_cell(self, cell: tuple[str, str]) -> _Training:
        """Return the training on a source of the grid."""
        task, language = cell
        prompt = self._prompt(task, language)
        study = self.study
        tuning = Tuning(
            **self._keys(),
            source_task=task,
            source_language=language,
            prompt=prompt.label,
            prompt_format=prompt,
            train_items=study.items_used(task, language, "train"),
            dev_items=study.items_used(task, language, "dev"),
        )
        items = items_asked(study, task, language, "train")
        return self._job(tuning, {ITEMS: self._items_of(task, language)}, f"{task}/{language}", items)

    def on_mixture(self, name: str, mixture: Mixture) -> _Training:
        """Return the training on several sources at once."""
        study, parts = self.study, []
        for (task, language), share in zip(mixture.cells, mixture.shares, strict=True):
            prompt = self._prompt(task, language)
            parts.append(
                Part(
                    task=task,
                    language=language,
                    share=share,
                    prompt=prompt.label,
                    prompt_format=prompt,
                    train_items=study.items_used(task, language, "train"),
                    dev_items=study.items_used(task, language, "dev"),
                )
            )
        task, language = mixture.source
        tuning = MixedTuning(
            **self._keys(),
            source_task=task,
            source_language=language,
            source_name=name,
            parts=tuple(parts),
            items=mixture.items,
        )
        there = [items_asked(study, *cell, "train") for cell in mixture.cells]
        if isinstance(mixture.items, int):
            items = mixture.items
        else:
            items = min(there) if mixture.items == "equal" else sum(there)
        return self._job(tuning, {part.input: self._items_of(part.task, part.language) for part in parts}, name, items)

    def _prompt(self, task: str, language: str) -> Prompt:
        return self.study.task(task, language).prompt(self.study.train_prompt_name(task, self.variant))

    def _items_of(self, task: str, language: str) -> str:
        return self.planned.find(TaskItems, f"{task}/{language}").key

    def _keys(self) -> dict[str, Any]:
        return {
            "model": label_of(self.base),
            "place": self.base.product.place,
            "variant": self.variant,
            "control": self.control,
            "seed": self.seed,
            "truncate": self.study.truncate,
            "lora": self.study.lora_settings[self.variant],
            "left_out": self.left_out,
            "leaves_out_end": self.base.product.reading.leaves_out_end,
            "parts_by_length": self.base.product.reading.parts_by_length,
        }

    def _job(self, tuning: Tuning | MixedTuning, items: Mapping[str, str], source: str, n_items: int) -> _Training:
        arm = f"{self.control} " if self.control else ""
        return Job(
            plugin=Transfer.name,
            version=Transfer.version,
            config=tuning,
            inputs={BASE: self.base.key, **items},
            label=f"tune {self.entry.name} {self.variant} on {arm}{source} seed {self.seed}",
            batch=f"{self.entry.name} {self.variant} {arm}seed {self.seed}",
            cost=tuning_cost(self.weights, tuning.lora.epochs * n_items),
            work=f"train/{self.entry.name}",
            leaves_artifact=True,
        )


def _on_the_way(training: _Training) -> Iterator[_Training]:
    """Yield the jobs that keep the adapter after parts of its training. They cost no training beside the whole's."""
    for fraction in training.config.lora.fractions:
        yield replace(
            training,
            config=training.config.model_copy(update={"fraction": fraction}),
            label=f"{training.label} at {fraction:g}",
            cost=0.01 * SECOND,
            work="",
        )


def _whole(training: _Training) -> _Training:
    """Return the job of the whole training that a job is of."""
    return replace(training, config=training.config.model_copy(update={"fraction": None}))


class Transfer(Plugin):
    """Artifact: an adapter in PEFT's format. Rows of `raw.training_log` and `raw.source_parts` (training),
    `raw.item_scores` (scoring)."""

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
                    arm = _Arm(study, planned, entry, base, variant, left_out, control, seed, weights)
                    whole = [
                        *(arm.on_cell(cell) for cell in study.sources.cells),
                        *(arm.on_mixture(name, mixture) for name, mixture in study.mixtures.items()),
                    ]
                    trainings = [job for one in whole for job in (one, *_on_the_way(one))]
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

    def _scorings(
        self, training: _Training, scored: Sequence[tuple[Target, float, str]], reading: Reading
    ) -> Iterator[Job]:
        """Yield a job for each target, with its cost and its kind of work."""
        source = {key: getattr(training.config, key) for key in ("model", "place", *SOURCE_KEYS)}
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
        self.trainings: list[_Training] = [job for job in jobs if isinstance(job.config, Tuning | MixedTuning)]
        self.scorings: list[Job[TunedScoring]] = [job for job in jobs if isinstance(job.config, TunedScoring)]
        self.context, self.base = context, base
        self.cost = sum(job.cost for job in jobs)
        self.cost_done = 0.0
        self.failed: dict[str, JobError] = {}
        self.trial: Trial | None = None

    def train(self) -> Iterator[tuple[Job, Outcome]]:
        """Adapters that an earlier, killed visit had committed are taken as they are; the rest are trained."""
        left = [job for job in self.trainings if not self.context.artifacts.has(job.key)]
        runs: dict[str, list[_Training]] = {}
        for job in left:
            runs.setdefault(_whole(job).key, []).append(job)
        waiting = list(runs.values())
        for start in range(0, len(waiting), _ADAPTERS_A_STACK):
            stack = waiting[start : start + _ADAPTERS_A_STACK]
            self.failed |= self._train_stack(stack)
            self.cost_done += sum(job.cost for run in stack for job in run)
        for job in self.trainings:
            yield job, self.failed.get(job.key) or self._trained(job)

    def _trained(self, job: _Training) -> Outcome:
        if job.config.fraction is not None:  # what there is to tell is told of the whole training
            return {}
        rows: dict[str, Any] = {"training_log": read_log(self.context.artifacts.path(job.key))}
        if isinstance(job.config, MixedTuning):
            rows["source_parts"] = part_rows(job, self.context)
        return rows

    def _train_stack(self, stack: Sequence[Sequence[_Training]]) -> dict[str, JobError]:
        """Train one adapter a run, and keep what each of the run's jobs asks of it. Return the jobs that failed."""
        from compute.language_models.adapters import save_adapter
        from compute.language_models.training import train_stack
        from compute.language_models.training_records import TrainingFailure

        first = stack[0][0]
        settings = first.config.lora
        share = sum(job.cost for run in stack for job in run) / self.cost

        def progress(done: int, steps: int, text: str) -> None:
            self.context.report_progress(text, self.cost_done / self.cost + share * done / steps)

        base, sources, runs = self.base, [], {}
        failed: dict[str, JobError] = {}
        for run in stack:
            whole = _whole(run[0])
            runs[whole.key] = run
            try:
                fractions = [job.config.fraction for job in run if job.config.fraction is not None]
                sources.append(training_source(whole, fractions, self.context))
            except (ValueError, JobError) as error:
                failed |= {job.key: JobError(str(error)) for job in run}
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
                trial=self._trial(first, settings, sources[0].items),
            )
        except ValueError as error:
            return failed | {job.key: JobError(str(error)) for source in sources for job in runs[source.key]}
        trained = []
        for result in results:
            if isinstance(result, TrainingFailure):
                reason = JobError(result.reason.removeprefix(f"source {result.key}: "))
                failed |= dict.fromkeys((job.key for job in runs[result.key]), reason)
                continue
            trained += [(job, result) for job in runs[result.key]]
            if not any(row.learning_rate for row in result.log):
                label = runs[result.key][0].label
                self.context.note(
                    f"{label}: its one step warms up from rate zero, so nothing is learnt; set more "
                    "`epochs`, a smaller `batch_size`, or `warmup: 0`"
                )
        with self.context.artifacts.commit(job.key for job, _ in trained) as folders:
            for job, result in trained:
                fraction = job.config.fraction
                adapter = result.adapter if fraction is None else result.on_the_way[fraction]
                save_adapter(adapter, settings, folders[job.key], _base_name(job.config))
                if fraction is None:
                    write_log(folders[job.key], result.log)
        return failed

    def _trial(self, job: _Training, settings: Lora, items: Sequence[Item]) -> Trial:
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
        from compute.language_models.adapters import load_adapter
        from compute.language_models.lora import LoraStack

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


def _base_name(config: Tuning | MixedTuning) -> str:
    """Return the base as an adapter names it: on the hub where it is from there, else as in the warehouse."""
    return config.place.checkpoint if config.place and config.place.revision else config.model
