"""A model's own sources looked up: the files of each, and that they belong to the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compute.language_models.given_adapters import GivenAdapter
from compute.language_models.given_sources import BaseFiles, adapter_on, checkpoint_of
from compute.language_models.revisions import Revision

if TYPE_CHECKING:
    from compute.study.schema import ModelEntry
    from compute.study.sources import GivenSource


def base_files(model: ModelEntry, revision: str | None = None, label: str | None = None) -> BaseFiles:
    """Return what is known of a model; `revision`: its commit on the hub; `label`: as rows have it."""
    return BaseFiles(
        name=model.name,
        checkpoint=model.checkpoint,
        revision=revision,
        label=label,
        runs_code=model.trust_remote_code,
        architecture=model.architecture,
        vocabulary=model.pretrain.vocabulary_size if model.pretrain is not None else 0,
    )


def look_up(source: GivenSource, base: BaseFiles) -> GivenAdapter | Revision:
    """Return an adapter's files, or a tuned checkpoint's. Raises UserError as those who look them up do."""
    if source.adapter is not None:
        return adapter_on(base, source.adapter, source.revision, source.base)
    assert source.checkpoint is not None
    return checkpoint_of(base, source.checkpoint, source.revision)
