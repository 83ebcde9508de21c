"""What a user names of a built warehouse: its study, marts, models and sources, each mistake told in one line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import duckdb

from compute.errors import UserError
from compute.names import UnknownName
from compute.store.database import BUILD_FIRST, require
from compute.store.warehouse import Warehouse

Found = TypeVar("Found")

_ROUNDING_PP = 1e-9
"""What a difference of counts may err by in its last bits."""


@dataclass(frozen=True)
class Told:
    """An answer in words, and the exit code: 1 where nothing keeps within a limit, or something failed."""

    text: str
    code: int


@contextmanager
def built_warehouse(warehouse: Warehouse, study: str, marts: Sequence[str]) -> Iterator[duckdb.DuckDBPyConnection]:
    """The warehouse, read-only, with the marts that are asked and transfer cells of the study.

    Raises:
        UserError: no such warehouse, mart or study.
    """
    require(warehouse.path, BUILD_FIRST)
    with warehouse.connect(read_only=True) as connection:
        built = connection.execute("select table_name from duckdb_tables() where schema_name = 'marts'").fetchall()
        for mart in marts:
            if (mart,) not in built:
                raise UserError(f"{warehouse.path}: it has no table marts.{mart}; run `transfer build` first")
        known = [row[0] for row in connection.execute("select distinct study from marts.fct_transfer").fetchall()]
        if study not in known:
            raise UserError(str(UnknownName("study with transfer cells", study, known)))
        try:
            yield connection
        except (duckdb.BinderException, duckdb.CatalogException) as error:
            what = str(error).strip().partition("\n")[0]
            raise UserError(f"{warehouse.path}: marts of another version ({what}); run `transfer build`") from None


def known_names(kind: str, study: str, asked: Iterable[str], known: Iterable[str]) -> list[str]:
    """What is asked, once each.

    Raises:
        UserError: one of them is not known.
    """
    names, found = list(known), list(dict.fromkeys(asked))
    for name in found:
        if name not in names:
            raise UserError(f"study {study!r}: {UnknownName(kind, name, names)}")
    return found


def narrowed(
    what: str, found: Sequence[Found], asked: Mapping[str, tuple[Iterable[str], Callable[[Found], str]]]
) -> list[Found]:
    """Return those of what was found that are among what is asked for, by kind: names, none meaning all, and how one is
    named.

    Raises:
        UserError: nothing is named so, or all of it at once; `what` is what was looked through.
    """
    chosen = {kind: (list(names), name_of) for kind, (names, name_of) in asked.items()}
    for kind, (names, name_of) in chosen.items():
        known = sorted({name_of(one) for one in found})
        for name in names:
            if name not in known:
                raise UnknownName(kind, name, known)
    left = [one for one in found if all(not names or name_of(one) in names for names, name_of in chosen.values())]
    if not left:
        raise UserError(f"{what} that is all of this at once")
    return left


def full_model_name(connection: duckdb.DuckDBPyConnection, study: str, model: str) -> str:
    """name@revision of a model given with or without its revision.

    Raises:
        UserError: no such model, or several revisions of it.
    """
    rows = connection.execute("select distinct model from marts.fct_transfer where study = ?", [study]).fetchall()
    names = sorted(row[0] for row in rows)
    found = [name for name in names if model in (name, name.rpartition("@")[0])]
    if len(found) > 1:
        raise UserError(f"study {study!r}: model {model!r} has several revisions: {', '.join(found)}")
    if not found:
        known = names if "@" in model else [name.rpartition("@")[0] for name in names]
        raise UserError(f"study {study!r}: {UnknownName('model', model, known)}")
    return str(found[0])


def checked_limit(max_harm: float | None) -> None:
    """Refuse a limit that is no number of percentage points.

    Raises:
        UserError: below 0, or not a number.
    """
    if max_harm is not None and not max_harm >= 0:
        raise UserError(f"--max-harm {max_harm}: expected percentage points, 0 or more")


def loses_more(delta_pp: float, limit: float) -> bool:
    """Whether a change is a loss of more than `limit` percentage points; a loss of just as much is not."""
    return delta_pp < -limit - _ROUNDING_PP


def count(number: int, noun: str) -> str:
    """1 model, 3 models."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
