"""Our trainer against Hugging Face's `Trainer` with PEFT: same order, same start, same losses, same answers."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor
from transformers import Trainer, TrainingArguments
from transformers.utils import logging

from compute.language_models.adapters import Adapter, initial_adapter
from compute.language_models.encoding import encode_items
from compute.language_models.loading import load_model
from compute.language_models.lora import LoraStack
from compute.language_models.scoring import score_items
from compute.language_models.settings import Lora
from compute.language_models.training import item_order, train_stack
from compute.language_models.training_records import TrainedAdapter, TrainingSource
from compute.tasks.task import Item
from tests.helpers.families import FAMILIES, save_tiny
from tests.helpers.tiny_model import tiny_items, tiny_model

ITEMS, HELD_OUT = tiny_items()[30:51], tiny_items("test")[35:46]
"""Of two tasks, so that answers differ in length; neither is a multiple of the batch."""

OTHERS = tiny_items("test")[:11]
"""Held out, too: at a high learning rate their loss is lowest after the second epoch of three."""

SEED = 3
SETTINGS = Lora(
    rank=4, alpha=8, epochs=3, batch_size=8, learning_rate=1e-2, warmup=0.3, weight_decay=0.1, max_grad_norm=1.0
)
"""Nine steps, of which three warm up."""


class _InOurOrder(Trainer):
    """`Trainer`, but for the order of items, which is drawn otherwise."""

    seed = SEED

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        return _Orders(item_order(self.seed, len(self.train_dataset), int(self.args.num_train_epochs)))  # type: ignore[arg-type]


class _Orders:
    """A sampler that gives the next order each time it is gone through."""

    def __init__(self, orders: Sequence[Sequence[int]]) -> None:
        self.orders, self.epochs = orders, iter(orders)

    def __iter__(self) -> Iterator[int]:
        return iter(next(self.epochs))

    def __len__(self) -> int:
        return len(self.orders[0])


def _collate(rows: list[dict[str, list[int]]]) -> dict[str, Tensor]:
    longest = max(len(row["input_ids"]) for row in rows)

    def padded(key: str, fill: int) -> Tensor:
        return torch.tensor([row[key] + [fill] * (longest - len(row[key])) for row in rows])

    mask = [[1] * len(row["input_ids"]) + [0] * (longest - len(row["input_ids"])) for row in rows]
    return {"input_ids": padded("input_ids", 0), "labels": padded("labels", -100), "attention_mask": torch.tensor(mask)}


def _rows(model: Any, tokenizer: Any, items: Sequence[Item]) -> list[dict[str, list[int]]]:
    rows = []
    for item, encoded in zip(items, encode_items(model, tokenizer, items), strict=True):
        answer = encoded.choices[item.gold]
        rows.append(
            {"input_ids": encoded.context + answer, "labels": [-100] * len(encoded.context) + answer}
        )  # fmt: skip
    return rows


def _peft(model: Any, settings: Lora, seed: int) -> tuple[Any, dict[tuple[str, str], torch.nn.Parameter]]:
    """PEFT's model with our first values, and its matrices by layer and name."""
    start = initial_adapter(model, settings, seed)
    config = LoraConfig(
        r=settings.rank, lora_alpha=settings.alpha, use_rslora=settings.rs_lora, use_dora=settings.dora,
        lora_dropout=settings.dropout, target_modules=sorted(start.matrices), task_type="CAUSAL_LM",
        fan_in_fan_out=start.fan_in_fan_out,
    )  # fmt: skip
    peft = get_peft_model(copy.deepcopy(model), config)
    parameters = {}
    for name, parameter in peft.named_parameters():
        if parameter.requires_grad:
            layer, _, array = name.removeprefix("base_model.model.").partition(".lora_")
            array = {"A": "a", "B": "b", "m": "magnitude"}[array[0]]
            parameters[layer, array] = parameter
            torch.testing.assert_close(parameter.shape, start.array(layer, array).shape)
            parameter.data.copy_(start.array(layer, array))
    return peft, parameters


def train_with_peft(
    model: Any, tokenizer: Any, settings: Lora, source: TrainingSource, folder: Path, accumulation: int = 1
) -> tuple[Any, list[dict[str, float]]]:
    """Return PEFT's model after one `Trainer` run on a source, and the log."""
    logging.set_verbosity_error()
    peft, _ = _peft(model, settings, source.seed)
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size // accumulation,
        gradient_accumulation_steps=accumulation,
        per_device_eval_batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        warmup_steps=settings.warmup,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        logging_steps=1,
        eval_strategy="epoch",
        save_strategy="epoch" if settings.best_checkpoint else "no",
        load_best_model_at_end=settings.best_checkpoint,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        remove_unused_columns=False,
    )
    trainer = _InOurOrder(
        model=peft,
        args=arguments,
        data_collator=_collate,
        train_dataset=_rows(model, tokenizer, source.items),
        eval_dataset=_rows(model, tokenizer, source.eval_items),
    )
    trainer.seed = source.seed
    trainer.train()
    return peft.eval(), trainer.state.log_history


