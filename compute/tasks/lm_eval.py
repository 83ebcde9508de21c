"""Tasks of an installed lm-evaluation-harness (extra `lm-eval`), as targets: `lm_eval:belebele_deu_Latn`, or by path a
task file of one's own, `lm_eval:tasks/mine.yaml`.

Contexts, choices and gold are written by the harness itself, few-shot examples and descriptions included as its task
file has them, so scores equal the harness's own: with a chat template, those of `--apply_chat_template`, examples as
turns of their own. Tasks can be had that choose among continuations of one context, or
generate greedily and are scored by exact match (see `compute.tasks.lm_eval_answers`). Others are scored in ways that
the warehouse's raw rows cannot repeat, and are refused by name.

A task is looked up in its YAML alone; the harness is imported, and the data are loaded, when questions are asked for,
or so many of them: how many there are is part of what a job is.
Data on the hub are named in a task's digest, with their revision where the task pins one; local files are digested
(`compute.tasks.lm_eval_files`).
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean
from typing import Any

import yaml

from compute.errors import UserError
from compute.names import UnknownName
from compute.tasks.checks import Located, check_questions, with_places
from compute.tasks.lm_eval_files import BUILDERS, local_data
from compute.tasks.order import fair_order
from compute.tasks.reading import Place
from compute.tasks.task import Generation, Prompt, Question, Split, Task

_FEWSHOT_SEED = 1234
"""The harness's default, with which published scores are made."""

_LONGEST_ANSWER = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
"""Names of one setting, in the harness's order of precedence."""

_GREEDILY = ("until", "do_sample", "temperature", "top_p", "top_k")
"""Generation settings that are read here, or that a greedy answer does not depend on."""

_FILE = (".yaml", ".yml")


