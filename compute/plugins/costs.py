"""How long jobs take, roughly, in GFLOP: for the order of work and the expected end, never for results."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from compute.language_models.settings import Architecture

TOKENS_AN_ITEM = 28
SECOND = 20.0
"""GFLOP that a core does in a second at these sizes: the cost of a second of work of another kind."""


def weights(architecture: Architecture) -> float:
    """Weights of the blocks, in thousands of millions."""
    a = architecture
    matrices = 2 if a.family == "gpt_neox" else 3
    return a.layers * (4 * a.hidden_size**2 + matrices * a.hidden_size * a.intermediate_size) / 1e9


def pretraining_cost(architecture: Architecture, tokens: float, vocabulary: int) -> float:
    """Forward and backward over `tokens`, with logits at every position."""
    return 6 * (weights(architecture) + architecture.hidden_size * vocabulary / 1e9) * tokens


def tuning_cost(architecture: Architecture, items: float) -> float:
    """Forward and backward over `items`, repeats counted."""
    return 6 * weights(architecture) * items * TOKENS_AN_ITEM


def scoring_cost(architecture: Architecture, items: float) -> float:
    """Forward over the prompts of `items`."""
    return 2 * weights(architecture) * items * TOKENS_AN_ITEM
