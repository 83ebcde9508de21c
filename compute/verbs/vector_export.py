"""Mapped vectors of a study as word2vec text, the format that gensim and every other program reads."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from compute.embeddings.writing import export_mapping
from compute.errors import JobError, UserError
from compute.names import UnknownName
from compute.store.artifacts import ArtifactStore
from compute.store.warehouse import Warehouse


@dataclass(frozen=True)
class MappedPair:
    """A landed mapping job: which method brought which vectors of which pair into one space."""

    job_key: str
    method: str
    variant: str
    vectors: str
    source_language: str
    target_language: str
    dictionary_size: int
    seed: int

    @property
    def pair(self) -> str:
        return f"{self.source_language}-{self.target_language}"

    @property
    def folder(self) -> Path:
        """`<vectors>/<method>-<variant>-<size>-<seed>`, the same for all pairs."""
        return Path(self.vectors, f"{self.method}-{self.variant}-{self.dictionary_size}-{self.seed}")


def export_vectors(
    warehouse: Warehouse,
    study: str,
    artifacts: ArtifactStore,
    folder: Path,
    say: Callable[[str], None],
    methods: Sequence[str] = (),
    pairs: Sequence[str] = (),
    sizes: Sequence[int] = (),
) -> int:
    """Writes both sides of every landed mapping of the study that `methods`, `pairs` and `sizes` leave (nothing said:
    all) below `folder`. Returns 1 where an artifact is gone or damaged, which is told, else 0.

    Raises:
        UserError: no such study, or one that mapped nothing; a method, pair or size that it does not have; a folder
            that cannot be written.
    """
    mapped = landed_mappings(warehouse, study)
    if not mapped:
        raise UserError(f"{warehouse.path}: study {study!r} has no mapping that has landed")
    _require("mapping method", methods, (one.method for one in mapped))
    _require("pair", pairs, (one.pair for one in mapped))
    _require("dictionary size", map(str, sizes), (str(one.dictionary_size) for one in mapped))
    wanted = [
        one
        for one in mapped
        if (not methods or one.method in methods)
        and (not pairs or one.pair in pairs)
        and (not sizes or one.dictionary_size in sizes)
    ]
    if not wanted:
        raise UserError(f"{warehouse.path}: study {study!r} has no mapping that is all of this at once")
    lost = 0
    for one in wanted:
        try:
            artifact = artifacts.path(one.job_key)
            export_mapping(artifact, folder / one.folder, one.source_language, one.target_language)
        except (ValueError, JobError) as error:
            lost += 1
            say(f"not exported: {one.folder} {one.pair}: {error}")
        except OSError as error:
            raise UserError(f"{folder / one.folder}: cannot be written: {error.strerror}") from None
    say(f"{folder}: {len(wanted) - lost} mappings exported, two files each")
    return 1 if lost else 0


def landed_mappings(warehouse: Warehouse, study: str) -> list[MappedPair]:
    """The study's mapping jobs that have landed, in order.

    Raises:
        UserError: no warehouse, or no such study in it.
    """
    if not warehouse.exists():
        raise UserError(f"{warehouse.path}: no such warehouse; run `transfer compute` first")
    with warehouse.connect(read_only=True) as connection:
        try:
            studies = connection.execute("select study from raw.studies order by study").fetchall()
            rows = connection.execute(
                "select asked.job_key, asked.config from raw.study_jobs as asked "
                "inner join raw.jobs as done on asked.job_key = done.job_key "
                "where asked.study = ? and asked.plugin = 'mapping' and done.state = 'landed'",
                [study],
            ).fetchall()
        except duckdb.CatalogException:
            raise UserError(f"{warehouse.path}: nothing has been loaded; run `transfer compute` first") from None
    _require("study", [study], (name for (name,) in studies), place=f"{warehouse.path}: ")
    mapped = [_mapped_pair(key, json.loads(config)) for key, config in rows]
    return sorted(mapped, key=lambda one: (str(one.folder), one.pair))


def _mapped_pair(key: str, config: dict[str, Any]) -> MappedPair:
    named = ("method", "variant", "vectors", "source_language", "target_language", "dictionary_size", "seed")
    return MappedPair(key, **{name: config[name] for name in named})


def _require(kind: str, names: Iterable[str], known: Iterable[str], place: str = "") -> None:
    choices = sorted(set(known))
    for name in names:
        if name not in choices:
            raise UserError(f"{place}{UnknownName(kind, name, choices)}")
