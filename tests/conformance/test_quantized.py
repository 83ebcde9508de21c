"""Weights of 4 and 8 bits by bitsandbytes: scored as the harness scores them, and tuned as QLoRA tunes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

from compute.language_models.loading import load_model
from compute.language_models.probes import try_adapters
from compute.language_models.scoring import score_items
from compute.language_models.settings import Lora
from compute.language_models.training import train_stack
from compute.language_models.training_records import TrainedAdapter, TrainingSource
from tests.helpers.families import save_tiny
from tests.helpers.tiny_model import tiny_items

pytest.importorskip("bitsandbytes", reason="the extra quantized is not installed")

BITS: dict[str, dict[str, Any]] = {
    "4": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": torch.float32},
    "8": {"load_in_8bit": True},
}


@pytest.mark.parametrize("bits", BITS)
def test_quantized_weights_are_scored_and_tuned(bits: str, tmp_path: Path) -> None:
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    torch.set_num_threads(1)
    base, folder = save_tiny("llama-untied", tmp_path / "base"), tmp_path / "model"
    AutoModelForCausalLM.from_pretrained(
        base, quantization_config=BitsAndBytesConfig(**BITS[bits]), device_map={"": "cpu"}
    ).save_pretrained(folder)
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    model, tokenizer = load_model(folder, dtype="auto")
    items = tiny_items()[:6]
    ours = [value for score in score_items(model, tokenizer, items) for value in score.logprobs]
    asked = [Instance("loglikelihood", {}, (item.context, choice), 0) for item in items for choice in item.choices]
    theirs = HFLM(pretrained=model, tokenizer=tokenizer, device="cpu", batch_size=1).loglikelihood(
        asked, disable_tqdm=True
    )
    assert ours == pytest.approx([value for value, _ in theirs], abs=1e-3)

    trial = try_adapters(model, tokenizer, items, Lora(rank=2))  # which compares with PEFT
    assert trial.stacks == (bits == "4")
    sources = [TrainingSource(str(seed), items, (), seed) for seed in (1, 2)]
    for result in train_stack(model, tokenizer, sources, Lora(rank=2, epochs=6, learning_rate=0.02), trial=trial):
        assert isinstance(result, TrainedAdapter)
        assert result.log[-1].loss < result.log[0].loss - 0.1