@dataclass(frozen=True, kw_only=True)
class LmEvalTask(Task):
    """A task of the harness in the one language that a study says it is in; it has test questions only.

    Attributes:
        path: of its YAML.
        config: the YAML with what it includes; functions by name.
        folders: those in which the functions of the YAML, and of what it includes, are looked for.
    """

    path: Path
    config: Mapping[str, Any]
    folders: tuple[Path, ...]

    def questions(self, language: str, split: Split) -> list[Question]:
        """See `Task.questions`."""
        self.check_language(language)
        return list(_questions(self.name, self.path)) if split == "test" else []

    def size(self, language: str, split: Split) -> int | None:
        """See `Task.size`. Known where planning has the data: in local files, or read to tell the level of chance."""
        self.check_language(language)
        if split != "test":
            return 0
        reads = self.kind == "choice" and _chance_as_written(self.config) is None
        return _counted(self.name, self.path)[0] if reads or any(local_data(self.config)) else None

    def counted(self, language: str, split: Split) -> int:
        """See `Task.counted`. Raises UserError where the harness cannot load the data."""
        self.check_language(language)
        return _counted(self.name, self.path)[0] if split == "test" else 0

    def digest(self, language: str) -> str:
        """See `Task.digest`. Over the harness's version, the YAML with what it includes, the Python files beside
        either, and local data files."""
        self.check_language(language)
        digest = hashlib.sha256(json.dumps([version("lm_eval"), self.config], sort_keys=True, default=str).encode())
        code = [("", path) for folder in self.folders for path in sorted(folder.glob("*.py"))]
        for name, path in [*code, *local_data(self.config)]:
            digest.update(name.encode())
            with open(path, "rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()


def load_lm_eval(name: str, language: str | None) -> LmEvalTask:
    """Return a task of the harness, or one written for it.

    Args:
        name: as the harness takes it, without `lm_eval:`: the name of a task of its own, or the path of a task's
            YAML from where the command is run.
        language: what the study says it is in; None: it is only looked up, and has no languages.

    Raises:
        UnknownName: the harness has no such task; the message gives the nearest.
        UserError: the harness is not installed; there is no such file; the task is of a kind that cannot be had, or
            its data cannot be loaded.
    """
    own = _harness() / "tasks"
    path = Path(name).expanduser() if name.endswith(_FILE) else _among(own, name)
    config, folders = _config(path)
    if not isinstance(config.get("task"), str):
        raise UserError(f"{path}: expected `task:` and a name; a group's tasks are named one by one")
    _refuse(name, config)
    metrics = _metrics(config)
    generates = _output_type(config) == "generate_until"
    accuracy = "acc_norm" if "acc" not in metrics and "acc_norm" in metrics else "acc"
    return LmEvalTask(
        name=f"lm_eval:{name}",
        kind="generation" if generates else "choice",
        generation=_generation(name, config) if generates else None,
        # The context is a whole prompt already; the harness puts the delimiter before each choice, as `Prompt` does.
        prompts=(Prompt("lm_eval", "{context}", delimiter=config.get("target_delimiter", " ")),),
        chance=_chance(name, path, config) if language is not None and not generates else 0.0,
        languages=(language,) if language is not None else (),
        licence="NOASSERTION",
        source_url=_source_url(config),
        splits=("test",),
        primary_metric="exact_match" if generates else accuracy,
        path=path,
        config=config,
        folders=folders,
    )


def _among(folder: Path, name: str) -> Path:
    """Return the YAML of the task of that name in `folder`."""
    paths, groups = _index(folder)
    if name in groups and name not in paths:
        raise UserError(f"lm_eval:{name} is a group of tasks; name its tasks one by one")
    if name not in paths:
        nearest = difflib.get_close_matches(name, paths, n=1)
        raise UnknownName("task of lm-evaluation-harness", name, nearest or ["see `lm-eval ls tasks`"])
    return paths[name]


def _harness() -> Path:
    """Return the folder of the installed harness."""
    found = find_spec("lm_eval")
    if found is None or found.origin is None:
        raise UserError("lm_eval tasks need lm-evaluation-harness: pip install 'transfer-warehouse[lm-eval]'")
    return Path(found.origin).parent


_TASK_LINE = re.compile(rb"""^["']?task["']?[^\S\n]*:[^\S\n]*["']?([^\s"'#\[\]{}]+)""", re.MULTILINE)
_GROUP_LINE = re.compile(rb"""^["']?group["']?[^\S\n]*:[^\S\n]*["']?([^\s"'#\[\]{}]+)""", re.MULTILINE)


@cache
def _index(folder: Path) -> tuple[dict[str, Path], set[str]]:
    """Task name -> YAML file, and the names of groups.

    Read as text: the harness's own index parses its 14,000 files, which takes a minute.
    """
    tasks: dict[str, Path] = {}
    groups = set()
    for path in sorted(folder.rglob("*.yaml")):
        content = path.read_bytes()
        task, group = _TASK_LINE.search(content), _GROUP_LINE.search(content)
        if group is not None:
            groups.add(group[1].decode(errors="replace"))
        elif task is not None:
            tasks.setdefault(task[1].decode(errors="replace"), path)
    return tasks, groups


class _Loader(yaml.SafeLoader):
    """YAML in which `!function module.name` is the text after the tag: nothing is imported."""


_Loader.add_constructor("!function", lambda loader, node: f"!function {node.value}")


_FUNCTION = re.compile(r"!function\s+([\w.]+)\.\w+")


def _config(path: Path, within: tuple[Path, ...] = ()) -> tuple[dict[str, Any], tuple[Path, ...]]:
    """Return a task's settings, those of the files it includes beneath its own; and the folders in which the harness
    looks for the functions that any of them names. Raises UserError."""
    if path in within:
        raise UserError(f"{path}: includes itself")
    try:
        text = path.read_text(encoding="utf-8")
        own = yaml.load(text, Loader=_Loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from None
    if not isinstance(own, dict):
        raise UserError(f"{path}: expected a mapping, found {type(own).__name__}")
    includes = own.pop("include", None) or []
    folder = path.resolve().parent
    folders = [folder, *(folder.joinpath(*name.split(".")[:-1]) for name in _FUNCTION.findall(text))]
    merged: dict[str, Any] = {}
    for include in [includes] if isinstance(includes, str) else includes:
        settings, beside = _config((folder / include).resolve(), (*within, path))
        merged |= settings
        folders += beside
    return merged | own, tuple(dict.fromkeys(folders))


def _output_type(config: Mapping[str, Any]) -> str:
    return str(config.get("output_type", "generate_until"))


def _metrics(config: Mapping[str, Any]) -> list[str]:
    return [str(metric.get("metric")) for metric in config.get("metric_list") or []]


def _refuse(name: str, config: Mapping[str, Any]) -> None:
    """Raises UserError for a task whose scores raw rows cannot repeat."""
    kind = _output_type(config)
    reasons = {
        "it is written in Python": "class" in config,
        "it asks about images or sounds": bool(config.get("doc_to_image") or config.get("doc_to_audio")),
        f"its output_type is {kind}": kind not in ("multiple_choice", "generate_until"),
    }
    if kind == "multiple_choice":
        reasons["it scores answers with a function of its own"] = bool(config.get("process_results"))
    if kind == "generate_until":
        settings = config.get("generation_kwargs") or {}
        metrics = ", ".join(_metrics(config)) or "not named"
        reasons |= {
            f"its metric is {metrics}, not exact_match": "exact_match" not in _metrics(config),
            "its answers are drawn at random": bool(settings.get("do_sample")) or config.get("repeats", 1) != 1,
        }
    for reason, holds in reasons.items():
        if holds:
            raise UserError(f"task lm_eval:{name} cannot be a target: {reason}")


def _generation(name: str, config: Mapping[str, Any]) -> Generation:
    """Return how the harness has answers generated: its defaults where the task is silent. What it hands on to
    transformers is handed on here too, sampling's settings apart, which mean nothing to a greedy answer."""
    settings = config.get("generation_kwargs") or {}
    stop = settings.get("until", config.get("fewshot_delimiter", "\n\n"))
    longest = next((settings[key] for key in _LONGEST_ANSWER if settings.get(key) is not None), 256)
    read = (*_LONGEST_ANSWER, *_GREEDILY)
    others = {key: value for key, value in settings.items() if key not in read and (key, value) != ("num_beams", 1)}
    return Generation(tuple([stop] if isinstance(stop, str) else stop), int(longest), f"lm_eval:{name}", others)


def _chance(name: str, path: Path, config: Mapping[str, Any]) -> float:
    """Return the mean of 1 / number of choices; off the YAML where all questions have the same choices."""
    written = _chance_as_written(config)
    return _counted(f"lm_eval:{name}", path)[1] if written is None else written


def _chance_as_written(config: Mapping[str, Any]) -> float | None:
    choices = config.get("doc_to_choice")
    return 1 / len(choices) if isinstance(choices, list | dict) and choices else None


@cache
def _counted(name: str, path: Path) -> tuple[int, float]:
    """Return how many questions there are, and the mean of 1 / number of choices."""
    questions = _questions(name, path)
    return len(questions), fmean(1 / len(question.choices) for question in questions)


def _source_url(config: Mapping[str, Any]) -> str:
    dataset = str(config.get("dataset_path"))
    if dataset in BUILDERS or Path(dataset).exists():
        return "https://github.com/EleutherAI/lm-evaluation-harness"
    return f"https://huggingface.co/datasets/{dataset}"


@lru_cache(maxsize=64)
def _questions(name: str, path: Path) -> tuple[Question, ...]:
    with readable(name):
        task = harness_task(path)
        choices = task.OUTPUT_TYPE == "multiple_choice"
        located = list(_rendered(name, task, _choices if choices else _answer))
    check_questions("choice" if choices else "generation", {"test": located})
    return fair_order(with_places(located))


@contextmanager
def readable(name: str, what: str = "load it") -> Iterator[None]:
    """Whatever the harness raises within, as one line about the task of that name: it cannot do `what`."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # the harness, its task's functions and `datasets` raise whatever they like
        reason = next(iter(str(error).splitlines()), "")
        raise UserError(f"task {name}: the harness cannot {what}: {type(error).__name__}: {reason}") from error


@lru_cache(maxsize=8)
def harness_task(path: Path) -> Any:
    """Return the harness's own object for a task's YAML, its data loaded."""
    from lm_eval.tasks import TaskManager

    (task,) = TaskManager(include_defaults=False).load([str(path)])["tasks"].values()
    task.set_fewshot_seed(seed=_FEWSHOT_SEED)
    return task


def _rendered(
    name: str, task: Any, answers: Callable[[Place, Any, Any], tuple[tuple[str, ...], int]]
) -> Iterator[Located]:
    """Yield each document as the harness puts it, in its order."""
    if task.multiple_input:
        raise UserError(f"task {name} cannot be a target: each choice has a context of its own")
    contexts, chats = list(_contexts(task)), list(_contexts(task, apply_chat_template=True))
    for number, document in enumerate(task.eval_docs):
        place = Place(Path(name), number + 1)
        chat = tuple((message["role"], message["content"]) for message in chats[number])
        choices, gold = answers(place, task, document)
        yield Question(str(number), None, {"context": contexts[number]}, choices, gold, chat=chat), place


def _contexts(task: Any, **form: Any) -> Iterator[Any]:
    """Yield what precedes each document's answer: a text or, with `apply_chat_template`, the messages of a chat.

    Few-shot examples are drawn one document after another, the same in both forms.
    """
    task.set_fewshot_seed(seed=_FEWSHOT_SEED)
    for document in task.eval_docs:
        yield task.fewshot_context(
            document,
            num_fewshot=task.config.num_fewshot or 0,
            gen_prefix=task.doc_to_prefix(document),
            chat_template=lambda messages, add_generation_prompt: messages,
            fewshot_as_multiturn=True,
            **form,
        )


def _choices(place: Place, task: Any, document: Any) -> tuple[tuple[str, ...], int]:
    """Return what is chosen from, and the gold one's index."""
    choices, gold = tuple(task.doc_to_choice(document)), task.doc_to_target(document)
    if isinstance(gold, str) and gold in choices:
        gold = choices.index(gold)
    if not isinstance(gold, int):
        raise UserError(f"{place}: gold is {gold!r:.60}; expected one of its choices, or the index of one")
    return choices, gold


def _answer(place: Place, task: Any, document: Any) -> tuple[tuple[str, ...], int]:
    """Return a right answer: the first where several are accepted (the harness judges by all of them)."""
    gold = task.doc_to_target(document)
    if task.config.doc_to_choice is not None:
        gold = task.doc_to_choice(document)[gold]
    if isinstance(gold, list):
        gold = gold[0] if gold else ""
    if not str(gold).strip():
        raise UserError(f"{place}: it has no right answer")
    return (str(gold),), 0
