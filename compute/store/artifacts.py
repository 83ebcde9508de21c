"""Artifacts of jobs: `artifacts/<job_key>/`, appearing whole or not at all.

Jobs trained together commit together: all their directories are staged, then one rename makes the whole set
final. A run killed at any moment therefore finds either every member of the set or none, and repeats the same
computation with the same members, so its numbers do not depend on when it was killed.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from compute.errors import JobError

_STAGED, _COMMITTED = ".staged-", ".committed-"


def sync_directory(directory: Path) -> None:
    """Flush a directory's entries (created and renamed names) to the disk."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_tree(root: Path) -> None:
    for directory, _, files in os.walk(root):
        for name in files:
            with open(Path(directory, name), "rb") as file:
                os.fsync(file.fileno())
        sync_directory(Path(directory))


class ArtifactStore:
    """The directory of artifacts; one process may recover it while none is running jobs."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def has(self, key: str) -> bool:
        return (self.root / key).is_dir()

    def path(self, key: str) -> Path:
        """Directory of a finished artifact; raises JobError if it is gone."""
        if not self.has(key):
            raise JobError(f"artifact {self.root / key} is missing")
        return self.root / key

    @contextmanager
    def commit(self, keys: Iterable[str]) -> Iterator[dict[str, Path]]:
        """Yield an empty directory per key to write into; on a clean exit all of them become final at once."""
        self.root.mkdir(parents=True, exist_ok=True)
        staged = Path(tempfile.mkdtemp(prefix=_STAGED, dir=self.root))
        try:
            directories = {key: staged / key for key in keys}
            for directory in directories.values():
                directory.mkdir()
            yield directories
            _sync_tree(staged)
        except BaseException:
            shutil.rmtree(staged, ignore_errors=True)
            raise
        committed = staged.with_name(staged.name.replace(_STAGED, _COMMITTED))
        staged.rename(committed)
        sync_directory(self.root)
        self._distribute(committed)

    def _distribute(self, committed: Path) -> None:
        for directory in committed.iterdir():
            if self.has(directory.name):
                shutil.rmtree(directory)
            else:
                directory.rename(self.root / directory.name)
        committed.rmdir()
        sync_directory(self.root)

    def recover(self) -> None:
        """Finish what a killed run had committed, and drop what it had only staged."""
        for committed in self.root.glob(f"{_COMMITTED}*"):
            self._distribute(committed)
        for staged in self.root.glob(f"{_STAGED}*"):
            shutil.rmtree(staged, ignore_errors=True)
