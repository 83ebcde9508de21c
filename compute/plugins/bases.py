"""The base model that training and scoring jobs run on: one of ours, or a checkpoint from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from compute.errors import JobError
from compute.plugin import Context, Job

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from compute.language_models.encoding import Encoding


@dataclass(frozen=True)
class Base:
    """A loaded base model, and how items are encoded for it."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    encoding: Encoding


def checkpoint_hints(
    checkpoint: str, revision: str | None, dtype: str, chat_template: bool, trust_remote_code: bool
) -> Mapping[str, Any]:
    """What `load_base` needs to find a checkpoint; jobs on a model of ours have no such hints."""
    return {
        "checkpoint": checkpoint,
        "revision": revision,
        "dtype": dtype,
        "chat_template": chat_template,
        "trust_remote_code": trust_remote_code,
    }


def load_base(job: Job, context: Context) -> Base:
    """The base model of a job whose first input is the model's job.

    Raises:
        JobError: it cannot be loaded; the line says why and what to do.
    """
    from compute.language_models.encoding import Encoding
    from compute.language_models.loading import LoadingError, load_model

    hints = job.hints
    try:
        if "checkpoint" in hints:
            model, tokenizer = load_model(
                hints["checkpoint"],
                revision=hints["revision"],
                dtype=hints["dtype"],
                device=context.device,
                trust_remote_code=hints["trust_remote_code"],
                chat_template=hints["chat_template"],
                say=context.note,
            )
        else:
            model, tokenizer = load_model(context.artifacts.path(job.inputs[0]), device=context.device)
    except LoadingError as error:
        raise JobError(str(error)) from error
    return Base(model, tokenizer, Encoding(hints.get("chat_template", False), job.config["truncate"]))
