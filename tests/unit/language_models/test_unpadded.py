"""Rows in a line say what each says by itself, and other calls of the model are left alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from compute.language_models import kernels
from compute.language_models.branching import BranchedRow, forward_arguments, rows
from compute.language_models.loading import load_model
from compute.language_models.logits import logits_at
from compute.language_models.unpadded import Line, can_be_unpadded, last_layer_at
from tests.helpers.families import FAMILIES, save_tiny

UNPADDED = {"gemma2", "gemma3", "gemma3_text", "gpt_neox", "llama", "mistral", "olmo2", "phi3", "qwen2", "qwen3"}


@pytest.fixture(params=["short", "long"])
def batch(request: pytest.FixtureRequest) -> list[BranchedRow]:
    """Contexts of unlike lengths with choices of one token and of several; by products, or by blocks."""
    draw = torch.Generator().manual_seed(1)

    def text(n: int) -> list[int]:
        return torch.randint(3, 60, (n,), generator=draw).tolist()

    lengths = (90, 41, 7, 1) if request.param == "short" else (150, 20)
    return [
        row for n in lengths for row in rows(text(n), [(0, text(1)), (1, text(4)), (2, text(2))], branching=True)
    ]  # fmt: skip


def load(name: str, folder: Path) -> PreTrainedModel:
    save_tiny(name, folder)
    model, _ = load_model(str(folder), dtype="float32", device="cpu")
    return model


@torch.inference_mode()
def by_itself(model: PreTrainedModel, row: BranchedRow) -> Tensor:
    return logits_at(model, torch.arange(len(row.tokens)), **forward_arguments(model, [row]))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_line_says_what_each_row_says_by_itself(
    family: str, batch: list[BranchedRow], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load(family, tmp_path)
    assert not can_be_unpadded(model)  # narrow
    monkeypatch.setattr(kernels, "_NARROW", 0)
    is_eager = model.config.get_text_config(decoder=True)._attn_implementation == "eager"
    assert can_be_unpadded(model) == (model.config.model_type in UNPADDED and not is_eager)
    if not can_be_unpadded(model):
        return
    line = Line(batch)
    everywhere = torch.arange(sum(len(row.tokens) for row in batch))
    some = everywhere[3::7]
    with torch.inference_mode(), line.attention():
        found = logits_at(model, everywhere, **line.arguments(model))
        with last_layer_at(model, some):
            found_there = logits_at(model, some, **line.arguments(model))
        torch.testing.assert_close(found_there, found[some], rtol=0, atol=2e-5)
        assert torch.equal(logits_at(model, everywhere, **line.arguments(model)), found)
    for start, row in zip(line.starts, batch, strict=True):
        torch.testing.assert_close(found[start : start + len(row.tokens)], by_itself(model, row), rtol=0, atol=2e-5)


def test_other_calls_attend_as_ever(tmp_path: Path) -> None:
    before = ALL_ATTENTION_FUNCTIONS["sdpa"]
    row = BranchedRow([3, 4], [0, 1], [0, 0])
    with pytest.raises(KeyError), Line([row]).attention():
        assert ALL_ATTENTION_FUNCTIONS["sdpa"] is not before
        raise KeyError
    assert ALL_ATTENTION_FUNCTIONS["sdpa"] is before
    with Line([row]).attention(), pytest.raises(ValueError, match="cap"):
        ALL_ATTENTION_FUNCTIONS["sdpa"](None, *[torch.ones(1, 1, 2, 4)] * 3, torch.zeros(1, 1, 2, 2), softcap=50.0)


def test_numbers_of_16_bits_are_padded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "_NARROW", 0)
    assert not can_be_unpadded(load("llama", tmp_path).to(torch.bfloat16))  # type: ignore[arg-type]
