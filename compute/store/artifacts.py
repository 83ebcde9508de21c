"""Artifacts of jobs: `artifacts/<job_key>/`, appearing whole or not at all.

Jobs trained together commit together: all their directories are staged, then one rename makes the whole set
final. A run killed at any moment therefore finds either every member of the set or none, and repeats the same
computation with the same members, so its numbers do not depend on when it was killed.

`artifacts/<job_key>/.sha256` names the files that were written, with their SHA-256. Each process checks them when it
first uses an artifact (0.7 s a GB); one that is damaged is withdrawn, and the next run makes it again.

Where they are kept at a URL as well, this directory is a copy of what has been used here: a set is uploaded before it
becomes final here, and what is not here is downloaded, checked, at first use.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from compute.errors import JobError, refused_by_disk
from compute.store.files import DIGESTS, DamagedRecord, naming, read_record, sha256_of, sync_directory, write_record
from compute.store.remote import DamagedCopy, RemoteArtifacts

_STAGED, _COMMITTED, _WITHDRAWN = ".staged-", ".committed-", ".withdrawn-"


def _sync_tree(root: Path) -> None:
    for directory, _, files in os.walk(root):
        for name in files:
            with open(Path(directory, name), "rb") as file:
                os.fsync(file.fileno())
        sync_directory(Path(directory))


def _write_digests(folder: Path) -> None:
    """Write which files an artifact has."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    write_record(folder / DIGESTS, {path.relative_to(folder).as_posix(): sha256_of(path) for path in files})


def _damage(folder: Path, shown: str | None = None) -> str | None:
    """Return which file of an artifact is not what was written, and why; None where all are, or no digests are there,
    as in artifacts of earlier versions. `shown` stands for the folder in what is said."""
    shown = shown or str(folder)
    try:
        digests = read_record(folder / DIGESTS)
    except FileNotFoundError:
        return None
    except DamagedRecord as error:
        return f"{shown}/{DIGESTS} is damaged ({error})"
    for name, digest in digests.items():
        try:
            if sha256_of(folder / name) != digest:
                return f"{shown}/{name} is damaged (its SHA-256 is not the recorded one)"
        except OSError as error:
            return f"{shown}/{name} is damaged ({error.strerror})"
    return None


_sound: set[tuple[Path, int]] = set()
"""Artifacts that this process has checked, each by its place and inode: one that is made anew is checked again."""


