"""How long jobs take, roughly, in GFLOP: for the order of work and the expected end, never for results."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from compute.study.schema import ModelEntry

TOKENS_AN_ITEM = 28
TRAINING_ITEMS, TEST_ITEMS = 300, 100
"""Usual sizes, where a study sets no limit."""
_BYTES_A_WEIGHT = 2  # most checkpoints are in bfloat16
SECOND = 20.0
"""GFLOP that a core does in a second at these sizes: the cost of a second of work of another kind."""


def model_weights(entry: ModelEntry) -> float:
    """Weights of a study's model, in thousands of millions; of a checkpoint what its name or its files' size say."""
    if entry.architecture is not None:
        a = entry.architecture
        matrices = 2 if a.family == "gpt_neox" else 3
        return a.layers * (4 * a.hidden_size**2 + matrices * a.hidden_size * a.intermediate_size) / 1e9
    assert entry.checkpoint is not None
    files = list(Path(entry.checkpoint).glob("*.safetensors"))
    if files:
        return sum(file.stat().st_size for file in files) / _BYTES_A_WEIGHT / 1e9
    named = re.search(r"(\d+(?:\.\d+)?)([bm])(?![a-z])", entry.checkpoint.lower())
    return float(named[1]) / (1000 if named[2] == "m" else 1) if named else 1.0


def pretraining_cost(entry: ModelEntry) -> float:
    """Forward and backward over a pre-training's tokens, with logits at every position."""
    assert entry.architecture is not None and entry.pretrain is not None
    output = entry.architecture.hidden_size * entry.pretrain.vocabulary_size / 1e9
    return 6 * (model_weights(entry) + output) * entry.pretrain.steps * entry.pretrain.batch_tokens


def tuning_cost(entry: ModelEntry, items: float) -> float:
    """Forward and backward over `items`, repeats counted."""
    return 6 * model_weights(entry) * items * TOKENS_AN_ITEM


def scoring_cost(entry: ModelEntry, items: float) -> float:
    """Forward over the prompts of `items`."""
    return 2 * model_weights(entry) * items * TOKENS_AN_ITEM
