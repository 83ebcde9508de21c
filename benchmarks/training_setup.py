"""What `bench_training` measures on: a random model of a real shape, sources and targets of the topic task."""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedConfig, Qwen2Config

from compute.language_models.loading import load_model
from compute.language_models.settings import Lora
from compute.language_models.tokenizer import train_tokenizer
from compute.language_models.training import TrainingSource
from compute.tasks import load_task
from compute.tasks.task import Item

LANGUAGES = ("ar", "de", "en", "es", "fr", "hi", "it", "pt")
SHAPES: dict[str, PreTrainedConfig] = {
    "small": LlamaConfig(
        hidden_size=256, num_hidden_layers=6, num_attention_heads=8, num_key_value_heads=2, intermediate_size=704,
        vocab_size=8192, max_position_embeddings=2048, tie_word_embeddings=True,
    ),
    "qwen2.5-0.5b": Qwen2Config(
        hidden_size=896, num_hidden_layers=24, num_attention_heads=14, num_key_value_heads=2, intermediate_size=4864,
        vocab_size=151936, max_position_embeddings=32768, tie_word_embeddings=True,
    ),
    "llama-3.2-1b": LlamaConfig(
        hidden_size=2048, num_hidden_layers=16, num_attention_heads=32, num_key_value_heads=8, head_dim=64,
        intermediate_size=8192, vocab_size=128256, max_position_embeddings=131072, tie_word_embeddings=True,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Bench:
    """What is asked for, and where its files are."""

    folder: Path
    device: str
    shape: str
    dtype: str
    items: int
    eval_items: int
    epochs: int
    target_items: int
    padding: int
    harness_batch: str

    @property
    def settings(self) -> Lora:
        """As published."""
        return Lora(
            rank=32, alpha=64, epochs=self.epochs, batch_size=8, learning_rate=5e-5, warmup=0.1, best_checkpoint=True
        )

    def source(self, number: int) -> TrainingSource:
        """The topic task in the language of that number."""
        task, language = load_task("topic"), LANGUAGES[number]
        train, dev = task.items(language, "train")[: self.items], task.items(language, "dev")[: self.eval_items]
        return TrainingSource(language, train, dev, seed=17 + number)

    def targets(self) -> dict[str, list[Item]]:
        """Items by language."""
        task = load_task("topic")
        return {language: task.items(language, "test")[: self.target_items] for language in LANGUAGES}

    def load(self) -> tuple[Any, Any]:
        """Model and tokenizer, of `make_base`."""
        return load_model(self.folder / "base", dtype=self.dtype, device=self.device)

    def make_base(self) -> None:
        """Saves a model of random weights, and a tokenizer trained on the task's texts."""
        task = load_task("topic")
        texts = [item.context + choice for language in LANGUAGES for item in task.items(language, "train")
                 for choice in item.choices[:1]]  # fmt: skip
        config = SHAPES[self.shape]
        tokenizer = train_tokenizer(texts, min(config.vocab_size, 32768), config.max_position_embeddings)
        config.bos_token_id = config.eos_token_id = tokenizer.eos_token_id
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, self.dtype))
        model.save_pretrained(self.folder / "base")
        tokenizer.save_pretrained(self.folder / "base")

    def wait(self) -> None:
        """Until the device has done what it was told."""
        if self.device != "cpu":
            torch.cuda.synchronize()

    def peak_gib(self) -> float:
        """The most memory held so far: of the GPU, else of the process."""
        if self.device != "cpu":
            return torch.cuda.max_memory_allocated() / 2**30
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20

    def matmul_rate(self) -> float:
        """FLOP/s of a large square product, the best of a few."""
        n = 1024 if self.device == "cpu" else 8192
        a = torch.randn(n, n, device=self.device).to(getattr(torch, self.dtype))
        best = float("inf")
        for _ in range(8):
            self.wait()
            start = time.perf_counter()
            a @ a
            self.wait()
            best = min(best, time.perf_counter() - start)
        return 2 * n**3 / best
