"""Artifacts at a URL, for machines that share no disk; fsspec knows the protocols.

What one commit made is uploaded as a set. Its files go to `files/<set>/<key>/`, the record of their digests to
`keys/<key>/<set>`, and `sets/<set>` is written last: without it nothing of the set counts. A set has a name of its own
and nothing is written twice, so two that upload the same artifact leave two copies, and either serves.
"""

from __future__ import annotations

import hashlib
import re
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from compute.errors import JobError, UserError, refused_by_disk
from compute.names import UnknownName
from compute.plugin import canonical_json
from compute.store.files import DIGESTS, DamagedRecord, parse_record

_WAITS = (1.0, 4.0, 16.0)
"""Seconds before what has failed is tried again."""

_FOR_GOOD = (PermissionError, NotADirectoryError, NotImplementedError)
"""Errors that no second try mends."""

_SET = re.compile(r"[0-9a-f]{32}")
_FILES, _KEYS, _SETS, _SEEN = "files", "keys", "sets", "seen"
_WITH_PASSWORD = re.compile(r":[^@]*@")
_NAMED_SECRET = re.compile("secret|pass|token|key|sas|cred|connection_string", re.IGNORECASE)
_SECRETS = re.compile(r"(?<=//)[^/@\s]+@|(?<=\?)[^\s'\"]+")
"""What errors may quote of a URL: who asks, and with which signature."""

Answer = TypeVar("Answer")


class RemoteFailure(UserError, JobError):
    """The URL cannot be reached, read or written: before a run the user's to mend, in a job the job's failure."""


class DamagedCopy(Exception):
    """A copy of an artifact is not what was uploaded."""


def checked_url(text: str) -> str:
    """Return the URL in a text; a path from / is one too. Raises ValueError."""
    from fsspec import available_protocols  # a tenth of a second, which other projects do not need

    if text.startswith("/"):
        text = f"file://{text}"
    protocol, mark, rest = text.partition("://")
    if not mark or not rest.strip("/") or "::" in text:
        raise ValueError("expected one URL such as s3://bucket/folder, or a path from / that all nodes share")
    if protocol not in available_protocols():
        raise UnknownName("protocol", protocol, available_protocols())
    if protocol in ("file", "local") and not rest.startswith("/"):
        raise ValueError(f"expected {protocol}:/// and a path from /, which is the same on all nodes")
    if _WITH_PASSWORD.search(rest) or "?" in rest:
        raise ValueError("expected a URL without a password or token; put those where the protocol's package looks")
    return text.rstrip("/")


