"""Training: a stack equals its adapters alone; placebos, schedules and failures."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from transformers import get_linear_schedule_with_warmup

from compute.language_models import training_loop
from compute.language_models.adapters import Adapter, initial_adapter
from compute.language_models.encoding import Encoding
from compute.language_models.optimiser import share_of_peak
from compute.language_models.settings import Family, Lora
from compute.language_models.training import item_order, shuffle_labels, train_stack
from compute.language_models.training_records import TrainedAdapter, TrainingFailure, TrainingLogRow, TrainingSource
from compute.tasks.task import Item
from tests.helpers.tiny_model import tiny_items, tiny_model

SETTINGS = Lora(rank=4, epochs=3, batch_size=8, learning_rate=5e-3, warmup=0.3, max_grad_norm=0.5, weight_decay=0.01)


def _distance(one: Adapter, other: Adapter) -> float:
    """Greatest difference of two entries, as a share of the greatest entry of the matrix."""
    pairs = [
        (x, y)
        for name in one.matrices
        for x, y in zip(one.matrices[name], other.matrices[name], strict=True)
    ]  # fmt: skip
    return max(((x - y).abs().max() / x.abs().max()).item() for x, y in pairs)


@pytest.mark.parametrize(
    ("family", "change", "overhead"),
    [
        ("llama", {}, None),
        ("llama", {"dropout": 0.1, "max_grad_norm": 100.0}, 0.0),
        ("gpt_neox", {"dropout": 0.2}, None),
        ("llama", {"dropout": 0.1, "dora": True}, None),
    ],
)
def test_stack_equals_one_by_one(
    family: Family, change: dict[str, Any], overhead: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unequal sizes and lengths, a last batch that is not full, warm-up, clipping and decay: as if each were alone;
    so it is where passes cost nothing, and each adapter's rows go through the model by themselves."""
    if overhead is not None:
        monkeypatch.setattr(training_loop, "pass_overhead", lambda *of: overhead)
    model, tokenizer = tiny_model(family)
    settings = SETTINGS.model_copy(update=change)
    items, held_out = tiny_items(), tiny_items("test")
    sources = [
        TrainingSource("long", items[:40], held_out[:9], 1),
        TrainingSource("short", sorted(items, key=lambda item: len(item.context))[:21], held_out[30:35], 2),
        TrainingSource("placebo", items[50:], (), 1, shuffled_labels=True),
    ]
    together = train_stack(model, tokenizer, sources, settings)
    for source, stacked in zip(sources, together, strict=True):
        (alone,) = train_stack(model, tokenizer, [source], settings)
        assert isinstance(alone, TrainedAdapter) and isinstance(stacked, TrainedAdapter)
        assert stacked.key == source.key
        assert _distance(alone.adapter, stacked.adapter) < 1e-3
        assert [row.loss for row in stacked.log] == pytest.approx([row.loss for row in alone.log], rel=1e-4)
        assert [row.eval_loss for row in stacked.log] == [
            row.eval_loss and pytest.approx(row.eval_loss, rel=1e-4) for row in alone.log
        ]
        assert [_plain(row) for row in stacked.log] == [_plain(row) for row in alone.log]
        assert len(stacked.log) == 3 * math.ceil(len(source.items) / 8)
        assert [row.eval_loss is not None for row in stacked.log].count(True) == (3 if source.eval_items else 0)
        moved = initial_adapter(model, settings, source.seed)
        assert _distance(moved, stacked.adapter) > 1e-2


def _plain(row: TrainingLogRow) -> TrainingLogRow:
    """The row without what is rounded or measured."""
    return replace(row, loss=0, eval_loss=None, seconds=0)


@given(st.integers(1, 60), st.floats(0, 0.99))
def test_the_schedule_is_that_of_transformers(steps: int, warmup: float) -> None:
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = get_linear_schedule_with_warmup(optimiser, math.ceil(warmup * steps), steps)
    for step in range(1, steps + 1):
        assert share_of_peak(step, steps, warmup) == pytest.approx(schedule.get_last_lr()[0], abs=1e-12)
        optimiser.step()
        schedule.step()


class _Memory:
    """A model's memory: a pass of more rows or tokens than there is room for raises, as CUDA does; so does a given
    pass, the first of which is 1."""

    def __init__(self, model: Any, rows: int = 10**6, tokens: int = 10**6, raise_at: int = 0) -> None:
        self.rows, self.tokens, self.raise_at = rows, tokens, raise_at
        self.failed = self.passed = 0
        model.register_forward_pre_hook(self, with_kwargs=True)

    def __call__(self, model: Any, args: Any, kwargs: dict[str, Any]) -> None:
        rows, longest = kwargs["input_ids"].shape
        if rows > self.rows or rows * longest > self.tokens or self.failed + self.passed + 1 == self.raise_at:
            self.failed += 1
            raise torch.OutOfMemoryError(f"{rows} rows of {longest} tokens")
        self.passed += 1


