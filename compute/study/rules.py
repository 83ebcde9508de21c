"""What a study must keep to beyond the shape of its parts: names that other parts or files must have.

The models of `compute.study.schema` check what they hold; here is what takes a look at several of them, or at data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from compute.catalog import check_mirror
from compute.embeddings.settings import BibleVectors
from compute.errors import UserError
from compute.language_models.planned_layers import left_out
from compute.language_models.revisions import check_revision, is_folder
from compute.language_models.settings import Lora
from compute.language_models.stored_config import check_library, check_quantized, check_weights
from compute.language_models.stored_layers import check_target_modules
from compute.names import UnknownName
from compute.project import expand
from compute.study.given import base_files, look_up
from compute.study.mixtures import Mixture, items_of_parts
from compute.study.sources import SEVERAL, UNKNOWN
from compute.tasks import TASKS
from compute.tasks.cataloged import CatalogedTask
from compute.values import Location, Name

if TYPE_CHECKING:
    from compute.study.schema import ModelEntry, Study
    from compute.study.sources import GivenSource

Rule = tuple[Location, Callable[[], object]]
"""Where something stands in a study, and what raises ValueError or UserError if it cannot stand there."""


def first_broken(study: Study) -> tuple[Location, Exception] | None:
    """Return the first rule that a study breaks: where, and why; None if it keeps all."""
    for location, check in _rules(study):
        try:
            check()
        except (ValueError, UserError) as error:
            return location, error
    return None


def _rules(study: Study) -> Iterator[Rule]:
    yield from _of_embeddings(study)
    yield from _of_prompt_maps(study)
    yield from _of_mixtures(study)
    yield from _of_contrasts(study)
    for name in study.tasks:
        yield ("tasks", name), partial(_check_own_name, name)
    for number, model in enumerate(study.models):
        yield from _of_checkpoint(study, number, model)
        yield from _of_given_sources(study, number, model)
        for task, language in model.pretrain.cells if model.pretrain is not None else ():
            place = ("models", number, "pretrain")
            yield (*place, "tasks"), partial(study.task, task, None)
            yield (*place, "languages"), partial(study.task, task, language)
            yield (*place, "tasks"), partial(_check_training, study, task, language)
            yield ("prompts", "evaluate"), partial(_check_prompt, study, task, language, study.prompt_name(task))
    for role, grid in (("sources", study.sources), ("targets", study.targets)):
        for number, block in enumerate(grid.blocks if grid is not None else ()):
            for position, task in enumerate(block.tasks):
                at_task: Location = (role, "blocks", number, "tasks", position)
                yield at_task, partial(study.task, task, None)
                yield at_task, partial(_check_mirror, study, task)
                for which, language in enumerate(block.languages):
                    yield (role, "blocks", number, "languages", which), partial(study.task, task, language)
                    yield from _of_cell(study, role, at_task, task, language)


def _of_cell(study: Study, role: str, at_task: Location, task: str, language: str) -> Iterator[Rule]:
    yield ("prompts", "evaluate"), partial(_check_prompt, study, task, language, study.prompt_name(task))
    if role == "targets":
        yield at_task, partial(_check_test, study, task, language)
        return
    yield at_task, partial(_check_training, study, task, language)
    yield at_task, partial(_check_selection, study, task, language)
    yield (
        ("prompts", "train"),
        partial(_check_prompt, study, task, language, study.train_prompt_name(task, "default")),
    )
    for name, variant in study.variants.items():
        if variant.train_prompt is not None:
            prompt = study.train_prompt_name(task, name)
            yield ("variants", name, "train_prompt"), partial(_check_prompt, study, task, language, prompt)


def _of_embeddings(study: Study) -> Iterator[Rule]:
    if study.embeddings is None:
        return
    if study.embeddings.dictionaries == "xling-eval":
        yield ("embeddings", "dictionaries"), check_mirror
    for name, vectors in study.embeddings.vectors.items():
        if isinstance(vectors, BibleVectors):
            yield ("embeddings", "vectors", name), check_mirror
    for number, entry in enumerate(study.embeddings.downstream):
        key = "pairs" if entry.pairs else "folder" if entry.folder else "collection"
        place = ("embeddings", "downstream", number)
        yield (*place, key), partial(entry.check_pairs, study.embeddings.language_pairs)
        if entry.folder is None:
            yield (*place, "collection"), check_mirror


def _of_checkpoint(study: Study, number: int, model: ModelEntry) -> Iterator[Rule]:
    if model.checkpoint is None:
        return
    is_tuned = study.sources is not None
    if is_folder(model.checkpoint):
        yield ("models", number, "checkpoint"), partial(_check_files, model)
    yield ("models", number, "checkpoint"), partial(check_quantized, model.checkpoint, model.revision, is_tuned)
    for name, lora in study.lora_settings.items() if is_tuned else ():
        own = name == "default" or "target_modules" in study.variants[name].model_fields_set
        if own and lora.target_modules != "all-linear":
            place = ("lora",) if name == "default" else ("variants", name)
            yield (*place, "target_modules"), partial(_check_layers, model, lora)


def _of_given_sources(study: Study, number: int, model: ModelEntry) -> Iterator[Rule]:
    """Yield what is looked at of sources in folders; those of the hub are looked at when jobs are planned."""
    for position, source in enumerate(model.sources):
        place: Location = ("models", number, "sources", position)
        key, there = ("adapter", source.adapter) if source.adapter else ("checkpoint", source.checkpoint)
        yield (*place, "name"), partial(_check_cell, study, source)
        if there is not None:
            yield (*place, "revision"), partial(check_revision, there, source.revision)
            if is_folder(there):
                yield (*place, key), partial(look_up, source, base_files(model))


def _of_prompt_maps(study: Study) -> Iterator[Rule]:
    """Yield the tasks for which a prompt is chosen by name: a mistyped one would go unheeded."""
    asked = {task for task, _ in study.cells}
    tuned = {task for task, _ in study.sources.cells} if study.sources is not None else set()
    chosen: list[tuple[Location, Any, set[str]]] = [
        (("prompts", "evaluate"), study.prompts.evaluate, asked),
        (("prompts", "train"), study.prompts.train, tuned),
    ]
    for name, variant in study.variants.items():
        chosen.append((("variants", name, "train_prompt"), variant.train_prompt, tuned))
    for place, prompts, tasks in chosen:
        for task in prompts if isinstance(prompts, dict) else ():
            yield (*place, task), partial(_check_used, task, tasks, place[-1])


def _of_contrasts(study: Study) -> Iterator[Rule]:
    """Yield what contrasts name: variants, models, sources and targets of this study."""
    sources, targets = (
        [f"{task}/{language}" for task, language in grid.cells] if grid is not None else []
        for grid in (study.sources, study.targets)
    )
    given = [source for model in study.models for source in model.sources]
    names_of_given = [name for source in given for name in (source.name, "/".join(source.cell))]
    known = {
        "variant": list(dict.fromkeys(["default", *study.variants, *(source.label for source in given)])),
        "model": [model.name for model in study.models],
        "source": list(dict.fromkeys([*sources, *study.mixtures, *names_of_given])),
    }
    for name, contrast in study.contrasts.items():
        for label, arm in (("a", contrast.a), ("b", contrast.b)):
            place: Location = ("contrasts", name, label)
            for key, names in known.items():
                if (chosen := getattr(arm, key)) is not None:
                    yield (*place, key), partial(_check_known, f"{key} of this study", chosen, names)
            if arm.control == "placebo":
                yield (*place, "control"), partial(_check_placebo, study)
            if arm.prompt is not None:
                yield (*place, "prompt"), _refuse_prompt
        for position, target in enumerate(contrast.targets):
            yield ("contrasts", name, "targets", position), partial(_check_known, "target", target, targets)


def _check_cell(study: Study, source: GivenSource) -> None:
    trained = study.sources is not None and source.label in study.lora_settings and source.cell in study.sources.cells
    if trained:
        raise ValueError(
            f"source {source.name!r}: the study itself tunes on {'/'.join(source.cell)} under variant "
            f"{source.label!r}, and rows would not tell the two apart; give it another `variant`"
        )


def _of_mixtures(study: Study) -> Iterator[Rule]:
    """Yield that a mixture has a name of its own, and parts that are tuned on alone, with as many items as it takes."""
    sources = [f"{task}/{language}" for task, language in study.sources.cells] if study.sources is not None else []
    for name, mixture in study.mixtures.items():
        yield ("mixtures",), partial(_check_mixture_name, name)
        for position, part in enumerate(mixture.parts):
            yield ("mixtures", name, "parts", position), partial(_check_known, "source of this study", part, sources)
        yield ("mixtures", name, "items"), partial(_check_items_of_parts, study, mixture)


def _check_mixture_name(name: str) -> None:
    """The marts know a source by its name, or as task/language."""
    if "/" in name:
        raise ValueError(f"{name!r} reads as a source of the grid, task/language; give the mixture another name")
    if name in (SEVERAL, UNKNOWN):
        raise ValueError(f"{name!r} stands for several or unknown languages; give the mixture another name")
    try:
        TypeAdapter(Name).validate_python(name)
    except ValidationError:
        raise ValueError(
            f"{name!r} is no name of a mixture: expected letters, digits, '.', '_' and '-', at most 64 of them"
        ) from None


def _check_items_of_parts(study: Study, mixture: Mixture) -> None:
    """As far as planning knows how many there are; the job looks again."""
    used = {
        part: study.items_used(*cell, "train") or study.task(*cell).size(cell[1], "train")
        for part, cell in zip(mixture.parts, mixture.cells, strict=True)
    }
    there = {part: number for part, number in used.items() if number is not None}
    if len(there) == len(used):
        items_of_parts(mixture.items, mixture.shares, there)


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


def _check_files(model: ModelEntry) -> None:
    assert model.checkpoint is not None
    try:
        check_library(expand(model.checkpoint))
        check_weights(expand(model.checkpoint), if_none=False)
    except ValueError as error:
        raise ValueError(f"model {model.checkpoint}: {error}") from None


def _check_layers(model: ModelEntry, lora: Lora) -> None:
    assert model.checkpoint is not None
    try:
        check_target_modules(model.checkpoint, lora)
        left_out(model.checkpoint, model.revision, lora, model.trust_remote_code)
    except ValueError as error:
        raise ValueError(f"model {model.name}: {error}") from None


def _check_used(task: str, tasks: set[str], key: str | int) -> None:
    if task not in tasks:
        raise UnknownName("task of this study" if key == "evaluate" else "task to tune on", task, tasks)


def _check_mirror(study: Study, task: str) -> None:
    if isinstance(study.task(task, None), CatalogedTask):
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