class ArtifactStore:
    """The directory of artifacts, kept at a URL as well if one is given; one process may recover the directory while
    none is running jobs."""

    def __init__(self, root: Path, url: str = "") -> None:
        self.root = root
        self.remote = RemoteArtifacts(url) if url else None

    def is_here(self, key: str) -> bool:
        """Return whether an artifact is in the directory."""
        return (self.root / key).is_dir()

    def has(self, key: str) -> bool:
        """Return whether an artifact is in the directory or at the URL. Raises RemoteFailure."""
        return self.is_here(key) or (self.remote is not None and self.remote.has(key))

    def among(self, keys: Iterable[str]) -> set[str]:
        """Return those of some artifacts that are in the directory or at the URL. Raises RemoteFailure."""
        asked = set(keys)
        here = {key for key in asked if self.is_here(key)}
        return here if self.remote is None or here == asked else here | (asked & self.remote.keys())

    def size(self, key: str) -> int:
        """Return the bytes of a finished artifact's files; 0 where there is none."""
        if self.remote is not None and not self.is_here(key):
            return self.remote.size(key)
        return sum(path.stat().st_size for path in (self.root / key).rglob("*") if path.is_file())

    def path(self, key: str) -> Path:
        """Return the directory of a finished artifact. Raises JobError if it is gone, or damaged: that withdraws it."""
        folder = self.root / key
        if not self.is_here(key):
            self._fetch(key)
        place = (folder.absolute(), folder.stat().st_ino)
        if place not in _sound:
            if (damage := _damage(folder)) is not None:
                self._withdraw(key)
                if self.is_here(key) or not self.has(key):
                    raise JobError(_withdrawn(damage, key))
                return self.path(key)
            _sound.add(place)
        return folder

    def share(self, key: str) -> None:
        """Upload an artifact that is here and not at the URL: it was made before there was one, or is gone there.

        Raises:
            JobError: it is damaged, or cannot be uploaded.
        """
        if self.remote is None or not self.is_here(key) or self.remote.has(key):
            return
        folder = self.path(key)
        if not (folder / DIGESTS).exists():
            _write_digests(folder)
        self.remote.upload({key: folder})

    def _fetch(self, key: str) -> None:
        """Bring an artifact here from the URL. Raises JobError if it is not there, or damaged: that withdraws it."""
        if self.remote is None:
            raise JobError(f"artifact {self.root / key} is missing")
        damage = None
        for name in self.remote.copies(key):
            # Twice: it may be the way here that does the damage.
            damage = self._fetch_copy(self.remote, key, name) and self._fetch_copy(self.remote, key, name)
            if damage is None:
                return
            self.remote.withdraw(key, name)
        raise JobError(
            _withdrawn(damage, key)
            if damage is not None
            else f"artifact {self.root / key} is missing, and {self.remote.url} has none"
        )

    def _fetch_copy(self, remote: RemoteArtifacts, key: str, name: str) -> str | None:
        """Bring an artifact of a set here. Return what of it is damaged, if anything is."""
        self.root.mkdir(parents=True, exist_ok=True)
        staged = Path(tempfile.mkdtemp(prefix=_STAGED, dir=self.root))
        try:
            remote.download(key, name, staged / key)
            if (damage := _damage(staged / key, remote.place(key, name))) is None:
                place = ((self.root / key).absolute(), (staged / key).stat().st_ino)
                self._move_in(staged / key)
                _sound.add(place)
            return damage
        except DamagedCopy as error:
            return str(error)
        finally:
            shutil.rmtree(staged, ignore_errors=True)

    def _withdraw(self, key: str) -> None:
        """Take an artifact away, at once for all who look for it; who has its files open keeps them."""
        with suppress(OSError):  # gone already, or a disk that is read-only: the next to use it finds the same
            aside = self.root / f"{_WITHDRAWN}{key}-{uuid.uuid4().hex}"
            (self.root / key).rename(aside)
            shutil.rmtree(aside, ignore_errors=True)

    @contextmanager
    def commit(self, keys: Iterable[str]) -> Iterator[dict[str, Path]]:
        """Yield an empty directory per key to write into; on a clean exit all of them become final at once."""
        self.root.mkdir(parents=True, exist_ok=True)
        staged = Path(tempfile.mkdtemp(prefix=_STAGED, dir=self.root))
        try:
            directories = {key: staged / key for key in keys}
            for directory in directories.values():
                directory.mkdir()
            with naming(self.root):
                yield directories
            for directory in directories.values():
                _write_digests(directory)
            _sync_tree(staged)
        except BaseException as error:
            shutil.rmtree(staged, ignore_errors=True)
            if not isinstance(error, OSError) and (refused := refused_by_disk(error)) is not None:
                raise JobError(f"{self.root}: {refused}") from error
            raise
        if self.remote is not None and directories:
            try:
                self.remote.upload(directories)
            except BaseException:
                shutil.rmtree(staged, ignore_errors=True)
                raise
        committed = staged.with_name(staged.name.replace(_STAGED, _COMMITTED))
        staged.rename(committed)
        sync_directory(self.root)
        self._distribute(committed)

    def _distribute(self, committed: Path) -> None:
        for directory in committed.iterdir():
            self._move_in(directory)
        committed.rmdir()
        sync_directory(self.root)

    def _move_in(self, directory: Path) -> None:
        """Make an artifact final, unless it is there: then it is removed."""
        try:
            directory.rename(self.root / directory.name)
        except OSError:
            if not self.is_here(directory.name):
                raise
            shutil.rmtree(directory)

    def recover(self, seconds: float = 0.0) -> None:
        """Finish what a killed run had committed, and drop what it had only staged. Where others may be at work, only
        what is older than some seconds, which nobody takes."""

        for path in self.root.glob(".*-*"):
            with suppress(FileNotFoundError):  # another is faster
                if seconds and time.time() - path.stat().st_mtime < seconds:
                    continue
                if path.name.startswith(_COMMITTED):
                    self._distribute(path)
                elif path.name.startswith((_STAGED, _WITHDRAWN)):
                    shutil.rmtree(path, ignore_errors=True)


def _withdrawn(damage: str, key: str) -> str:
    return f"{damage}; artifact {key[:8]} is withdrawn, and made again when this job is run again"
