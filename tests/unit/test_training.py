"""Training: a stack equals its adapters alone; placebos, schedules and failures."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from pydantic import ValidationError
from tiny_model import tiny_items, tiny_model

from compute.language_models.lora import Adapter, initial_adapter
from compute.language_models.settings import Family, Lora
from compute.language_models.training import (
    TrainedAdapter,
    TrainingFailure,
    TrainingSource,
    shuffle_labels,
    train_stack,
)
from compute.tasks.task import Item

SETTINGS = Lora(rank=4, epochs=3, batch_size=8, learning_rate=5e-3, warmup=0.3, max_grad_norm=0.5, weight_decay=0.01)


def _distance(one: Adapter, other: Adapter) -> float:
    """Greatest difference of two entries, as a share of the greatest entry of the matrix."""
    pairs = [
        (x, y)
        for name in one.matrices
        for x, y in zip(one.matrices[name], other.matrices[name], strict=True)
    ]  # fmt: skip
    return max(((x - y).abs().max() / x.abs().max()).item() for x, y in pairs)


@pytest.mark.parametrize("family", ["llama", "gpt_neox"])
def test_stack_equals_one_by_one(family: Family) -> None:
    """Unequal sizes, a last batch that is not full, warm-up, clipping and decay: as if each were alone."""
    model, tokenizer = tiny_model(family)
    items, held_out = tiny_items(), tiny_items("test")[:9]
    sources = [
        TrainingSource("read", items[:40], held_out, 1),
        TrainingSource("parity", items[40:61], (), 2),
        TrainingSource("placebo", items[50:], (), 1, shuffled_labels=True),
    ]
    together = train_stack(model, tokenizer, sources, SETTINGS)
    for source, stacked in zip(sources, together, strict=True):
        (alone,) = train_stack(model, tokenizer, [source], SETTINGS)
        assert isinstance(alone, TrainedAdapter) and isinstance(stacked, TrainedAdapter)
        assert stacked.key == source.key
        assert _distance(alone.adapter, stacked.adapter) < 1e-3
        assert [row.loss for row in stacked.log] == pytest.approx([row.loss for row in alone.log], rel=1e-4)
        assert [row.learning_rate for row in stacked.log] == [row.learning_rate for row in alone.log]
        assert len(stacked.log) == 3 * math.ceil(len(source.items) / 8)
        assert [row.eval_loss is not None for row in stacked.log].count(True) == (3 if source.eval_items else 0)
        moved = initial_adapter(model, SETTINGS, source.seed)
        assert _distance(moved, stacked.adapter) > 1e-2


def test_equals_peft_with_torch_adamw() -> None:
    """The first adapter of a stack against PEFT, autograd's own loss and torch's AdamW and clipping."""
    settings = SETTINGS.model_copy(update={"epochs": 1, "batch_size": 40, "warmup": 0.0})
    model, tokenizer = tiny_model()
    items = tiny_items()[:40]
    sources = [TrainingSource("a", items, seed=3), TrainingSource("b", tiny_items()[40:100], seed=4)]
    result = train_stack(model, tokenizer, sources, settings)[0]
    assert isinstance(result, TrainedAdapter)

    start = initial_adapter(model, settings, 3)
    peft = get_peft_model(model, LoraConfig(r=4, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM"))
    matrices = {}
    for name, parameter in peft.named_parameters():
        if parameter.requires_grad:
            layer, _, matrix = name.removeprefix("base_model.model.").partition(".lora_")
            matrices[layer, matrix[0]] = parameter
            parameter.data.copy_(start.matrices[layer][0 if matrix[0] == "A" else 1])
    optimizer = torch.optim.AdamW(matrices.values(), lr=settings.learning_rate, weight_decay=0.01)
    loss, tokens = torch.tensor(0.0), 0
    for item in items:
        begin = len(tokenizer(item.context)["input_ids"])
        ids = torch.tensor([tokenizer(item.context + item.choices[item.gold])["input_ids"]])
        logprobs = peft(ids).logits[0, begin - 1 : -1].log_softmax(-1)
        loss = loss - logprobs.gather(1, ids[0, begin:, None]).sum()
        tokens += ids.shape[1] - begin
    (loss / tokens).backward()
    torch.nn.utils.clip_grad_norm_(matrices.values(), settings.max_grad_norm)
    optimizer.step()
    assert result.log[0].loss == pytest.approx((loss / tokens).item(), rel=1e-5)
    for (layer, matrix), parameter in matrices.items():
        ours = result.adapter.matrices[layer][0 if matrix == "A" else 1]
        # Adam's first step is the gradient's sign times the rate, so entries of tiny gradients are free.
        agree = torch.isclose(ours, parameter.detach(), rtol=1e-3, atol=1e-5).float().mean()
        assert agree > 0.99, (layer, matrix)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.integers(0, 5))
def test_placebo_keeps_questions_and_label_counts(golds: list[int], seed: int) -> None:
    items = [Item(str(i), None, f"{i} =", (" a", " b", " c", " d"), gold) for i, gold in enumerate(golds)]
    shuffled = shuffle_labels(items, seed)
    assert [replace(item, gold=0) for item in shuffled] == [replace(item, gold=0) for item in items]
    assert Counter(item.gold for item in shuffled) == Counter(golds)
    assert shuffled == shuffle_labels(items, seed)


def test_a_nan_fails_its_adapter_and_leaves_the_others_alone() -> None:
    model, tokenizer = tiny_model()
    items = tiny_items()[:16]
    broken = Item("broken", None, "☃ =", (" 1", " 2"), 0)
    # Input and output embeddings are one; apart, a broken input leaves all other predictions whole.
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.clone(), requires_grad=False)
    for token in set(tokenizer("☃")["input_ids"]) - set(tokenizer("x")["input_ids"]):
        model.get_input_embeddings().weight[token] = float("nan")
    sources = [
        TrainingSource("good", items, seed=1),
        TrainingSource("bad", [*items[:11], broken], seed=2),
    ]
    good, bad = train_stack(model, tokenizer, sources, SETTINGS)
    assert isinstance(bad, TrainingFailure) and isinstance(good, TrainedAdapter)
    assert bad.item_id == "broken" and bad.step in (1, 2) and len(bad.log) == bad.step - 1
    assert f"step {bad.step} of 6, item broken" in bad.reason
    (alone,) = train_stack(model, tokenizer, sources[:1], SETTINGS)
    assert isinstance(alone, TrainedAdapter)
    assert _distance(alone.adapter, good.adapter) < 1e-3


def test_best_checkpoint_keeps_the_epoch_of_least_dev_loss() -> None:
    model, tokenizer = tiny_model()
    source = TrainingSource("a", tiny_items()[:24], tiny_items("test")[:8], 1)
    wild = SETTINGS.model_copy(update={"learning_rate": 0.3, "epochs": 4})
    (last,) = train_stack(model, tokenizer, [source], wild)
    (best,) = train_stack(model, tokenizer, [source], wild.model_copy(update={"best_checkpoint": True}))
    assert isinstance(last, TrainedAdapter) and isinstance(best, TrainedAdapter)
    evals = [row.eval_loss for row in best.log if row.eval_loss is not None]
    assert evals == [row.eval_loss for row in last.log if row.eval_loss is not None]
    assert (_distance(last.adapter, best.adapter) == 0) == (min(evals) == evals[-1])


def test_dropout_is_seeded_and_on_in_training_only() -> None:
    model, tokenizer = tiny_model()
    source = TrainingSource("a", tiny_items()[:16], seed=1)
    dropped = SETTINGS.model_copy(update={"dropout": 0.3})
    (plain,), (one,), (two,) = (train_stack(model, tokenizer, [source], s) for s in (SETTINGS, dropped, dropped))
    assert isinstance(plain, TrainedAdapter) and isinstance(one, TrainedAdapter) and isinstance(two, TrainedAdapter)
    assert _distance(one.adapter, two.adapter) == 0 < _distance(plain.adapter, one.adapter)


def test_sources_that_cannot_be_trained_are_refused() -> None:
    model, tokenizer = tiny_model()
    selecting = SETTINGS.model_copy(update={"best_checkpoint": True})
    items = tiny_items()[:4]
    with pytest.raises(ValueError, match="source a: no items"):
        train_stack(model, tokenizer, [TrainingSource("a", [])], SETTINGS)
    with pytest.raises(ValueError, match="source a: a placebo"):
        train_stack(model, tokenizer, [TrainingSource("a", items, items, shuffled_labels=True)], selecting)
    with pytest.raises(ValueError, match="source a: best_checkpoint needs"):
        train_stack(model, tokenizer, [TrainingSource("a", items)], selecting)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Lora(rank=-1), "rank\n.*greater than or equal to 1"),
        (lambda: Lora(learnin_rate=1), "learnin_rate\n.*Extra inputs"),  # type: ignore[call-arg]
    ],
)
def test_settings_say_what_is_wrong(make, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValidationError, match=message):
        make()