@pytest.mark.parametrize(
    ("room", "raise_at", "failures"),
    [
        pytest.param(9, 0, 1, id="half of the rows fit"),
        pytest.param(9, 5, 2, id="later, after the first part of a step"),
        pytest.param(2, 0, 3, id="one row an adapter fits"),
        pytest.param(1, 0, 10, id="one row fits: the stack is parted"),
    ],
)
def test_too_little_memory_costs_passes_and_nothing_else(
    room: int, raise_at: int, failures: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_loop, "line_capacity", lambda *of: 0)
    _costs_passes_alone(10, failures, rows=room, raise_at=raise_at)


@pytest.mark.parametrize(
    ("room", "failures"),
    [
        pytest.param(120, 2, id="a quarter of the rows fit"),
        pytest.param(40, 3, id="one row an adapter fits"),
    ],
)
def test_so_it_does_where_rows_are_packed(room: int, failures: int) -> None:
    _costs_passes_alone(4, failures, tokens=room)


def test_so_it_does_where_adapters_go_through_the_model_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_loop, "pass_overhead", lambda *of: 0.0)
    _costs_passes_alone(4, 1, raise_at=10)


def _costs_passes_alone(passes: int, failures: int, **memory_of: int) -> None:
    settings = SETTINGS.model_copy(update={"dropout": 0.1, "epochs": 2})
    sources = [
        TrainingSource("a", tiny_items()[30:43], tiny_items("test")[:9], 1),
        TrainingSource("b", tiny_items()[60:78], (), 2),
    ]
    model, tokenizer = tiny_model()
    expected = train_stack(model, tokenizer, sources, settings)
    memory = _Memory(model, **memory_of)
    found = train_stack(model, tokenizer, sources, settings)
    assert memory.passed > passes and memory.failed == failures
    for one, other in zip(expected, found, strict=True):
        assert isinstance(one, TrainedAdapter) and isinstance(other, TrainedAdapter)
        assert _distance(one.adapter, other.adapter) < 1e-3
        assert [row.loss for row in other.log] == pytest.approx([row.loss for row in one.log], rel=1e-4)
        assert [_plain(row) for row in one.log] == [_plain(row) for row in other.log]


def test_an_item_too_long_for_the_memory_is_named_and_the_others_go_on() -> None:
    model, tokenizer = tiny_model()
    items = tiny_items()
    long = Item("endless", None, "eins " * 12 + "=", (" 1",), 0)
    tokens = len(tokenizer(long.context + " 1")["input_ids"])
    _Memory(model, tokens=tokens - 2)
    sources = [TrainingSource("good", items[:9], seed=1), TrainingSource("bad", [*items[:9], long])]
    good, bad = train_stack(model, tokenizer, sources, SETTINGS)
    assert isinstance(good, TrainedAdapter) and len(good.log) == 6
    assert isinstance(bad, TrainingFailure) and (bad.item_id, bad.step) == ("endless", bad.step)
    assert f"item endless of {tokens} tokens does not fit in the memory of cpu, not even alone" in bad.reason
    assert next(iter(model.modules())) is model and not any("Stacked" in type(m).__name__ for m in model.modules())


def test_an_adapter_without_room_for_its_state_fails_clearly(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(*args: object, **kwargs: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(torch.optim.AdamW, "step", no_room)
    model, tokenizer = tiny_model()
    results = train_stack(model, tokenizer, [TrainingSource(key, tiny_items()[:4]) for key in "abc"], SETTINGS)
    for key, result in zip("abc", results, strict=True):
        assert isinstance(result, TrainingFailure)
        assert f"source {key}: the memory of cpu is too small for an adapter" in result.reason


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.integers(0, 5))
def test_placebo_keeps_questions_and_label_counts(golds: list[int], seed: int) -> None:
    items = [Item(str(i), None, f"{i} =", (" a", " b", " c", " d"), gold) for i, gold in enumerate(golds)]
    shuffled = shuffle_labels(items, seed)
    assert [replace(item, gold=0) for item in shuffled] == [replace(item, gold=0) for item in items]
    assert Counter(item.gold for item in shuffled) == Counter(golds)
    assert shuffled == shuffle_labels(items, seed)


@pytest.mark.parametrize("rows", [100, 4])
def test_a_nan_fails_its_adapter_and_leaves_the_others_alone(rows: int) -> None:
    """In one pass a step, and in micro-batches of two rows an adapter."""
    model, tokenizer = tiny_model()
    items = tiny_items()[:16]
    broken = Item("broken", None, "☃ =", (" 1", " 2"), 0)
    # Input and output embeddings are one; apart, a broken input leaves all other predictions whole.
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.clone(), requires_grad=False)
    for token in set(tokenizer("☃")["input_ids"]) - set(tokenizer("x")["input_ids"]):
        model.get_input_embeddings().weight[token] = float("nan")
    sources = [
        TrainingSource("good", items, tiny_items("test")[:4], seed=1),
        TrainingSource("bad", [*items[:11], broken], tiny_items("test")[:4], seed=2),
    ]
    _Memory(model, rows=rows)
    good, bad = train_stack(model, tokenizer, sources, SETTINGS)
    order = item_order(2, 12, 1)[0]
    assert isinstance(bad, TrainingFailure) and isinstance(good, TrainedAdapter)
    assert bad.item_id == "broken" and bad.step == order.index(11) // 8 + 1 and len(bad.log) == bad.step - 1
    assert f"step {bad.step} of 6, item broken" in bad.reason
    (alone,) = train_stack(model, tokenizer, sources[:1], SETTINGS)
    assert isinstance(alone, TrainedAdapter)
    assert _distance(alone.adapter, good.adapter) < 1e-3


