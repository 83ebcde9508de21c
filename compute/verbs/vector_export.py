"""Mapped vectors of a study as word2vec text, the format that gensim and every other program reads."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from compute.embeddings.writing import export_mapping
from compute.errors import JobError, UserError, writing
from compute.plugins.products import MappingKeys
from compute.store.artifacts import ArtifactStore
from compute.store.warehouse import Warehouse
from compute.verbs.asked import narrowed


class MappedPair(MappingKeys):
    """A landed mapping job: which method brought which vectors of which pair into one space."""

    job_key: str

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
    what = f"{warehouse.path}: study {study!r} has no mapping"
    if not mapped:
        raise UserError(f"{what} that has landed")
    wanted = narrowed(
        what,
        mapped,
        {
            "mapping method": (methods, lambda one: one.method),
            "pair": (pairs, lambda one: one.pair),
            "dictionary size": (map(str, sizes), lambda one: str(one.dictionary_size)),
        },
    )
    lost = 0
    for one in wanted:
        try:
            artifact = artifacts.path(one.job_key)
            with writing(folder / one.folder):
                export_mapping(artifact, folder / one.folder, one.source_language, one.target_language)
        except (ValueError, JobError) as error:
            lost += 1
            say(f"not exported: {one.folder} {one.pair}: {error}")
    say(f"{folder}: {len(wanted) - lost} mappings exported, two files each")
    return 1 if lost else 0


def landed_mappings(warehouse: Warehouse, study: str) -> list[MappedPair]:
    """The study's mapping jobs that have landed, in order.

    Raises:
        UserError: no warehouse, or no such study in it.
    """
    with warehouse.of_study(study) as connection:
        rows = connection.execute(
            "select asked.job_key, asked.config from raw.study_jobs as asked "
            "inner join raw.jobs as done on asked.job_key = done.job_key "
            "where asked.study = ? and asked.plugin = 'mapping' and done.state = 'landed'",
            [study],
        ).fetchall()
    configs = {key: json.loads(config) for key, config in rows}
    mapped = [
        MappedPair(job_key=key, **{name: config[name] for name in MappingKeys.model_fields})
        for key, config in configs.items()
    ]
    return sorted(mapped, key=lambda one: (str(one.folder), one.pair))
