"""Finds what lm-evaluation-harness wrote: results files, and their samples, beside them or in another folder.

Since 0.4.3 a run writes `<folder>/<model>/results_<stamp>.json` or, with `--output_path x.json`, `x_<stamp>.json`, and
beside it `samples_<task>_<stamp>.jsonl`. Before, it wrote `results.json` or `x.json`, and samples as one JSON list in
`<model arguments>_<task>.jsonl`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from compute.errors import UserError
from compute.file_kinds import is_file
from compute.json_text import parse_json

_SECTIONS = ("results", "config", "configs")
"""What every results file has."""
_FURTHER = ("n-shot", "n-samples", "group_subtasks", "groups", "higher_is_better")
"""Mappings by task that are read where a file has them."""

_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d(?:\.\d+)?$")
_OLD_RESULTS = re.compile(rb'\s*\{\s*"results"')


@dataclass(frozen=True)
class ResultsFile:
    """One results file: a run of one model on some tasks."""

    path: Path
    content: Mapping[str, Any]
    elsewhere: Mapping[str, Sequence[Path]] = field(default_factory=dict, repr=False)
    """Samples files of all that is imported, by name, in folders without results: those beside results are theirs."""

    @property
    def tasks(self) -> list[str]:
        """The harness's names of the tasks with scores; groups, whose scores are means over tasks, are none."""
        groups = {name for name, members in self.content.get("group_subtasks", {}).items() if members}
        groups |= set(self.content.get("groups", {}))
        known = self.content["configs"]
        return [name for name in self.content["results"] if name not in groups and (name in known or not known)]

    def task_config(self, task: str) -> Mapping[str, Any]:
        """Return a task's settings as the harness dumped them."""
        found = self.content["configs"].get(task)
        return found if isinstance(found, Mapping) else {}

    def n_items(self, task: str) -> int | None:
        """Items behind a task's scores; None where the file does not say, as those of before 0.4.3."""
        sizes = self.content.get("n-samples", {}).get(task)
        counts = sizes if isinstance(sizes, Mapping) else {"effective": sizes}
        for count in (self.content["results"][task].get("sample_len"), counts.get("effective")):
            if isinstance(count, int) and not isinstance(count, bool):
                return count
        return None

    def samples(self, task: str) -> Path | None:
        """Return the samples file of a task: beside the results or, if it is the only one of its name, elsewhere."""
        names = self._samples_names(task)
        beside = next((file for name in names if is_file(file := self.path.with_name(name))), None)
        others = [self.elsewhere.get(name, ()) for name in names]
        return beside or next((found[0] for found in others if len(found) == 1), None)

    def why_no_samples(self, task: str) -> str:
        """Return why `samples` finds none."""
        several = next((name for name in self._samples_names(task) if len(self.elsewhere.get(name, ())) > 1), None)
        if several is None:
            return "there are no samples beside it"
        return f"there are no samples beside it, and several files elsewhere are called {several}"

    def _samples_names(self, task: str) -> list[str]:
        stamp = _STAMP.search(self.path.stem)
        names = [f"samples_{task}_{stamp[0] if stamp else self.path.stem.removeprefix('results_')}.jsonl"]
        arguments = self.content["config"].get("model_args")
        if isinstance(arguments, str):
            names.append(f"{re.sub('[/=]', '__', arguments)}_{task}.jsonl")
        return names


def results_files(paths: Sequence[Path]) -> list[ResultsFile]:
    """Return the results files among `paths` and below those that are folders.

    Raises:
        UserError: there is none; one that is named, or is called results, is damaged or something else.
    """
    found: dict[Path, ResultsFile] = {}
    for path in paths:
        for candidate, is_certain in _candidates(path):
            results = _open(candidate, is_certain)
            if results is not None:
                found.setdefault(candidate.resolve(), results)
    if not found:
        raise UserError(
            f"{', '.join(map(str, paths))}: no results_*.json of lm-evaluation-harness there, nor other JSON with "
            f"{', '.join(map(repr, _SECTIONS))}"
        )
    elsewhere = _samples_files(paths, {place.parent for place in found})
    return [replace(results, elsewhere=elsewhere) for results in found.values()]


