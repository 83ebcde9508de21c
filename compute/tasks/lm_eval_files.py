"""Which local files a task of lm-evaluation-harness reads its data from.

They are found as `datasets` finds them, but without it: it takes seconds to import, and a plan asks only what changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from glob import glob
from pathlib import Path
from typing import Any

BUILDERS = ("json", "csv", "parquet", "text", "arrow")
"""`dataset_path`s that are formats of local files, not data sets of the hub."""


def local_data(config: Mapping[str, Any]) -> Iterator[tuple[str, Path]]:
    """Yield the data files that a task's settings name, in a fixed order.

    `data_files` are paths or patterns (`data/**/*.jsonl`), in lists and mappings as deep as one likes; without them all
    files of `data_dir` are read, or of the folder that `dataset_path` names.

    Yields:
        The name under which a file was found, and the file; no name where the settings have it, and so tell that it
        was renamed.
    """
    settings = config.get("dataset_kwargs") or {}
    dataset = str(config.get("dataset_path"))
    own = Path(dataset) if Path(dataset).is_dir() else None
    if own is None and "/" in dataset:
        return  # of the hub, where the patterns are looked for too
    base = Path(own or "", settings.get("data_dir") or "").expanduser()
    if own is not None:
        yield from _matching(own, "**")
    elif settings.get("data_dir") and not settings.get("data_files"):
        yield from _matching(base, "**")
    for pattern in _patterns(settings.get("data_files")):
        yield from _matching(base, pattern)


def _patterns(data_files: Any) -> Iterator[str]:
    if isinstance(data_files, str):
        path = data_files.rpartition("::")[2].removeprefix("file://")  # of `zip://inside::archive` the archive
        if "://" not in path:
            yield str(Path(path).expanduser())
    elif isinstance(data_files, list):
        for part in data_files:
            yield from _patterns(part)
    elif isinstance(data_files, dict):
        for key in sorted(data_files, key=str):
            yield from _patterns(data_files[key])


def _matching(base: Path, pattern: str) -> Iterator[tuple[str, Path]]:
    if (base / pattern).is_file():
        yield "", base / pattern
        return
    # Not Path.glob, which refuses a pattern from the root.
    for name in sorted(glob(pattern, root_dir=base, recursive=True, include_hidden=True)):  # noqa: PTH207
        if (base / name).is_file():
            yield name, base / name
