"""Adapters of a study as folders for other people: named for them, with the base as PEFT finds it, and a model card."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compute.errors import JobError, UserError
from compute.language_models.revisions import ADAPTER, is_folder, pin
from compute.project import expand
from compute.store.artifacts import ArtifactStore
from compute.store.files import copy_whole, write_whole
from compute.store.warehouse import Warehouse
from compute.verbs.asked import narrowed
from compute.verbs.model_card import Card, card, read_card, source_of

_WEIGHTS = "adapter_model.safetensors"
_ARTIFACTS_OWN = frozenset({".sha256", "training_log.json"})
"""Files of an artifact that are no part of a model."""

_TRAININGS = """
select done.job_key, done.config, models.job_key as base_key, models.revision, base.plugin
from raw.study_jobs as asked
inner join raw.jobs as done on asked.job_key = done.job_key
inner join raw.models as models on (done.config ->> '$.model') = models.model
inner join raw.jobs as base on models.job_key = base.job_key
where
    asked.study = ? and asked.plugin = 'transfer' and done.state = 'landed'
    and (done.config ->> '$.step') = 'train' and (done.config ->> '$.control') is null
    and (done.config ->> '$.fraction') is null
order by done.label, done.job_key
"""


@dataclass(frozen=True)
class TunedAdapter:
    """A landed training job, and the base that it tuned.

    Attributes:
        job_key: of the training.
        config: of the training, as the warehouse has it.
        base_key: the job that made or found the base.
        base_revision: what the base is pinned to.
        is_made: the base is an artifact, pre-trained here.
    """

    job_key: str
    config: Mapping[str, Any]
    base_key: str
    base_revision: str
    is_made: bool

    @property
    def model(self) -> str:
        """The base's name in the study."""
        return str(self.config["model"]).rpartition("@")[0]

    @property
    def source(self) -> str:
        """`task/language`, or a mixture's name."""
        return source_of(self.config)

    @property
    def folder(self) -> str:
        """`<model>-<task>-<language>[-<variant>]-seed<seed>`, as a file may be called."""
        variant = self.config["variant"]
        parts = [self.model, self.source, *([variant] if variant != "default" else []), f"seed{self.config['seed']}"]
        return re.sub(r"[^A-Za-z0-9._]+", "-", "-".join(parts)).strip("-.")


@dataclass(frozen=True)
class _Base:
    """What PEFT loads the base by: a name on the hub with its commit, or a folder."""

    name: str
    commit: str | None


def export_adapters(
    warehouse: Warehouse,
    study: str,
    artifacts: ArtifactStore,
    folder: Path,
    say: Callable[[str], None],
    sources: Sequence[str] = (),
    models: Sequence[str] = (),
    variants: Sequence[str] = (),
) -> int:
    """Write every landed adapter of the study that `sources`, `models` and `variants` leave (nothing said: all) below
    `folder`. Return 1 where an artifact is gone or damaged, or a base is no longer there, which is told; else 0.

    Raises:
        UserError: no such study, or one that tuned nothing; a source, model or variant that it does not have; a folder
            that cannot be written.
    """
    tuned, declared = _landed(warehouse, study)
    what = f"{warehouse.path}: study {study!r} has no adapter"
    if not tuned:
        raise UserError(f"{what} that has landed")
    wanted = narrowed(
        what,
        tuned,
        {
            "source": (sources, lambda one: one.source),
            "model": (models, lambda one: one.model),
            "variant": (variants, lambda one: str(one.config["variant"])),
        },
    )
    named = Counter(one.folder for one in wanted)
    bases: dict[str, _Base] = {}
    lost, missing = 0, set[str]()
    for one in wanted:
        name = one.folder if named[one.folder] == 1 else f"{one.folder}-{one.job_key[:8]}"
        try:
            if one.base_key not in bases:
                bases[one.base_key] = _base(one, declared, artifacts, folder)
            described = read_card(warehouse, study, one.job_key, one.config)
            missing |= set(described.missing)
            _write(artifacts.path(one.job_key), folder / name, bases[one.base_key], described)
        except (JobError, UserError) as error:
            lost += 1
            say(f"not exported: {name}: {error}")
        except OSError as error:
            raise UserError(f"{folder / name}: cannot be written: {error.strerror}") from None
    say(f"{folder}: {len(wanted) - lost} adapters exported")
    for what in sorted(missing):
        say(f"their cards lack {what}")
    return 1 if lost else 0


def _landed(warehouse: Warehouse, study: str) -> tuple[list[TunedAdapter], Mapping[str, str]]:
    """Return the study's adapters, and the checkpoints that it names, by model."""
    with warehouse.of_study(study) as connection:
        [(told,)] = connection.execute("select config from raw.studies where study = ?", [study]).fetchall()
        rows = connection.execute(_TRAININGS, [study]).fetchall()
    entries = json.loads(told).get("models") or []
    checkpoints = {entry["name"]: entry["checkpoint"] for entry in entries if entry.get("checkpoint")}
    tuned = [
        TunedAdapter(key, json.loads(config), base_key, revision, plugin == "pretrain")
        for key, config, base_key, revision, plugin in rows
    ]
    return tuned, checkpoints


def _base(one: TunedAdapter, checkpoints: Mapping[str, str], artifacts: ArtifactStore, folder: Path) -> _Base:
    """Return what PEFT is to load as the base of an adapter; one that was pre-trained here is exported beside it.

    Raises:
        JobError, UserError: it is gone, or no longer what was tuned.
    """
    if one.is_made:
        place = (folder / str(one.config["model"])).absolute()
        for path in artifacts.path(one.base_key).iterdir():
            if path.is_file() and path.name not in _ARTIFACTS_OWN:
                copy_whole(path, place / path.name)
        return _Base(str(place), None)
    checkpoint = checkpoints.get(one.model)
    if checkpoint is None:
        raise UserError(f"the study says of model {one.model!r} no longer where it is")
    if not is_folder(checkpoint):
        return _Base(checkpoint, one.base_revision)
    if pin(checkpoint, "main").identity != one.base_revision:
        raise UserError(f"its base {checkpoint} has changed since it was tuned")
    return _Base(str(expand(checkpoint).absolute()), None)


def _write(artifact: Path, place: Path, base: _Base, described: Card) -> None:
    config = json.loads((artifact / ADAPTER).read_text(encoding="utf-8"))
    config |= {"base_model_name_or_path": base.name, "revision": base.commit}
    write_whole(place / ADAPTER, f"{json.dumps(config, indent=2, sort_keys=True)}\n".encode())
    copy_whole(artifact / _WEIGHTS, place / _WEIGHTS)
    write_whole(place / "README.md", card(described, base.name, base.commit).encode())
