"""A disk of a few MiB that a test fills, empties and makes read-only: a tmpfs, which only some may mount."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

FULL = "No space left on device"


class SmallDisk:
    """A mounted disk. Raises OSError where none can be mounted."""

    def __init__(self, folder: Path, mebibytes: int) -> None:
        """Mount it at a new folder."""
        self.folder = folder
        folder.mkdir()
        self._ballast = folder / "ballast"
        self._do("mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs")

    def _do(self, *command: str) -> None:
        done = subprocess.run([*command, str(self.folder)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise OSError(done.stderr.strip())

    def leave(self, room: int) -> None:
        """Fill it but for so many bytes."""
        self.make_room()
        there = os.statvfs(self.folder)
        with open(self._ballast, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, there.f_bavail * there.f_frsize - room)

    def make_room(self) -> None:
        """Take away what fills it."""
        self._ballast.unlink(missing_ok=True)

    def make_read_only(self) -> None:
        """Refuse to write, even for root."""
        self._do("mount", "-o", "remount,ro")

    def unmount(self) -> None:
        """End it, whoever still stands in it."""
        self._do("umount", "--lazy")

    def files(self) -> dict[str, bytes]:
        """Return the content of each file on it."""
        found = (path for path in self.folder.rglob("*") if path.is_file() and path != self._ballast)
        return {path.relative_to(self.folder).as_posix(): path.read_bytes() for path in found}

    def unfinished(self) -> list[str]:
        """Return files that were never finished: their names begin with a dot and a dot ends what they were to be."""
        return sorted(name for name in self.files() if Path(name).name[0] == "." and Path(name).name.count(".") > 1)


def mounted(folder: Path, mebibytes: int = 80) -> SmallDisk:
    """Return a disk at a new folder; skip the test where none can be mounted."""
    try:
        return SmallDisk(folder, mebibytes)
    except OSError as error:
        pytest.skip(f"a small disk cannot be mounted here: {error}")
