"""A tiny untrained model and a few items, for tests of the language-model half."""

from __future__ import annotations

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from compute.language_models.pretraining import new_model
from compute.language_models.settings import Architecture, Family
from compute.language_models.tokenizer import train_tokenizer
from compute.tasks import load_task
from compute.tasks.task import Item


def tiny_items(split: str = "train") -> list[Item]:
    """Items with answers of one token and of several, in two languages."""
    items: list[Item] = []
    for task, language in (("read", "de"), ("parity", "es"), ("compare", "ru")):
        items += load_task(task).items(language, split)[:40]  # type: ignore[arg-type]
    return items


def tiny_model(family: Family = "llama") -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Two layers, 32 wide; weights larger than usual, so that a difference shows."""
    torch.set_num_threads(1)
    tokenizer = train_tokenizer([item.context + item.choices[0] for item in tiny_items()], 400, 64)
    torch.manual_seed(0)
    architecture = Architecture(family=family, hidden_size=32, layers=2, heads=2, intermediate_size=64, max_tokens=64)
    model = new_model(architecture, tokenizer).eval().requires_grad_(False)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.mul_(4)
    return model, tokenizer