def test_an_item_that_cannot_be_encoded_fails_its_source_alone() -> None:
    model, tokenizer = tiny_model()
    items = tiny_items()[:8]
    long = Item("long", None, "eins " * 70 + "=", (" 1",), 0)
    sources = [TrainingSource("good", items), TrainingSource("bad", [*items, long])]
    good, bad = train_stack(model, tokenizer, sources, SETTINGS)
    assert isinstance(good, TrainedAdapter) and isinstance(bad, TrainingFailure)
    assert bad.reason.startswith("source bad: item long: ") and (bad.step, bad.log) == (0, [])
    (cut,) = train_stack(model, tokenizer, sources[1:], SETTINGS, encoding=Encoding(truncate=True))
    assert isinstance(cut, TrainedAdapter)
    assert [row.truncated for row in cut.log] == [
        int(8 in order[i : i + 8]) for order in item_order(0, 9, 3) for i in (0, 8)
    ]


def test_progress_tells_loss_and_speed() -> None:
    model, tokenizer = tiny_model()
    seen: list[tuple[int, int, str]] = []
    sources = [TrainingSource("a", tiny_items()[:17]), TrainingSource("b", tiny_items()[:5])]
    results = train_stack(model, tokenizer, sources, SETTINGS, progress=lambda *args: seen.append(args))
    assert [(at, of) for at, of, _ in seen] == [(step, 9) for step in range(1, 10)]
    assert all(re.fullmatch(r"training [12] adapters?: loss \d+\.\d{3}, [\d,]+ tokens/s", text) for *_, text in seen)
    assert seen[0][2].startswith(f"training 2 adapters: loss {sum(r.log[0].loss for r in results) / 2:.3f}, ")
    assert seen[-1][2].startswith(f"training 1 adapter: loss {results[0].log[-1].loss:.3f}, ")


def test_a_base_in_bf16_trains_adapters_in_float32() -> None:
    model, tokenizer = tiny_model()
    sources = [TrainingSource("a", tiny_items()[:24], seed=1), TrainingSource("b", tiny_items()[60:76], seed=2)]
    exact = train_stack(model, tokenizer, sources, SETTINGS)
    model.bfloat16()
    one, again = (train_stack(model, tokenizer, sources, SETTINGS) for _ in range(2))
    for expected, found, repeated in zip(exact, one, again, strict=True):
        assert isinstance(found, TrainedAdapter) and isinstance(repeated, TrainedAdapter)
        assert [row.loss for row in found.log] == pytest.approx([row.loss for row in expected.log], rel=0.03)
        assert [row.loss for row in found.log] == [row.loss for row in repeated.log]
        for a, b in found.adapter.matrices.values():
            assert a.dtype == b.dtype == torch.float32
            # Steps of 1e-3 of bf16's spacing add up, since they are added in float32.
            assert not torch.equal(a, a.bfloat16().float())


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


