"""A warehouse for several people: DuckLake, tables as Parquet files, their catalog a DuckDB file or in PostgreSQL.

    ducklake:lab.ducklake                           the catalog is a file, data in lab.ducklake.files/; one at a time
    ducklake:postgres:dbname=lab host=db.example    the catalog is a server's, data in LAKE_DATA; many at once
    ducklake:postgres:postgresql://db.example/lab   the same

A password never stays in what is printed, logged or handed to a process as an argument: it moves to PGPASSWORD, where
PostgreSQL's own library looks for it. Extensions come from Python packages; nothing is downloaded.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote

import duckdb

from compute.errors import UserError
from compute.names import UnknownName
from compute.project import expand, locate

SCHEME = "ducklake:"
DATA_VARIABLE = "LAKE_DATA"
"""Names the folder of the data files, for whoever makes a lake whose catalog is in PostgreSQL."""

_SERVER = "postgres:"
_EXAMPLE = f"{SCHEME}lab.ducklake, or {SCHEME}{_SERVER}dbname=lab host=..."
_URL_BEGINS = re.compile(r"postgres(?:ql)?://", re.IGNORECASE)
_URL = re.compile(
    r"postgres(?:ql)?://(?:(?P<user>[^:@/]*)(?::(?P<password>[^@/]*))?@)?(?P<place>[^@?]*)(?:\?(?P<query>[^@?]*))?",
    re.IGNORECASE,
)
_PAIR = re.compile(r"\s*(?P<key>\w+)\s*=\s*(?P<value>'(?:[^'\\]|\\.)*'|(?:[^\s'\\]|\\.)*)(?=\s|$)")

_KEYS = (
    "application_name", "channel_binding", "connect_timeout", "dbname", "gssencmode", "host", "hostaddr", "keepalives",
    "keepalives_count", "keepalives_idle", "keepalives_interval", "krbsrvname", "options", "passfile", "port",
    "service", "sslcert", "sslcrl", "sslkey", "sslmode", "sslrootcert", "target_session_attrs", "tcp_user_timeout",
    "user",
)  # fmt: skip
"""Of a connection to PostgreSQL; none is a secret. `password` is taken out, other secrets belong in a service file."""


@dataclass(frozen=True)
class Lake:
    """Where a lake's catalog is: a file, or a PostgreSQL server's connection string without its password.

    Attributes:
        file: the catalog's file; None where a server has it.
        server: the connection string; empty where a file is the catalog.
        data: the folder of a new lake's data files; None: beside the catalog's file, or where the server says.
    """

    file: Path | None
    server: str = ""
    data: Path | None = None

    def __str__(self) -> str:
        return f"{SCHEME}{self.file if self.file is not None else _SERVER + self.server}"

    @property
    def address(self) -> str:
        """What DuckDB attaches, whatever the current directory."""
        return f"{SCHEME}{self.file.absolute() if self.file is not None else _SERVER + self.server}"

    @property
    def extensions(self) -> Iterator[Path]:
        """The files of the extensions that it takes. Raises UserError where one is not installed for this DuckDB."""
        if self.file is None:
            yield _extension("postgres_scanner")
        yield _extension("ducklake")


def is_lake(text: str) -> bool:
    """Return whether a warehouse is meant as a lake, not as a file."""
    return text.lower().startswith(SCHEME)


def read_lake(text: str, here: Path = Path(), root: Path = Path()) -> Lake:
    """Return the lake that `text`, typed in folder `here`, names from `root`; its password goes to PGPASSWORD.

    Raises:
        UserError: no catalog, or one of another kind, or no connection string. Its values are not shown.
    """
    catalog = text[len(SCHEME) :].strip()
    if catalog.lower().startswith(_SERVER):
        server = _without_password(catalog[len(_SERVER) :].strip())
        return Lake(None, server, _data_folder())
    kind = re.match(r"(\w{2,}):", catalog)
    if not catalog or kind is not None:
        found = f"found the kind {kind[1]!r}" if kind else "found nothing"
        raise UserError(f"{SCHEME} expected a catalog's file or PostgreSQL ({_EXAMPLE}), {found}")
    if "=" in catalog:
        raise UserError(f"{SCHEME} expected {SCHEME}{_SERVER} before a connection string; a file's name has no `=`")
    return Lake(locate(expand(catalog), here, root))


def no_server_alone(text: str) -> None:
    """Refuse a connection string that would be taken for a file's name. Raises UserError, which does not show it."""
    if text.lower().startswith(_SERVER) or _URL_BEGINS.match(text):
        raise UserError(f"WAREHOUSE: expected {SCHEME}{_SERVER} before a connection string, as in {_EXAMPLE}")


def _data_folder() -> Path | None:
    text = os.environ.get(DATA_VARIABLE, "")
    if "://" in text:
        raise UserError(f"{DATA_VARIABLE}={text}: expected a folder on a disk that all loaders share, at one path")
    return expand(text) if text else None


def _without_password(server: str) -> str:
    """Return a connection string without its password, which goes to PGPASSWORD."""
    if _URL_BEGINS.match(server):
        return _url_without_password(server)
    kept, at = [], 0
    while at < len(server.rstrip()):
        pair = _PAIR.match(server, at)
        if pair is None:
            raise UserError(f"{SCHEME}{_SERVER} expected key=value pairs or postgresql://..., as in {_EXAMPLE}")
        at, key = pair.end(), pair["key"].lower()
        if key == "password":
            quoted = pair["value"].startswith("'")
            _hand_over(re.sub(r"\\(.)", r"\1", pair["value"][1:-1] if quoted else pair["value"]))
        else:
            _require_known(key)
            if _URL_BEGINS.match(pair["value"].strip("'")):
                raise UserError(f"{SCHEME}{_SERVER} {key}: expected a name, found an address of its own")
            kept.append(f"{key}={pair['value']}")
    return " ".join(kept)


def _url_without_password(server: str) -> str:
    """As PostgreSQL reads one: nothing but `%` is special in a value, and the first `@` ends the password."""
    parts = _URL.fullmatch(server)
    if parts is None:
        raise UserError(
            f"{SCHEME}{_SERVER} expected postgresql://user@host:port/dbname, with @, / and ? as %40, %2F, %3F"
        )
    if parts["password"]:
        _hand_over(unquote(parts["password"]))
    kept = []
    for pair in filter(None, (parts["query"] or "").split("&")):
        key, _, value = pair.partition("=")
        if key == "password":
            _hand_over(unquote(value))
        else:
            _require_known(key)
            kept.append(pair)
    user = f"{parts['user']}@" if parts["user"] else ""
    return f"postgresql://{user}{parts['place']}{'?' if kept else ''}{'&'.join(kept)}"


def _hand_over(password: str) -> None:
    os.environ["PGPASSWORD"] = password


def _require_known(key: str) -> None:
    if key not in _KEYS:
        raise UserError(f"{SCHEME}{_SERVER} {UnknownName('key of a connection', key, (*_KEYS, 'password'))}")


def _extension(name: str) -> Path:
    """Return the file of a DuckDB extension. Raises UserError where it is not installed for this DuckDB."""
    spec = find_spec(f"duckdb_extension_{name}")
    places = spec.submodule_search_locations or [] if spec is not None else []
    for place in places:
        file = Path(place, "extensions", f"v{duckdb.__version__}", f"{name}.duckdb_extension")
        if file.is_file():
            return file
    found = "is not installed" if spec is None else "is of another version"
    raise UserError(
        f"a lake needs DuckDB's extension {name} for DuckDB {duckdb.__version__}, which {found}: "
        "pip install 'transfer-warehouse[lake]'"
    )
