"""What `bench_training` measures on: a random model of a real shape, sources and targets of the topic task."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedConfig, Qwen2Config

from benchmarks.made_up import MadeUpTexts
from benchmarks.made_up_topic import made_up_items
from compute.errors import UserError
from compute.language_models.adapters import initial_adapter
from compute.language_models.encoding import encode_items
from compute.language_models.loading import load_model
from compute.language_models.settings import Lora
from compute.language_models.tokenizer import train_tokenizer
from compute.language_models.training_records import TrainingSource
from compute.tasks import load_task
from compute.tasks.task import SPLITS, Item

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
    harness_batch: int
    checkpoint: str | None = None
    """Folder of a real model; None: a random one of the shape."""

    @property
    def base(self) -> Path:
        """Where the model lies."""
        return Path(self.checkpoint) if self.checkpoint else self.folder / "base"

    @property
    def settings(self) -> Lora:
        """As published."""
        return Lora(
            rank=32, alpha=64, epochs=self.epochs, batch_size=8, learning_rate=5e-5, warmup=0.1, best_checkpoint=True
        )

    @property
    def least(self) -> Bench:
        """The same with hardly any items: to start what starts once in a process."""
        return replace(self, items=8, eval_items=8, epochs=1, target_items=2)

    @cached_property
    def _items(self) -> dict[str, dict[str, list[Item]]]:
        read = json.loads((self.folder / "items.json").read_text(encoding="utf-8"))
        return {
            language: {split: [Item(**row | {"choices": tuple(row["choices"])}) for row in rows]
                       for split, rows in splits.items()}
            for language, splits in read.items()
        }  # fmt: skip

    def source(self, number: int) -> TrainingSource:
        """The topic task in the language of that number."""
        language = LANGUAGES[number]
        splits = self._items[language]
        return TrainingSource(
            language, splits["train"][: self.items], splits["dev"][: self.eval_items], seed=17 + number
        )

    def targets(self) -> dict[str, list[Item]]:
        """Items by language."""
        return {language: splits["test"][: self.target_items] for language, splits in self._items.items()}

    def load(self) -> tuple[Any, Any]:
        """Model and tokenizer, of `make_base`."""
        return load_model(self.base, dtype=self.dtype, device=self.device)

    def make_base(self, texts: str) -> dict[str, Any]:
        """Saves a model of random weights, a tokenizer, and the items; what there is to tell of them.

        Args:
            texts: `topic`: the task's; `made-up`: of its lengths; `auto`: the first, where its files can be had.
        """
        config = SHAPES[self.shape]
        limit = config.max_position_embeddings
        items = None if texts == "made-up" else topic_items(required=texts == "topic")
        if items is not None:
            documents = [item.context + item.choices[0] for splits in items.values() for item in splits["train"]]
            tokenizer, said = train_tokenizer(documents, min(config.vocab_size, 32768), limit), "the topic task's"
        else:
            made_up = MadeUpTexts(min(config.vocab_size, 32768), limit)
            tokenizer, said = made_up.tokenizer, "made up, of the topic task's lengths"
            items = {language: made_up_items(made_up, language) for language in LANGUAGES}
        config.bos_token_id = config.eos_token_id = tokenizer.eos_token_id
        torch.manual_seed(0)
        with torch.device(self.device):
            model = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, self.dtype))
        model.save_pretrained(self.folder / "base")
        tokenizer.save_pretrained(self.folder / "base")
        facts = self._facts(items, said, model, tokenizer)
        del model
        if self.device == "cuda":
            torch.cuda.empty_cache()
        return facts

    def take_checkpoint(self) -> dict[str, Any]:
        """Saves the topic task's items for a real model; what there is to tell of them and of it."""
        items = topic_items(required=True)
        assert items is not None
        model, tokenizer = self.load()
        return self._facts(items, "the topic task's", model, tokenizer)

    def _facts(self, items: dict[str, dict[Any, list[Item]]], said: str, model: Any, tokenizer: Any) -> dict[str, Any]:
        rows = {language: {split: [asdict(item) for item in part] for split, part in splits.items()}
                for language, splits in items.items()}  # fmt: skip
        (self.folder / "items.json").write_text(json.dumps(rows), encoding="utf-8")
        contexts = [item.context for splits in items.values() for part in splits.values() for item in part]
        lengths = [len(ids) for ids in tokenizer(contexts)["input_ids"]]
        return {
            "texts": said,
            "parameters": model.num_parameters(),
            "context_tokens": np.quantile(lengths, (0, 0.1, 0.5, 0.9, 1)).round().astype(int).tolist(),
            "sources": [self._training_work(model, tokenizer, number) for number in range(len(LANGUAGES))],
            "target_flop": self._scoring_work(model, tokenizer),
        }

    def _training_work(self, model: Any, tokenizer: Any, number: int) -> dict[str, float]:
        """Tokens that a source is trained on, and the FLOP of it that cannot be saved.

        The base's layers run once forward, and once backward to their inputs; the adapters' matrices twice backward;
        the output layer at the answers only.
        """
        base, lora, output = self._sizes(model)
        source = self.source(number)
        tokens = answers = 0
        for item, encoded in zip(source.items, encode_items(model, tokenizer, source.items), strict=True):
            answer = len(encoded.choices[item.gold])
            tokens += self.epochs * (len(encoded.context) + answer)
            answers += self.epochs * answer
        return {"tokens": tokens, "flop": 4.0 * base * tokens + 6.0 * lora * tokens + 4.0 * output * answers}

    def _scoring_work(self, model: Any, tokenizer: Any) -> float:
        """FLOP of scoring all targets with an adapter that cannot be saved: each context read once."""
        base, lora, output = self._sizes(model)
        read = predicted = 0
        for items in self.targets().values():
            for encoded in encode_items(model, tokenizer, items):
                rest = sum(len(choice) - 1 for choice in encoded.choices)
                read += len(encoded.context) + rest
                predicted += 1 + rest
        return 2.0 * (base + lora) * read + 2.0 * output * predicted

    def _sizes(self, model: Any) -> tuple[int, int, int]:
        """Weights of the layers with adapters, of an adapter, and of the output layer."""
        matrices = initial_adapter(model, self.settings, 0).matrices.values()
        base = sum(b.shape[0] * a.shape[1] for a, b in matrices)
        lora = sum(a.numel() + b.numel() for a, b in matrices)
        return base, lora, model.get_output_embeddings().weight.numel()


def topic_items(required: bool) -> dict[str, dict[Any, list[Item]]] | None:
    """The topic task's items by language and split; None where they cannot be had, and it was not required."""
    try:
        task = load_task("topic")
        return {language: {split: task.items(language, split) for split in SPLITS} for language in LANGUAGES}
    except (ImportError, UserError):
        if required:
            raise
        return None