@pytest.mark.parametrize("best_checkpoint", [False, True])
def test_an_adapter_on_the_way_is_that_of_the_steps_it_took(best_checkpoint: bool) -> None:
    """Of 9 steps, 1/3 are 3 and 0.5 are 5; the whole is what it is without being looked at. With checkpoint selection
    too, a fraction counts steps, and is of no selection."""
    model, tokenizer = tiny_model()
    change = {"best_checkpoint": best_checkpoint, "learning_rate": 0.05, "warmup": 0.0}
    settings = SETTINGS.model_copy(update=change)
    items = tiny_items()[30:51]
    held_out = [replace(item, gold=(item.gold + 1) % len(item.choices)) for item in items]  # the wrong answers
    plain = TrainingSource("a", items, held_out, 3)
    looked_at = replace(plain, fractions=(0.1, 1 / 3, 0.5, 0.99))
    other = TrainingSource("b", tiny_items()[:60], held_out, 4, fractions=(0.5,))
    (whole,) = train_stack(model, tokenizer, [plain], settings)
    (followed,) = train_stack(model, tokenizer, [looked_at], settings)
    *_, longer = train_stack(model, tokenizer, [looked_at, other], settings)
    assert isinstance(whole, TrainedAdapter) and isinstance(followed, TrainedAdapter)
    assert isinstance(longer, TrainedAdapter) and list(longer.on_the_way) == [0.5]
    assert list(followed.on_the_way) == [0.1, 1 / 3, 0.5, 0.99]
    assert _distance(whole.adapter, followed.adapter) < 1e-3
    assert len(whole.log) == 9 and [row.loss for row in followed.log] == pytest.approx(
        [row.loss for row in whole.log], rel=1e-4
    )
    stopped = {}
    for steps in (1, 3, 5, 9):
        with pytest.MonkeyPatch.context() as patch:
            # A run that ends there, its learning rates those of the whole.
            patch.setattr(training_loop, "share_of_peak", lambda step, _, warmup: share_of_peak(step, 9, warmup))
            prepared = training_loop.StackTraining._run

            def cut(self: Any, steps: int = steps, run: Any = prepared) -> Any:
                self.steps = steps
                return run(self)

            patch.setattr(training_loop.StackTraining, "_run", cut)
            (one,) = train_stack(model, tokenizer, [plain], settings.model_copy(update={"best_checkpoint": False}))
            assert isinstance(one, TrainedAdapter)
            stopped[steps] = one.adapter
    for fraction, steps in ((0.1, 1), (1 / 3, 3), (0.5, 5), (0.99, 9)):
        assert _distance(stopped[steps], followed.on_the_way[fraction]) < 1e-3
    evals = [row.eval_loss for row in whole.log if row.eval_loss is not None]
    assert min(evals) < evals[-1]  # another epoch than the last is kept, if any is chosen
    assert (_distance(stopped[9], whole.adapter) > 1e-2) == best_checkpoint


def test_dropout_is_seeded_and_on_in_training_only() -> None:
    model, tokenizer = tiny_model()
    source = TrainingSource("a", tiny_items()[:16], seed=1)
    dropped = SETTINGS.model_copy(update={"dropout": 0.3})
    (plain,), (one,), (two,) = (train_stack(model, tokenizer, [source], s) for s in (SETTINGS, dropped, dropped))
    assert isinstance(plain, TrainedAdapter) and isinstance(one, TrainedAdapter) and isinstance(two, TrainedAdapter)
    assert _distance(one.adapter, two.adapter) == 0 < _distance(plain.adapter, one.adapter)


def test_a_source_that_cannot_be_trained_fails_alone() -> None:
    model, tokenizer = tiny_model()
    selecting = SETTINGS.model_copy(update={"best_checkpoint": True})
    items = tiny_items()[:4]
    sources = [
        TrainingSource("a", []),
        TrainingSource("b", items, items, shuffled_labels=True),
        TrainingSource("c", items),
        TrainingSource("d", items, items),
    ]
    *failures, trained = train_stack(model, tokenizer, sources, selecting)
    assert [failure.reason for failure in failures if isinstance(failure, TrainingFailure)] == [
        "source a: no items to train on",
        "source b: a placebo is compared without checkpoint selection",
        "source c: best_checkpoint needs dev items, and it has none",
    ]
    assert isinstance(trained, TrainedAdapter)


def test_an_evaluation_loss_that_is_no_number_fails_its_adapter() -> None:
    model, tokenizer = tiny_model()
    items = tiny_items()[:8]
    broken = Item("broken", None, "☃ =", (" 1", " 2"), 0)
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.clone(), requires_grad=False)  # as above
    for token in set(tokenizer("☃")["input_ids"]) - set(tokenizer("x")["input_ids"]):
        model.get_input_embeddings().weight[token] = float("nan")
    sources = [TrainingSource("a", items, [*items, broken], 1), TrainingSource("b", items, items, 1)]
    failure, trained = train_stack(model, tokenizer, sources, SETTINGS)
    assert isinstance(failure, TrainingFailure) and isinstance(trained, TrainedAdapter)
    steps = math.ceil(len(items) / SETTINGS.batch_size)
    assert (failure.step, failure.item_id) == (steps, "broken")
    assert f"the evaluation loss is nan at step {steps} of " in failure.reason


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Lora(rank=-1), "rank\n.*greater than or equal to 1"),
        (lambda: Lora(learnin_rate=1), "learnin_rate\n.*Extra inputs"),  # type: ignore[call-arg]
    ],
)
def test_settings_say_what_is_wrong(make: Callable[[], Lora], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        make()
