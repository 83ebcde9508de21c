"""Rows packed into lines are trained on as they are alone: the same losses and gradients, in every family."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from compute.language_models.adapters import initial_adapter
from compute.language_models.branching import can_branch
from compute.language_models.loading import load_model
from compute.language_models.lora import LoraStack
from compute.language_models.micro_batches import TrainingRow, answer_losses, collate, line_capacity
from compute.language_models.settings import Lora
from tests.helpers.families import FAMILIES, WINDOW, save_tiny

CPU = torch.device("cpu")
LENGTHS = ((WINDOW + 9, 5, 14, 3), (8, WINDOW + 5, 2))
"""Of two adapters' rows; some are longer than a sliding window, and all of them together longer than any."""


def rows_of(model: PreTrainedModel) -> list[list[TrainingRow]]:
    vocabulary = model.config.get_text_config(decoder=True).vocab_size
    draw = torch.Generator().manual_seed(0)
    return [
        [
            TrainingRow(f"{g} {r}", torch.randint(vocabulary, (length + 1,), generator=draw), 1 + r % 2, False)
            for r, length in enumerate(lengths)
        ]
        for g, lengths in enumerate(LENGTHS)
    ]


def losses_and_gradients(model: PreTrainedModel, capacity: int) -> tuple[Tensor, Tensor, bool]:
    adapters = [initial_adapter(model, Lora(rank=2), seed) for seed in range(len(LENGTHS))]
    for adapter in adapters:
        for number, (_, b) in enumerate(adapter.matrices.values()):
            b.normal_(std=0.1, generator=torch.Generator().manual_seed(number))
    batch = collate(rows_of(model), CPU, capacity)
    with LoraStack(model, adapters) as stack:
        stack.require_gradients()
        losses = answer_losses(model, batch)
        stack.add_gradients(losses.sum())
        return losses.detach(), torch.cat(stack.gradients, 1), batch.is_packed


@pytest.mark.parametrize("name", FAMILIES)
def test_company_in_a_line_changes_no_loss_and_no_gradient(name: str, tmp_path: Path) -> None:
    model, _ = load_model(save_tiny(name, tmp_path), dtype="float32")
    capacity = line_capacity(model, CPU)
    assert (capacity > 0) == can_branch(model)
    losses, gradients, alone = losses_and_gradients(model, 0)
    packed_losses, packed_gradients, together = losses_and_gradients(model, capacity)
    assert not alone and together == (capacity > 0)
    torch.testing.assert_close(packed_losses, losses, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(packed_gradients, gradients, rtol=1e-3, atol=1e-3 * float(gradients.abs().max()))
