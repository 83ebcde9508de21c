"""Pre-training: it learns, repeats itself, and says where it failed."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from transformers import PreTrainedModel

from compute.language_models import pretraining
from compute.language_models.pretraining import PretrainingError, new_model, pretrain
from compute.language_models.settings import Architecture, Pretraining
from compute.plugins.pretrain import _tasks_text
from compute.tasks import load_task
from compute.tasks.numerals import pretraining_text

ARCHITECTURE = Architecture(family="llama", hidden_size=16, layers=1, heads=2, intermediate_size=32, max_tokens=64)
PRETRAINING = Pretraining(languages=("de", "nl"), steps=6, batch_tokens=256, log_every=3, seed=1)
TEXT = pretraining_text(("de", "nl"), 1, readings=1, counting=10, examples=5)


def test_pretraining_learns_and_repeats_itself(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    seen: list[tuple[int, int]] = []
    one = pretrain(ARCHITECTURE, PRETRAINING, TEXT, tmp_path / "1", progress=lambda at, of, what: seen.append((at, of)))
    pretrain(ARCHITECTURE, PRETRAINING, TEXT, tmp_path / "2")
    assert [row.step for row in one.log] == [3, 6] and seen[-1] == (6, 6)
    assert one.log[-1].eval_loss < one.log[0].eval_loss < math.log(384)
    assert one.log[-1].tokens == 6 * 256 and one.parameters > 384 * 16
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_memory_that_is_not_enough_halves_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it runs out in the middle of a batch, with gradients of a part of it at hand."""
    torch.set_num_threads(1)
    whole = pretrain(ARCHITECTURE, PRETRAINING, TEXT, tmp_path / "whole")
    passes: list[int] = []

    def with_little_memory(most: int) -> Callable[..., PreTrainedModel]:
        def made(*arguments: Any) -> PreTrainedModel:
            model = new_model(*arguments)
            forward = model.forward

            def limited(*, input_ids: torch.Tensor, **more: Any) -> Any:
                if len(input_ids) > most or (most == 2 and len(passes) == 5):
                    passes.append(0)
                    raise torch.OutOfMemoryError("CUDA out of memory")
                passes.append(len(input_ids) if model.training else 0)
                return forward(input_ids=input_ids, **more)

            monkeypatch.setattr(model, "forward", limited)
            return model

        return made

    monkeypatch.setattr(pretraining, "new_model", with_little_memory(2))
    halved = pretrain(ARCHITECTURE, PRETRAINING, TEXT, tmp_path / "halved")
    assert passes[:8] == [0, 2, 2, 2, 2, 0, 1, 1] and max(passes[6:]) == 1
    for row, expected in zip(halved.log, whole.log, strict=True):
        assert (row.step, row.tokens) == (expected.step, expected.tokens)
        assert abs(row.loss - expected.loss) < 1e-5 and abs(row.eval_loss - expected.eval_loss) < 1e-5
    monkeypatch.setattr(pretraining, "new_model", with_little_memory(0))
    with pytest.raises(ValueError, match="too small for a block of 64 tokens"):
        pretrain(ARCHITECTURE, PRETRAINING, TEXT, tmp_path / "none")


def test_a_task_with_fewer_questions_than_examples_gives_all_of_them() -> None:
    asked = load_task("parity").questions("de", "train")[:8]
    for examples, expected in ((0, 0), (3, 3), (8, 8), (12, 8), (100, 8)):
        settings = Pretraining(corpus="tasks", tasks=("parity",), languages=("de",), steps=1, examples=examples)
        documents = _tasks_text(settings, [(asked, load_task("parity").prompt())])
        assert len([document for document in documents if document.endswith(("even", "odd"))]) == expected


def test_pretraining_that_diverges_names_the_step(tmp_path: Path) -> None:
    wild = PRETRAINING.model_copy(update={"learning_rate": 1e30, "warmup": 0.0})
    with pytest.raises(PretrainingError, match=r"at step [23] of 6"):
        pretrain(ARCHITECTURE, wild, TEXT, tmp_path / "wild")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_tokens": 9}, "less than block"),
        ({"languages": ("de", "xx")}, "unknown language 'xx' of the numerals world"),
        ({"corpus": "tasks"}, "corpus: tasks needs `tasks`"),
        ({"tasks": ("topic",)}, "`tasks` belong to corpus: tasks"),
        ({"corpus": "tasks", "tasks": ("topic",), "languages": ("de", "de")}, "named twice"),
    ],
)
def test_settings_say_what_is_wrong(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        PRETRAINING.model_validate({**PRETRAINING.model_dump(exclude_unset=True), **changes})


def test_heads_divide_the_width() -> None:
    with pytest.raises(ValidationError, match="multiple of twice"):
        ARCHITECTURE.model_validate({**ARCHITECTURE.model_dump(), "heads": 3})
