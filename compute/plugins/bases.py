"""The base model that training and scoring jobs run on: one of ours, or a checkpoint from elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import Field

from compute.errors import JobError
from compute.plugin import Context, Job, JobConfig
from compute.plugins.products import CheckpointPlace

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from compute.language_models.encoding import Encoding

BASE = "base"
"""The input of jobs that run on a base model: the job that made or found it."""


class OnBase(JobConfig):
    """What jobs that run on a base model have in common."""

    model: str
    """As named in rows."""
    truncate: bool
    place: CheckpointPlace | None = Field(exclude=True)


@dataclass(frozen=True)
class Base:
    """A loaded base model, and how items are encoded for it."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    encoding: Encoding


def load_base(job: Job[OnBase], context: Context) -> Base:
    """Return the base model of a job.

    Raises:
        JobError: it cannot be loaded; the line says why and what to do.
    """
    from compute.language_models.encoding import Encoding
    from compute.language_models.loading import LoadingError, load_model

    place = job.config.place
    try:
        if place is None:
            model, tokenizer = load_model(context.artifacts.path(job.inputs[BASE]), device=context.device)
        else:
            model, tokenizer = load_model(
                place.checkpoint,
                revision=place.revision,
                dtype=place.dtype,
                device=context.device,
                trust_remote_code=place.trust_remote_code,
                chat_template=place.chat_template,
                say=context.note,
            )
    except LoadingError as error:
        raise JobError(str(error)) from error
    chat_template = place is not None and place.chat_template
    return Base(model, tokenizer, Encoding(chat_template, job.config.truncate))
