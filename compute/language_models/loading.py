"""Loading a causal language model and its tokenizer: tiny ones of ours and real ones through the same code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils.logging import disable_progress_bar


def load_model(
    path_or_id: str | Path,
    revision: str | None = None,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model, frozen and in evaluation mode, and its tokenizer.

    Weights are read from safetensors only, and no code that comes with a model is run.

    Args:
        path_or_id: a folder in `save_pretrained` format, or a name on the hub.
        revision: commit, tag or branch on the hub.
        dtype: of the weights.
        device: where to put them.

    Raises:
        OSError: no such model, or none with safetensors weights.
        ValueError: a tokenizer that has no token to pad with.
    """
    disable_progress_bar()  # the run has a display of its own
    source = str(path_or_id)
    tokenizer = AutoTokenizer.from_pretrained(source, revision=revision, trust_remote_code=False)
    if tokenizer.pad_token_id is None:
        if tokenizer.eos_token_id is None:
            raise ValueError(f"model {source}: its tokenizer has neither a padding nor an end-of-text token")
        tokenizer.pad_token_id = tokenizer.eos_token_id
    model: Any = AutoModelForCausalLM.from_pretrained(
        source, revision=revision, dtype=dtype, use_safetensors=True, trust_remote_code=False
    )
    model.to(device).eval().requires_grad_(False)
    return model, tokenizer
