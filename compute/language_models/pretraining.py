"""Pre-training of tiny models from scratch: the whole loop, read top to bottom."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import (
    GPTNeoXConfig,
    LlamaConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
)
from transformers.models.auto.modeling_auto import AutoModelForCausalLM
from transformers.utils.logging import disable_progress_bar

from compute.language_models import Progress
from compute.language_models.kernels import quick_kernels
from compute.language_models.memory import release_memory
from compute.language_models.settings import Architecture, Family, Pretraining
from compute.language_models.tokenizer import train_tokenizer

CONFIGS: dict[Family, type[PreTrainedConfig]] = {
    "llama": LlamaConfig,
    "qwen2": Qwen2Config,
    "qwen3": Qwen3Config,
    "gpt_neox": GPTNeoXConfig,
}

HELD_OUT_SHARE = 0.02
"""Share of the documents that are only for `eval_loss`."""


class PretrainingError(RuntimeError):
    """The loss is no longer a number; the message names the step."""


@dataclass(frozen=True)
class PretrainingLogRow:
    """One row of `raw.training_log`: `tokens` seen so far, losses in nats a token, `seconds` since the start."""

    step: int
    epoch: float
    tokens: int
    loss: float
    eval_loss: float
    learning_rate: float
    seconds: float


@dataclass(frozen=True)
class PretrainingResult:
    """What was trained: a folder in `save_pretrained` format, its parameters (counted once if shared) and its log."""

    folder: Path
    parameters: int
    log: list[PretrainingLogRow]


def pretrain(
    architecture: Architecture,
    settings: Pretraining,
    documents: Sequence[str],
    out_dir: Path,
    device: str | torch.device = "cpu",
    progress: Progress | None = None,
) -> PretrainingResult:
    """Trains a model from scratch on `documents` and saves it with its tokenizer (safetensors).

    The same arguments give the same weights on the same machine with the same number of threads.

    Args:
        architecture: of the model.
        settings: of the training; what it says about the text is the caller's business.
        documents: the text, shuffled: the first of them are held out for `eval_loss`.
        out_dir: where the model goes.
        device: where to train.
        progress: called after every step.

    Raises:
        PretrainingError: the loss became NaN or infinite.
        ValueError: more tokens a block than the model takes; too little text for a block; a block that the device's
            memory is too small for.
    """
    if settings.block_tokens > architecture.max_tokens:
        raise ValueError(f"block_tokens {settings.block_tokens} exceeds max_tokens {architecture.max_tokens}")
    tokenizer = train_tokenizer(documents, settings.vocabulary_size, architecture.max_tokens)
    encoded: list[list[int]] = tokenizer(list(documents))["input_ids"]
    held_out = max(1, int(HELD_OUT_SHARE * len(encoded)))
    text, eval_text = encoded[held_out:], encoded[:held_out]

    torch.manual_seed(settings.seed)
    model: Any = new_model(architecture, tokenizer)  # transformers' methods are untyped
    model.to(device).train()
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in model.parameters() if p.dim() > 1], "weight_decay": settings.weight_decay},
            {"params": [p for p in model.parameters() if p.dim() <= 1], "weight_decay": 0.0},
        ],
        lr=settings.learning_rate,
        betas=(0.9, 0.98),
        fused=True,
    )
    eval_blocks = _pack(eval_text, min(settings.block_tokens, sum(map(len, eval_text))))
    rows = rows_at_once = settings.batch_tokens // settings.block_tokens
    batches = _batches(text, rows, settings)
    log: list[PretrainingLogRow] = []
    start, tokens = time.monotonic(), 0
    for step in range(1, settings.steps + 1):
        epoch, batch = next(batches)
        rate = settings.learning_rate * _cosine(step, settings)
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss, rows_at_once = _gradients(model, batch.to(device), rows_at_once)
        if not math.isfinite(loss):
            raise PretrainingError(f"pre-training: the loss is {loss} at step {step} of {settings.steps}")
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        tokens += batch.numel()
        if step % settings.log_every == 0 or step == settings.steps:
            eval_loss = _mean_loss(model, eval_blocks.to(device), rows_at_once)
            seconds = time.monotonic() - start
            log.append(PretrainingLogRow(step, epoch, tokens, loss, eval_loss, rate, seconds))
        if progress is not None:
            progress(step, settings.steps, f"pre-training, loss {loss:.3f}")
    disable_progress_bar()  # the run has a display of its own
    model.save_pretrained(out_dir)
    tokenizer.save_pretrained(out_dir)
    return PretrainingResult(out_dir, sum(p.numel() for p in model.parameters()), log)


def new_model(architecture: Architecture, tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    """Return a model with weights drawn from torch's global generator; input and output embeddings are one."""
    config = new_config(
        architecture,
        len(tokenizer),
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=torch.float32)  # type: ignore[no-untyped-call]
    return model