class RemoteArtifacts:
    """The artifacts at a URL. Whatever fails but a file that is not there is a RemoteFailure."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._opened: tuple[Any, str] | None = None

    def check(self) -> str:
        """Write a file there and read it again; return what it says, by which others know that they see the same place.

        Raises:
            RemoteFailure: the place cannot be reached or written, or a package for its protocol is missing.
        """
        sight = hashlib.sha256(f"{socket.gethostname()}\n{Path.cwd()}".encode()).hexdigest()
        self._write(f"{_SEEN}/{sight}", sight.encode(), is_patient=False)
        if not self.sees(sight):
            raise RemoteFailure(f"artifacts at {self.url}: what is written there cannot be read again")
        return sight

    def sees(self, sight: str) -> bool:
        """Return whether what a run has written is seen here."""
        try:
            return bool(self._read(f"{_SEEN}/{sight}") == sight.encode())
        except FileNotFoundError:
            return False

    def has(self, key: str) -> bool:
        """Return whether an artifact is there, whole."""
        return bool(self.copies(key))

    def copies(self, key: str) -> list[str]:
        """Return the sets that have an artifact, whole."""

        def look(fs: Any, root: str) -> list[str]:
            names = _names(fs, f"{root}/{_KEYS}/{key}")
            return [name for name in names if fs.exists(f"{root}/{_SETS}/{name}")]

        return self._try("read", look)

    def keys(self) -> set[str]:
        """Return the keys of all artifacts that are there, whole."""

        def look(fs: Any, root: str) -> set[str]:
            sets = set(_names(fs, f"{root}/{_SETS}"))
            records = (PurePosixPath(path) for path in fs.find(f"{root}/{_KEYS}"))
            return {record.parent.name for record in records if record.name in sets}

        return self._try("read", look, is_patient=False)  # who plans is at a terminal

    def size(self, key: str) -> int:
        """Return the bytes of an artifact's files; 0 where there is none."""
        copies = self.copies(key)
        return self._try("read", lambda fs, root: int(fs.du(f"{root}/{_FILES}/{copies[0]}/{key}"))) if copies else 0

    def upload(self, folders: Mapping[str, Path]) -> None:
        """Upload artifacts with the records of their digests: others see all of them or none."""
        name = uuid.uuid4().hex
        try:
            for key, folder in folders.items():
                for file in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != DIGESTS):
                    self._put(file, f"{_FILES}/{name}/{key}/{file.relative_to(folder).as_posix()}")
            for key, folder in folders.items():
                self._put(folder / DIGESTS, f"{_KEYS}/{key}/{name}")
            self._write(f"{_SETS}/{name}", canonical_json(sorted(folders)).encode())
        except Exception:
            self._drop(f"{_SETS}/{name}", *(f"{_KEYS}/{key}/{name}" for key in folders), f"{_FILES}/{name}")
            raise

    def place(self, key: str, name: str) -> str:
        """Return where the files of a copy are."""
        return f"{self.url}/{_FILES}/{name}/{key}"

    def download(self, key: str, name: str, folder: Path) -> None:
        """Copy an artifact of a set into a new folder, its record of digests too, which the caller holds it against.

        Raises:
            DamagedCopy: a file is missing, or the record is not what was written.
        """
        record = f"{_KEYS}/{key}/{name}"
        try:
            content = self._read(record)
            files = parse_record(content)
        except FileNotFoundError:
            raise DamagedCopy(f"{self.url}/{record} is gone") from None
        except DamagedRecord as error:
            raise DamagedCopy(f"{self.url}/{record} is damaged ({error})") from None
        folder.mkdir()
        for file in _inside(files):
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            try:
                self._get(f"{_FILES}/{name}/{key}/{file}", folder / file)
            except FileNotFoundError:
                raise DamagedCopy(f"{self.place(key, name)}/{file} is damaged (it is missing)") from None
        (folder / DIGESTS).write_bytes(content)

    def withdraw(self, key: str, name: str) -> None:
        """Remove an artifact of a set, at once for all who look for it."""
        record = f"{_KEYS}/{key}/{name}"
        with suppress(FileNotFoundError):  # another has
            self._try(f"rid of its damaged {record}", lambda fs, root: fs.rm_file(f"{root}/{record}"))
        self._drop(f"{_FILES}/{name}/{key}")

    def _drop(self, *names: str) -> None:
        """Remove what is there of some files and folders, as far as that is possible: none of it counts."""
        for name in names:
            with suppress(Exception):
                fs, root = self._open()
                fs.rm(f"{root}/{name}", recursive=True)

    def _put(self, file: Path, name: str) -> None:
        self._written(name, lambda fs, path: fs.put_file(str(file), path))

    def _write(self, name: str, content: bytes, is_patient: bool = True) -> None:
        self._written(name, lambda fs, path: fs.pipe_file(path, content), is_patient)

    def _written(self, name: str, write: Callable[[Any, str], None], is_patient: bool = True) -> None:
        def call(fs: Any, root: str) -> None:
            path = f"{root}/{name}"
            if root.startswith("/"):  # else it begins with a bucket, which has no folders and is not ours to make
                fs.makedirs(path.rpartition("/")[0], exist_ok=True)
            write(fs, path)

        try:
            self._try("written", call, is_patient)
        except FileNotFoundError as error:
            raise RemoteFailure(f"artifacts at {self.url}: cannot be written: {self._told(error)}") from None

    def _read(self, name: str) -> bytes:
        return self._try("read", lambda fs, root: bytes(fs.cat_file(f"{root}/{name}")))

    def _get(self, name: str, file: Path) -> None:
        self._try(f"read into {file}", lambda fs, root: fs.get_file(f"{root}/{name}", str(file)))

    def _try(self, doing: str, call: Callable[[Any, str], Answer], is_patient: bool = True) -> Answer:
        """Return what comes of a call with the file system and its root; what fails is tried again.

        Raises:
            FileNotFoundError: the call's.
            RemoteFailure: any other error.
        """
        left = list(_WAITS) if is_patient else []
        while True:
            try:
                fs, root = self._open()
                fs.invalidate_cache()  # others write there
                return call(fs, root)
            except (FileNotFoundError, RemoteFailure):
                raise
            except Exception as error:  # each protocol's package has its own
                for_good = isinstance(error, _FOR_GOOD) or refused_by_disk(error)
                if for_good or not left:
                    raise RemoteFailure(f"artifacts at {self.url}: cannot be {doing}: {self._told(error)}") from None
            time.sleep(left.pop(0))
            self._opened = None  # its connection may be dead

    def _open(self) -> tuple[Any, str]:
        """Return the file system and the path of the URL in it."""
        from fsspec.core import url_to_fs

        if self._opened is None:
            try:
                fs, root = url_to_fs(self.url, skip_instance_cache=True)
            except ImportError as error:
                raise RemoteFailure(f"artifacts at {self.url}: a package is missing: {self._told(error)}") from None
            self._opened = fs, str(root).rstrip("/")
        return self._opened

    def _told(self, error: Exception) -> str:
        """Return an error's first line without what may be secret in it."""
        line = (str(error).strip() or type(error).__name__).partition("\n")[0]
        options = self._opened[0].storage_options if self._opened is not None else {}
        for secret in _secrets(options):
            line = line.replace(secret, "***")
        return _SECRETS.sub("***", line)


def _names(fs: Any, folder: str) -> list[str]:
    """Return the names of the sets in a folder, in order; none where there is no folder."""
    try:
        paths = fs.ls(folder, detail=False)
    except FileNotFoundError:
        return []
    return sorted(name for name in (path.rpartition("/")[2] for path in paths) if _SET.fullmatch(name))


def _inside(files: Any) -> list[str]:
    """Return the names in a record of digests. Raises DamagedCopy where one leads out of the artifact's folder."""
    names = list(files) if isinstance(files, dict) else [None]
    for name in names:
        path = PurePosixPath(name) if isinstance(name, str) else None
        if path is None or path.is_absolute() or ".." in path.parts or not path.parts:
            raise DamagedCopy(f"a record of digests names {name!r}, which is no file of an artifact")
    return names


def _secrets(options: Mapping[str, Any]) -> Iterator[str]:
    """Yield the values of options that are named as secrets are, those of options within them too."""
    for name, value in options.items():
        if isinstance(value, Mapping):
            yield from _secrets(value)
        elif isinstance(value, str) and value and _NAMED_SECRET.search(name):
            yield value