@pytest.mark.parametrize(
    ("change", "accumulation"),
    [
        ({}, 1),
        ({"best_checkpoint": True, "learning_rate": 0.05, "warmup": 0.0, "rs_lora": True}, 1),
        ({"batch_size": 4, "max_grad_norm": 0.5}, 2),
        ({"dora": True}, 1),
    ],
    ids=["plain", "best checkpoint, rsLoRA", "gradient accumulation", "DoRA"],
)
def test_the_same_losses_and_answers_as_trainer(change: dict[str, Any], accumulation: int, tmp_path: Path) -> None:
    model, tokenizer = tiny_model()
    settings = SETTINGS.model_copy(update=change)
    held_out = OTHERS if settings.best_checkpoint else HELD_OUT
    adapter, peft, evals = _same_losses(model, tokenizer, settings, held_out, tmp_path, accumulation)
    if settings.best_checkpoint:
        assert evals[1] < min(evals[0], evals[2]) - 0.01  # neither the first nor the last is the best
    for item, ours, theirs in zip(HELD_OUT, *scores(model, tokenizer, adapter, peft), strict=True):
        assert ours == pytest.approx(theirs, abs=5e-3)
        assert ours.index(max(ours)) == theirs.index(max(theirs)), item


@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "gemma3"])  # `Trainer` wants images of it
def test_the_same_losses_as_trainer_for_every_family(family: str, tmp_path: Path) -> None:
    model, tokenizer = load_model(save_tiny(family, tmp_path / "base"))
    settings = SETTINGS.model_copy(update={"learning_rate": 5e-3, "epochs": 2, "max_grad_norm": 0.2})
    _same_losses(model, tokenizer, settings, HELD_OUT, tmp_path, accumulation=1)


def _same_losses(
    model: Any, tokenizer: Any, settings: Lora, held_out: Sequence[Item], folder: Path, accumulation: int
) -> tuple[Adapter, Any, list[float]]:
    """Trains with both and compares the logs; ours and PEFT's model afterwards, and `Trainer`'s evaluations."""
    source = TrainingSource("source", ITEMS, held_out, SEED)
    company = TrainingSource("company", tiny_items()[60:77], HELD_OUT[:3], SEED + 1)
    ours = train_stack(model, tokenizer, [source, company], settings)[0]
    assert isinstance(ours, TrainedAdapter)
    peft, history = train_with_peft(model, tokenizer, settings, source, folder, accumulation)
    steps = [row for row in history if "loss" in row]
    evals = [row["eval_loss"] for row in history if "eval_loss" in row]
    assert len(ours.log) == len(steps) == settings.epochs * -(-len(ITEMS) // settings.batch_size)
    assert [row.loss for row in ours.log] == pytest.approx([row["loss"] for row in steps], abs=1e-3)
    assert [row.learning_rate for row in ours.log] == pytest.approx([row["learning_rate"] for row in steps])
    assert [row.eval_loss for row in ours.log if row.eval_loss is not None] == pytest.approx(evals, abs=1e-3)
    norms = [row["grad_norm"] for row in steps]
    assert min(norms) < max(norms) and max(norms) > settings.max_grad_norm  # there was something to clip
    assert max(steps[0]["loss"] - row["loss"] for row in steps) > 0.1  # and something was learnt
    return ours.adapter, peft, evals


def scores(model: Any, tokenizer: Any, adapter: Adapter, peft: Any) -> tuple[list[list[float]], list[list[float]]]:
    """Log-likelihoods of the held-out items' choices: ours, and by PEFT's model, one row at a time."""
    with LoraStack(model, [adapter]):
        ours = [score.logprobs for score in score_items(model, tokenizer, HELD_OUT)]
    theirs = []
    for encoded in encode_items(model, tokenizer, HELD_OUT):
        values = []
        for choice in encoded.choices:
            ids = torch.tensor([encoded.context + choice])
            with torch.no_grad():
                logprobs = peft(ids).logits[0, len(encoded.context) - 1 : -1].log_softmax(-1)
            values.append(logprobs.gather(1, torch.tensor(choice)[:, None]).sum().item())
        theirs.append(values)
    return ours, theirs
