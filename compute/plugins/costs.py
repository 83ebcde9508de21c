"""How long jobs take, roughly, in GFLOP: for the order of work and the expected end, never for results."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from compute.embeddings.settings import NumeralVectors, TrainedVectors, VectorSet

if TYPE_CHECKING:
    from compute.embeddings.mappings import MappingMethod
    from compute.study.schema import ModelEntry, Study
    from compute.tasks import Split

TOKENS_AN_ITEM = 28
_USUAL_ITEMS = {"train": 300, "dev": 0, "test": 100}
"""Where neither the study nor the task says how many there are."""
_USUAL_WORDS, _USUAL_DIMENSION = 200_000, 300
"""Of vectors in files: as published ones have."""
_USUAL_WIDTH = 1_000
"""Of hidden states."""
_WORDS_OF_A_BIBLE = 12_000
_BYTES_A_WEIGHT = 2  # most checkpoints are in bfloat16
SECOND = 20.0
"""GFLOP that a core does in a second at these sizes: the cost of a second of work of another kind."""
_SENTENCES_OF_A_BIBLE = 31_000
_WORDS_MATCHED, _TIMES_MATCHED = 10_000, 20


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


def items_asked(study: Study, task: str, language: str, split: Split) -> int:
    """Return about how many items of a split are used."""
    used = study.items_used(task, language, split)
    if used is None:
        used = study.task(task, language).size(language, split)
    return _USUAL_ITEMS[split] if used is None else used


def tuning_cost(weights: float, items: float) -> float:
    """Forward and backward over `items`, repeats counted; `weights` as of `model_weights`."""
    return 6 * weights * items * TOKENS_AN_ITEM


def scoring_cost(weights: float, items: float) -> float:
    """Forward over the prompts of `items`; `weights` as of `model_weights`."""
    return 2 * weights * items * TOKENS_AN_ITEM


def matching_cost(items: float, others: float) -> float:
    """Find the nearest of the tokens of `others` for each token of `items`, by their hidden states."""
    return 2 * items * others * TOKENS_AN_ITEM**2 * _USUAL_WIDTH / 1e9


def vectors_size(settings: VectorSet) -> tuple[int, int]:
    """Return about how many words vectors have, and how many dimensions: known once they are made."""
    if isinstance(settings, NumeralVectors):
        return min(2_000, settings.highest_number), settings.dimension
    if isinstance(settings, TrainedVectors):
        return _WORDS_OF_A_BIBLE, settings.dimension
    return getattr(settings, "vocabulary", None) or _USUAL_WORDS, _USUAL_DIMENSION


def making_cost(settings: VectorSet) -> float:
    """Train on a text, or read a file."""
    words, dimension = vectors_size(settings)
    if isinstance(settings, TrainedVectors):
        sentences = settings.sentences if isinstance(settings, NumeralVectors) else _SENTENCES_OF_A_BIBLE
        return SECOND * sentences * settings.epochs / 15_000
    return SECOND * words * dimension / (_USUAL_DIMENSION * 50_000)


def mapping_cost(method: MappingMethod, settings: VectorSet) -> float:
    """Learn a map and move both sides by it; what learns from words that it matches itself matches them often."""
    words, dimension = vectors_size(settings)
    moved = 4 * words * dimension**2 / 1e9
    if method.supervision == "supervised":
        return 0.01 * SECOND + moved
    matched = min(words, _WORDS_MATCHED)
    return 5 * SECOND + moved + _TIMES_MATCHED * 2 * matched**2 * dimension / 1e9


def ranking_cost(queries: int, settings: VectorSet) -> float:
    """Find the ranks of translations, and the neighbourhoods that CSLS needs."""
    words, dimension = vectors_size(settings)
    return 0.01 * SECOND + 8 * queries * words * dimension / 1e9


def comparing_cost(settings: VectorSet) -> float:
    """Compare two languages' vectors as they are: over so many words at most."""
    words, dimension = (min(most, size) for most, size in zip((5_000, 1_024), vectors_size(settings), strict=True))
    return 0.05 * SECOND + 20 * words**2 * dimension / 1e9