def unclaimed_samples(results: Sequence[ResultsFile]) -> list[Path]:
    """Return the samples files that are of no task of these results."""
    claimed = {one.samples(task) for one in results for task in one.content["results"]}
    of_all = {file for one in results for files in one.elsewhere.values() for file in files}
    return sorted(file for file in of_all if file.name.startswith("samples_") and file not in claimed)


def _samples_files(paths: Sequence[Path], with_results: set[Path]) -> dict[str, list[Path]]:
    """Return the files that may hold samples, by name, but for those in folders with results."""
    found: dict[str, dict[Path, Path]] = {}
    for path in paths:
        for file in sorted(path.rglob("*.jsonl")) if path.is_dir() else [path]:
            if file.suffix == ".jsonl" and file.resolve().parent not in with_results:
                found.setdefault(file.name, {})[file.resolve()] = file
    return {name: list(files.values()) for name, files in found.items()}


def _candidates(path: Path) -> Iterator[tuple[Path, bool]]:
    """Yield files that may be results, and whether they must be."""
    if not path.is_dir():
        is_samples = path.name.startswith("samples_") or (path.suffix == ".jsonl" and not _begins_like_results(path))
        if not is_samples:  # those are read with their results
            yield path, True
        return
    for file in sorted(path.rglob("*.json")):
        yield file, file.name.startswith("results_")
    for file in sorted(path.rglob("*.jsonl")):  # 0.4.0 let results be called so
        if not file.name.startswith("samples_") and _begins_like_results(file):
            yield file, False


def _begins_like_results(file: Path) -> bool:
    try:
        with open(file, "rb") as opened:
            return _OLD_RESULTS.match(opened.read(64)) is not None
    except OSError:
        return False


def _open(file: Path, is_certain: bool) -> ResultsFile | None:
    """Return the file's content; None if it is no results file and need not be one."""
    try:
        content = parse_json(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        if not is_certain:
            return None
        raise UserError(f"{file}: not JSON: {error}") from None
    for key in _SECTIONS:
        if not isinstance(content, dict) or not isinstance(content.get(key), dict):
            if not is_certain:
                return None
            raise UserError(f"{file}: no {key!r}: not a results file of lm-evaluation-harness")
    content = {key: value for key, value in content.items() if value is not None}
    _check_mappings(file, content, ("results", "configs", "config", *_FURTHER))
    _check_mappings(f"{file}: results", content["results"], content["results"])
    return ResultsFile(file, content)


def _check_mappings(place: Path | str, content: Mapping[str, Any], keys: Iterable[str]) -> None:
    for key in keys:
        if not isinstance(content.get(key, {}), dict):
            raise UserError(f"{place}: {key}: expected a mapping, found {str(content[key])[:60]!r}")


def read_samples(file: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the samples of a file, each with its place: JSON lines or, of before 0.4.3, one JSON list.

    Raises:
        UserError: not JSON, or something else than samples: file and line.
    """
    try:
        with open(file, encoding="utf-8", newline="\n") as lines:
            if lines.read(1) == "[":
                lines.seek(0)
                yield from ((f"{file}: sample {i}", sample) for i, sample in enumerate(_old_samples(file, lines), 1))
                return
            lines.seek(0)
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield f"{file}:{number}", _sample(f"{file}:{number}", line)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: cannot be read: {error}") from None


def _old_samples(file: Path, lines: Any) -> list[Any]:
    try:
        found = parse_json(lines.read())
    except ValueError as error:
        raise UserError(f"{file}:1: not a sample of lm-evaluation-harness (ValueError: {error})") from None
    if not all(isinstance(sample, dict) for sample in found):
        raise UserError(f"{file}:1: not a sample of lm-evaluation-harness (a list of something else)")
    return list(found)


def _sample(place: str, line: str) -> Mapping[str, Any]:
    try:
        sample = parse_json(line)
        if isinstance(sample, dict):
            return sample
        problem = f"a {type(sample).__name__}"
    except ValueError as error:
        problem = f"ValueError: {error}"
    raise UserError(f"{place}: not a sample of lm-evaluation-harness ({problem})")
