"""What is run instead in `bench_training`: `Trainer` with PEFT, and lm-evaluation-harness or its stand-in on a merged
model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import Trainer, TrainingArguments

from benchmarks.by_harness import LM_EVAL, STAND_IN, open_scorer
from benchmarks.training_setup import LANGUAGES, Bench
from compute.language_models.adapters import initial_adapter
from compute.language_models.encoding import encode_items
from compute.language_models.training import item_order
from compute.language_models.training_records import TrainingSource
from compute.tasks.task import Item


class _InOrder(Trainer):  # type: ignore[misc]
    """`Trainer`, but for the order of items."""

    orders: Sequence[Sequence[int]]

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        return _Orders(self.orders)


class _Orders:
    """A sampler that gives the next order each time it is gone through."""

    def __init__(self, orders: Sequence[Sequence[int]]) -> None:
        self.orders, self.epochs = orders, iter(orders)

    def __iter__(self) -> Iterator[int]:
        return iter(next(self.epochs))

    def __len__(self) -> int:
        return len(self.orders[0])


def _collate(rows: list[dict[str, list[int]]], padding: int) -> dict[str, Tensor]:
    longest = max(padding, *(len(row["input_ids"]) for row in rows))
    fills = {"input_ids": 0, "labels": -100, "attention_mask": 0}
    return {key: torch.tensor([row[key] + [fill] * (longest - len(row[key])) for row in rows])
            for key, fill in fills.items()}  # fmt: skip


def rows_of(model: Any, tokenizer: Any, items: Sequence[Item]) -> list[dict[str, list[int]]]:
    """What `Trainer` is given: ids and labels of each item's context and right answer."""
    rows = []
    for item, encoded in zip(items, encode_items(model, tokenizer, items), strict=True):
        answer = encoded.choices[item.gold]
        ids = encoded.context + answer
        labels = [-100] * len(encoded.context) + answer
        rows.append({"input_ids": ids, "labels": labels, "attention_mask": [1] * len(ids)})
    return rows


def train_with_trainer(
    bench: Bench, model: Any, tokenizer: Any, source: TrainingSource, padding: int
) -> tuple[Any, Any]:
    """PEFT's model after training, and `Trainer`'s log; the adapter is saved."""
    from peft import LoraConfig, get_peft_model

    settings = bench.settings
    start = initial_adapter(model, settings, source.seed)
    config = LoraConfig(
        r=settings.rank, lora_alpha=settings.alpha, target_modules="all-linear", task_type="CAUSAL_LM"
    )  # fmt: skip
    peft = get_peft_model(model, config)
    for name, parameter in peft.named_parameters():
        if parameter.requires_grad:
            layer, _, array = name.removeprefix("base_model.model.").partition(".lora_")
            parameter.data.copy_(start.array(layer, array[0].lower()))
    folder = bench.folder / "trainer"
    arguments = TrainingArguments(
        output_dir=str(folder), num_train_epochs=settings.epochs, per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=settings.batch_size, learning_rate=settings.learning_rate,
        warmup_steps=settings.warmup, max_grad_norm=settings.max_grad_norm, logging_steps=1, eval_strategy="epoch",
        save_strategy="epoch", save_total_limit=1, load_best_model_at_end=True, report_to=[],
        use_cpu=bench.device == "cpu", bf16=bench.dtype == "bfloat16", disable_tqdm=True, remove_unused_columns=False,
        prediction_loss_only=True,
    )  # fmt: skip
    trainer = _InOrder(
        model=peft, args=arguments, data_collator=lambda rows: _collate(rows, padding),
        train_dataset=rows_of(model, tokenizer, source.items),
        eval_dataset=rows_of(model, tokenizer, source.eval_items),
    )  # fmt: skip
    trainer.orders = item_order(source.seed, len(source.items), settings.epochs)
    trainer.train()
    peft.save_pretrained(folder / "adapter", save_embedding_layers=False)
    log = trainer.state.log_history
    shutil.rmtree(folder)
    return peft, log


def published_training(bench: Bench, sources: int, padding: int) -> dict[str, Any]:
    """Losses and evaluations of sources trained one after the other."""
    losses, evals = [], []
    model, tokenizer = bench.load()
    for number in range(sources):
        peft, log = train_with_trainer(bench, model, tokenizer, bench.source(number), padding)
        model = peft.unload()
        losses.append([row["loss"] for row in log if "loss" in row])
        evals.append([row["eval_loss"] for row in log if "eval_loss" in row])
    return {"losses": losses, "evals": evals}


def published_cells(bench: Bench, sources: int, harness: str) -> dict[str, Any]:
    """Log-probabilities of every target's answers, each source trained, merged to disk, scored and deleted.

    Args:
        bench: what is asked for.
        sources: how many, one after the other.
        harness: what scores (`benchmarks.by_harness`).
    """
    score = {LM_EVAL: _score_by_lm_eval, STAND_IN: _score_by_stand_in}[harness]
    values = []
    for number in range(sources):
        model, tokenizer = bench.load()
        peft, _ = train_with_trainer(bench, model, tokenizer, bench.source(number), bench.padding)
        merged = bench.folder / "merged"
        peft.merge_and_unload().save_pretrained(merged)
        tokenizer.save_pretrained(merged)
        del model, peft
        values.append(score(bench, merged))
        shutil.rmtree(merged)
    return {"logprobs": values}


def _score_by_stand_in(bench: Bench, merged: Path) -> list[list[float]]:
    score = open_scorer(STAND_IN, merged, bench.device, bench.dtype, bench.harness_batch)
    values = []
    for items in bench.targets().values():
        answers = iter(score([(item.context, choice) for item in items for choice in item.choices]))
        values += [[next(answers)[0] for _ in item.choices] for item in items]
    return values


def _score_by_lm_eval(bench: Bench, merged: Path) -> list[list[float]]:
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    _write_harness_tasks(bench)
    harness = HFLM(pretrained=str(merged), device=bench.device, dtype=bench.dtype, batch_size=bench.harness_batch)
    manager = TaskManager(include_path=str(bench.folder / "tasks"), include_defaults=False)
    samples = simple_evaluate(
        harness, tasks=list(LANGUAGES), task_manager=manager, log_samples=True, bootstrap_iters=0
    )["samples"]  # fmt: skip
    return [
        [float(answer[0][0]) for answer in sample["resps"]]
        for language in LANGUAGES
        for sample in sorted(samples[language], key=lambda sample: sample["doc_id"])
    ]


def _write_harness_tasks(bench: Bench) -> None:
    folder = bench.folder / "tasks"
    folder.mkdir(exist_ok=True)
    for language, items in bench.targets().items():
        rows = [
            {"context": item.context, "choices": [choice[1:] for choice in item.choices], "gold": item.gold}
            for item in items
        ]
        path = folder / f"{language}.jsonl"
        path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
        task = {
            "task": language, "dataset_path": "json", "test_split": "test", "output_type": "multiple_choice",
            "dataset_kwargs": {"data_files": {"test": str(path)}, "cache_dir": str(folder / "cache")},
            "doc_to_text": "context", "doc_to_choice": "choices", "doc_to_target": "gold", "target_delimiter": " ",
            "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}],
        }  # fmt: skip
        (folder / f"{language}.yaml").write_text(json.dumps(task))  # JSON is YAML
