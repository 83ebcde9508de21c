"""Reads a study from YAML.

Every mistake is one line: file and line, key, what was expected, the nearest valid name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from compute.catalog import check_mirror
from compute.embeddings.downstream import load_classifier
from compute.embeddings.mappings import load_method
from compute.errors import UserError
from compute.language_models.revisions import check_folder, check_revision
from compute.language_models.settings import Lora
from compute.language_models.stored_config import check_quantized
from compute.names import UnknownName
from compute.plugin import configure, load_plugin, optional_plugins
from compute.study.schema import TRAIN_PROMPT, Study
from compute.tasks import TASKS
from compute.tasks.catalogued import CataloguedTask
from compute.yaml_file import read_yaml


def read_study(path: Path) -> Study:
    """The study in a YAML file. Raises UserError, one line for each mistake."""
    file = read_yaml(path, "`study:` and its sections")
    study = file.validated(Study)
    for name in study.plugins:
        if name not in optional_plugins():
            unknown = UnknownName("plugin", name, optional_plugins())
            raise UserError(f"{file.place(['plugins', name])}: {unknown}")
    for location, model, build in _open_sections(study):
        try:
            build()
        except ValidationError as error:
            raise UserError(file.describe(error, model, location)) from None
    for location, look_up in _references(study):
        try:
            look_up()
        except (ValueError, UserError) as error:
            raise UserError(f"{file.place(location)}: {error}") from None
    return study


def _open_sections(study: Study) -> Iterator[tuple[tuple[str | int, ...], Any, Callable[[], object]]]:
    """Where, for which model and how sections are checked whose shape depends on a name beside them."""
    for name in study.variants:
        yield ("variants", name), Lora, partial(study.lora_variant, name)
    for position, entry in enumerate(study.embeddings.methods if study.embeddings else ()):
        yield ("embeddings", "methods", position, "settings"), load_method(entry.name), entry.build
    for number, task in enumerate(study.embeddings.downstream if study.embeddings else ()):
        for position, chosen in enumerate(task.classifiers):
            place = ("embeddings", "downstream", number, "classifiers", position, "settings")
            yield place, load_classifier(task.task, chosen.name), partial(task.build, chosen)
    for name, section in study.plugins.items():
        plugin = load_plugin(name)
        yield ("plugins", name), plugin.Config, partial(configure, plugin, section)


Reference = tuple[tuple[str | int, ...], Callable[[], object]]


def _references(study: Study) -> Iterator[Reference]:
    """Yield where names stand that other parts of the study, or files, must have, and how each is looked up."""
    if study.embeddings is not None:
        for number, entry in enumerate(study.embeddings.downstream):
            key = "pairs" if entry.pairs else "folder" if entry.folder else "collection"
            yield (
                ("embeddings", "downstream", number, key),
                partial(entry.check_pairs, study.embeddings.language_pairs),
            )
    yield from _prompt_maps(study)
    yield from _contrasts(study)
    for name in study.tasks:
        yield ("tasks", name), partial(_check_own_name, name)
    for number, model in enumerate(study.models):
        if model.checkpoint is not None:
            yield ("models", number, "revision"), partial(check_revision, model.checkpoint, model.revision)
            yield ("models", number, "checkpoint"), partial(check_folder, model.checkpoint)
            tuned = study.sources is not None
            yield ("models", number, "checkpoint"), partial(check_quantized, model.checkpoint, model.revision, tuned)
            for variant, lora in study.lora_settings.items() if study.sources is not None else ():
                section = ("lora",) if variant == "default" else ("variants", variant)
                if variant == "default" or "target_modules" in study.variants[variant]:
                    yield (*section, "target_modules"), partial(_check_layers, model.name, model.checkpoint, lora)
        for task, language in model.pretrain.cells if model.pretrain is not None else ():
            yield ("models", number, "pretrain", "tasks"), partial(study.task, task, None)
            yield ("models", number, "pretrain", "languages"), partial(study.task, task, language)
            yield ("models", number, "pretrain", "tasks"), partial(_check_training, study, task, language)
            yield ("prompts", "evaluate"), partial(_check_prompt, study, task, language, study.prompt_name(task))
    for role, grid in (("sources", study.sources), ("targets", study.targets)):
        for number, block in enumerate(grid.blocks if grid is not None else ()):
            place = (role, "blocks", number)
            for position, task in enumerate(block.tasks):
                yield (*place, "tasks", position), partial(study.task, task, None)
                yield (*place, "tasks", position), partial(_check_mirror, study, task)
                for which, language in enumerate(block.languages):
                    yield (*place, "languages", which), partial(study.task, task, language)
                    prompt = study.prompt_name(task)
                    yield ("prompts", "evaluate"), partial(_check_prompt, study, task, language, prompt)
                    if role == "sources":
                        yield (*place, "tasks", position), partial(_check_training, study, task, language)
                        yield (*place, "tasks", position), partial(_check_selection, study, task, language)
                        yield from _training_prompts(study, task, language)
                    else:
                        yield (*place, "tasks", position), partial(_check_test, study, task, language)


def _prompt_maps(study: Study) -> Iterator[Reference]:
    """The tasks for which a prompt is chosen by name: a mistyped one would go unheeded."""
    asked = {task for task, _ in study.cells}
    tuned = {task for task, _ in study.sources.cells} if study.sources is not None else set()
    chosen: list[tuple[tuple[str | int, ...], Any, set[str]]] = [
        (("prompts", "evaluate"), study.prompts.evaluate, asked),
        (("prompts", "train"), study.prompts.train, tuned),
    ]
    for variant, changes in study.variants.items():
        chosen.append((("variants", variant, TRAIN_PROMPT), changes.get(TRAIN_PROMPT), tuned))
    for place, prompts, tasks in chosen:
        for task in prompts if isinstance(prompts, dict) else ():
            yield (*place, task), partial(_check_used, task, tasks, place[-1])


def _contrasts(study: Study) -> Iterator[Reference]:
    """What contrasts name: variants, models, sources and targets of this study."""
    sources, targets = (
        [f"{task}/{language}" for task, language in grid.cells] if grid is not None else []
        for grid in (study.sources, study.targets)
    )
    known = {
        "variant": ["default", *study.variants],
        "model": [model.name for model in study.models],
        "source": sources,
    }
    for name, contrast in study.contrasts.items():
        for label, arm in (("a", contrast.a), ("b", contrast.b)):
            place = ("contrasts", name, label)
            for key, names in known.items():
                if (chosen := getattr(arm, key)) is not None:
                    yield (*place, key), partial(_check_known, f"{key} of this study", chosen, names)
            if arm.control == "placebo":
                yield (*place, "control"), partial(_check_placebo, study)
            if arm.prompt is not None:
                yield (*place, "prompt"), _refuse_prompt
        for position, target in enumerate(contrast.targets):
            yield ("contrasts", name, "targets", position), partial(_check_known, "target", target, targets)


def _check_known(kind: str, name: str, known: list[str]) -> None:
    if name not in known:
        raise UnknownName(kind, name, known)


def _check_placebo(study: Study) -> None:
    if not study.placebo.seeds:
        raise ValueError("this study has no placebo; give `placebo:` its `seeds`")


def _refuse_prompt() -> None:
    raise ValueError("a study file evaluates each target with one prompt; prompts are compared in imports")


def _check_own_name(name: str) -> None:
    """Chance, metric and licence are a warehouse's by task: two tasks of one name would have each other's."""
    if name in TASKS:
        raise ValueError(f"{name!r} is the name of a built-in task; give yours another")


def _check_layers(model: str, checkpoint: str, lora: Lora) -> None:
    from compute.language_models.stored_layers import check_target_modules

    try:
        check_target_modules(checkpoint, lora)
    except UnknownName as error:
        raise UserError(f"model {model}: {error}") from None


def _check_used(task: str, tasks: set[str], key: str | int) -> None:
    if task not in tasks:
        raise UnknownName("task of this study" if key == "evaluate" else "task to tune on", task, tasks)


def _training_prompts(study: Study, task: str, language: str) -> Iterator[Reference]:
    yield ("prompts", "train"), partial(_check_prompt, study, task, language, study.train_prompt_name(task, "default"))
    for variant, changes in study.variants.items():
        if TRAIN_PROMPT in changes:
            prompt = study.train_prompt_name(task, variant)
            yield ("variants", variant, TRAIN_PROMPT), partial(_check_prompt, study, task, language, prompt)


def _check_mirror(study: Study, task: str) -> None:
    if isinstance(study.task(task, None), CataloguedTask):
        check_mirror()


def _check_training(study: Study, task: str, language: str) -> None:
    if "train" not in study.task(task, language).splits:
        raise ValueError(f"task {task!r} has no training data in {language!r}: there it can be a target only")


def _check_selection(study: Study, task: str, language: str) -> None:
    chosen = any(lora.best_checkpoint for lora in study.lora_settings.values())
    if chosen and "dev" not in study.task(task, language).splits:
        raise ValueError(f"task {task!r} has no dev data in {language!r}, by which best_checkpoint chooses")


def _check_test(study: Study, task: str, language: str) -> None:
    if "test" not in study.task(task, language).splits:
        raise ValueError(f"task {task!r} has no test data in {language!r}: it can be a source only")


def _check_prompt(study: Study, task: str, language: str, prompt: str | None) -> None:
    study.task(task, language).prompt(prompt)