def new_config(architecture: Architecture, vocabulary: int, **tokens: Any) -> PreTrainedConfig:
    """Return the configuration of such a model with so many tokens, of which `tokens` are special ones."""
    shape: dict[str, Any] = {
        "vocab_size": vocabulary,
        "hidden_size": architecture.hidden_size,
        "num_hidden_layers": architecture.layers,
        "num_attention_heads": architecture.heads,
        "intermediate_size": architecture.intermediate_size,
        "max_position_embeddings": architecture.max_tokens,
        "tie_word_embeddings": True,
    }
    if architecture.family != "gpt_neox":
        shape["num_key_value_heads"] = architecture.heads
    if architecture.family == "qwen3":
        shape["head_dim"] = architecture.hidden_size // architecture.heads
    return CONFIGS[architecture.family](**shape, **tokens)


def _cosine(step: int, settings: Pretraining) -> float:
    """Return the share of the peak learning rate at a step counted from 1: linear warm-up, then a cosine down to a
    tenth."""
    warmup = max(1, round(settings.warmup * settings.steps))
    if step <= warmup:
        return step / warmup
    return 0.55 + 0.45 * math.cos(math.pi * (step - warmup) / max(1, settings.steps - warmup))


def _batches(text: list[list[int]], rows: int, settings: Pretraining) -> Iterator[tuple[float, Tensor]]:
    """Endless (epoch, [rows, block_tokens]) batches; each epoch packs the documents in another order."""
    order = random.Random(settings.seed)
    epoch = 0
    while True:
        blocks = _pack(order.sample(text, len(text)), settings.block_tokens)
        for first in range(0, len(blocks) - rows + 1, rows) or [0]:
            yield epoch + first / len(blocks), blocks[first : first + rows]
        epoch += 1


def _pack(documents: list[list[int]], block_tokens: int) -> Tensor:
    """[blocks, block_tokens]: the documents one after the other, cut into blocks; a last incomplete one is dropped."""
    stream = torch.tensor([token for document in documents for token in document])
    blocks = len(stream) // block_tokens
    if blocks == 0:
        raise ValueError(f"the pre-training text has {len(stream)} tokens, less than one block of {block_tokens}")
    return stream[: blocks * block_tokens].view(blocks, block_tokens)


def _gradients(model: Any, batch: Tensor, rows_at_once: int) -> tuple[float, int]:
    """Adds up the gradients of the mean loss of `batch` [rows, block_tokens], in passes of so many rows, or of half as
    many as often as memory asks for it; the loss, and how many rows fitted."""
    while True:
        try:
            passes = [_pass(model, part, len(part) / len(batch)) for part in batch.split(rows_at_once)]
            return sum(passes), rows_at_once
        except torch.OutOfMemoryError:
            if min(rows_at_once, len(batch)) == 1:
                raise ValueError(
                    f"the memory of {batch.device} is too small for a block of {batch.shape[1]} tokens; take fewer "
                    "`block_tokens` or a smaller model"
                ) from None
        model.zero_grad(set_to_none=True)
        release_memory()
        rows_at_once = (min(rows_at_once, len(batch)) + 1) // 2


def _pass(model: Any, rows: Tensor, share: float) -> float:
    with quick_kernels(model, rows.shape[1]):
        loss = model(input_ids=rows, labels=rows, use_cache=False).loss * share
        loss.backward()
    return float(loss.item())


@torch.inference_mode()
def _mean_loss(model: Any, blocks: Tensor, rows: int) -> float:
    model.eval()
    total = 0.0
    for first in range(0, len(blocks), rows):
        part = blocks[first : first + rows]
        with quick_kernels(model, part.shape[1]):
            total += model(input_ids=part, labels=part, use_cache=False).loss.item() * len(part)
    model.train()
    return total / len(blocks)
