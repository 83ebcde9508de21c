"""A PostgreSQL server of a test's own: on loopback, in a temporary folder, never as root."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

PASSWORD = "hush hush'\\"
_NOBODY = 65534


@dataclass(frozen=True)
class Server:
    """A running server, whose one role must give a password.

    Attributes:
        port: on 127.0.0.1.
        folder: where lakes may put their data.
    """

    port: int
    folder: Path
    programs: Path

    def database(self, name: str) -> str:
        """Make an empty database and return what WAREHOUSE says of a lake in it, password and all."""
        ask = [str(self.programs / "psql"), "-q", "-h", "127.0.0.1", "-p", str(self.port), "-U", "lab", "postgres"]
        environment = os.environ | {"PGPASSWORD": PASSWORD}
        subprocess.run([*ask, "-c", f"create database {name}"], env=environment, check=True, capture_output=True)
        quoted = PASSWORD.replace("\\", "\\\\").replace("'", "\\'")
        return f"ducklake:postgres:dbname={name} host=127.0.0.1 port={self.port} user=lab password='{quoted}'"


@contextmanager
def postgres() -> Iterator[Server]:
    """Run a server within the block; skips the test where there is none to run."""
    programs = _programs()
    if programs is None:
        pytest.skip("no PostgreSQL here (Debian: apt-get install postgresql)")
    user = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    control = [str(programs / "pg_ctl"), "-D", str(folder / "server"), "-l", str(folder / "log"), "-w"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = False
    try:
        (folder / "password").write_text(PASSWORD, encoding="utf-8")
        if user:
            for path in (folder, folder / "password"):
                os.chown(path, _NOBODY, _NOBODY)
        init = [str(programs / "initdb"), "-D", str(folder / "server"), "-U", "lab", "--auth=scram-sha-256"]
        _run_or_skip([*init, f"--pwfile={folder / 'password'}", "--encoding=UTF8", "--no-sync"], user)
        settings = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        _run_or_skip([*control, "-o", settings, "start"], user)
        started = True
        yield Server(port, folder, programs)
    finally:
        if started:
            subprocess.run([*control, "-m", "immediate", "stop"], check=False, capture_output=True, cwd=folder, **user)
        shutil.rmtree(folder, ignore_errors=True)


def _run_or_skip(command: list[str], user: dict[str, object]) -> None:
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/", **user)
    if done.returncode != 0:
        pytest.skip(f"PostgreSQL does not run here: {done.stdout.decode(errors='replace').strip()[-300:]}")


def _programs() -> Path | None:
    """Return the folder of initdb, where a server is installed."""
    on_path = shutil.which("initdb")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = [Path(on_path).resolve()] if on_path else debian
    return found[-1].parent if found and (found[-1].parent / "psql").exists() else None
