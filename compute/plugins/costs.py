"""How long jobs take, roughly, in GFLOP: for the order of work and the expected end, never for results."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from compute.language_models.settings import Architecture

TOKENS_AN_ITEM = 40


def weights(architecture: Architecture) -> float:
    """Weights of the blocks, in thousands of millions."""
    a = architecture
    return a.layers * (4 * a.hidden_size**2 + 3 * a.hidden_size * a.intermediate_size) / 1e9


def training_cost(architecture: Architecture, tokens: float) -> float:
    """Forward and backward over `tokens`."""
    return 6 * weights(architecture) * tokens


def scoring_cost(architecture: Architecture, items: float) -> float:
    """Forward over the prompts of `items`."""
    return 2 * weights(architecture) * items * TOKENS_AN_ITEM
