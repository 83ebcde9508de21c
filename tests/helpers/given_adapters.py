"""Adapters trained by PEFT itself on a tiny base, of the methods and settings that are taken."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peft
import torch
from transformers import PreTrainedModel

ATTENTION = ["q_proj", "v_proj"]
UP = ["v_proj", "up_proj"]
TASK = "CAUSAL_LM"


def lora(**settings: Any) -> Any:
    """LoRA's configuration; on the attention unless it is said otherwise."""
    return peft.LoraConfig(**{"task_type": TASK, "target_modules": ATTENTION, **settings})


METHODS: dict[str, Callable[[], Any]] = {
    "LoRA": lora,
    "LoRA without a task": lambda: lora(task_type=None),
    "ranks and scales by layer": lambda: lora(rank_pattern={"q_proj": 3}, alpha_pattern={"layers.1.*v_proj": 32}),
    "rsLoRA": lambda: lora(use_rslora=True, target_modules="all-linear"),
    "a pattern of layers": lambda: lora(target_modules=r".*\.1\..*\.(k|o)_proj"),
    "DoRA": lambda: lora(use_dora=True, target_modules="all-linear"),
    "biases": lambda: lora(lora_bias=True),
    "the output layer and embeddings trained": lambda: lora(modules_to_save=["lm_head", "embed_tokens"]),
    "LoRA on embeddings": lambda: lora(target_modules=["embed_tokens", "q_proj"]),
    "tokens trained": lambda: lora(trainable_token_indices=[5, 6, 7, 40, 80]),
    "embeddings tied": lambda: lora(modules_to_save=["embed_tokens"], ensure_weight_tying=True),
    "layers twice": lambda: lora(layer_replication=[[0, 2], [0, 2]]),
    "PiSSA": lambda: lora(init_lora_weights="pissa"),
    "OLoRA": lambda: lora(init_lora_weights="olora"),
    "AdaLoRA": lambda: peft.AdaLoraConfig(task_type=TASK, target_modules=ATTENTION, total_step=10),
    "IA3": lambda: peft.IA3Config(task_type=TASK, target_modules=UP, feedforward_modules=UP[1:]),
    "VeRA": lambda: peft.VeraConfig(task_type=TASK, target_modules=ATTENTION, d_initial=0.5),
    "LoHa": lambda: peft.LoHaConfig(task_type=TASK, target_modules=ATTENTION),
    "BOFT": lambda: peft.BOFTConfig(task_type=TASK, target_modules=ATTENTION),
    "layer norms": lambda: peft.LNTuningConfig(task_type=TASK),
    "prompt tuning": lambda: peft.PromptTuningConfig(task_type=TASK, num_virtual_tokens=5),
    "P-tuning": lambda: peft.PromptEncoderConfig(task_type=TASK, num_virtual_tokens=4, encoder_hidden_size=16),
    "prefix tuning": lambda: peft.PrefixTuningConfig(task_type=TASK, num_virtual_tokens=3),
}  # fmt: skip


def train_adapter(model: PreTrainedModel, config: Any, folder: Path, seed: int = 0, **saving: Any) -> Path:
    """Train an adapter a few steps, large ones so that it shows, and save it as PEFT does; the model stays."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        trained = peft.get_peft_model(copy.deepcopy(model), config)
        optimizer = torch.optim.AdamW([p for p in trained.parameters() if p.requires_grad], lr=0.05)
        tokens = torch.randint(3, 100, (8, 12))
        for _ in range(3):
            trained(input_ids=tokens, attention_mask=torch.ones_like(tokens), labels=tokens).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        trained.eval().save_pretrained(folder, **saving)
    return folder
