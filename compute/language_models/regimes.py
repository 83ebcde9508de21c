"""Lengths at which a model changes how it reads, so that no batch spans such a boundary.

LongRoPE (Ding et al., arXiv 2402.13753), for one, as transformers computes it, scales the positions of a whole batch by
one of two sets of factors, according to the longest row in it: a short row would get another score in long company.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from transformers import PreTrainedModel

from compute.language_models.stored_reading import LENGTH_BY_LENGTH

Regime = Callable[[int], int]
"""Of a row of so many tokens: rows of equal regime may share a batch."""


def reads_alone(model: PreTrainedModel) -> bool:
    """Return whether every row is to be a batch by itself: LLM.int8 (Dettmers et al., arXiv 2208.07339) keeps columns
    of its inputs in 16 bits that hold a large number in any row of the batch."""
    return bool(getattr(model, "is_loaded_in_8bit", False))


def regime_of(model: PreTrainedModel) -> Regime:
    """Return the regimes of a model: one for all lengths, for nearly every family."""
    if model.config.model_type in LENGTH_BY_LENGTH:
        return lambda length: length
    config = model.config.get_text_config(decoder=True)
    bounds = sorted({bound for bound in _bounds(getattr(config, "rope_parameters", None)) if bound is not None})
    return lambda length: sum(length > bound for bound in bounds)


def _bounds(rope: Any) -> list[int | None]:
    """Return the longest row with the short factors, of each set of a configuration's rotary embeddings."""
    if not isinstance(rope, Mapping):
        return []
    if rope.get("rope_type") == "longrope":
        return [rope.get("original_max_position_embeddings")]
    return [bound for part in rope.values() for bound in _bounds(part)]
