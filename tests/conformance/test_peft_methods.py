"""Adapters trained by PEFT outside score as in PEFT's own forward, and as in lm-evaluation-harness."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from compute.language_models.generation import generate_items
from compute.language_models.given_adapters import read_adapter
from compute.language_models.loading import load_model
from compute.language_models.peft_models import state_of, with_adapter
from compute.language_models.scoring import score_items
from compute.tasks.task import Item
from tests.conformance.test_lm_eval import (
    AFTER_A_SPACE,
    MAX_NEW_TOKENS,
    STOP,
    TOLERANCE,
    evaluate,  # noqa: F401  # a fixture
)
from tests.helpers.families import save_tiny
from tests.helpers.given_adapters import METHODS, lora, train_adapter
from tests.helpers.tiny_model import tiny_items, tiny_model

Model = tuple[PreTrainedModel, PreTrainedTokenizerBase]


@pytest.fixture(scope="module")
def untied(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A model whose output layer is its own."""
    torch.set_num_threads(1)
    return load_model(save_tiny("llama-untied", tmp_path_factory.mktemp("llama")))


@torch.inference_mode()
def by_peft(whole: Any, tokenizer: PreTrainedTokenizerBase, item: Item) -> list[float]:
    """Log-probability of each choice, one text at a time."""
    found = []
    for choice in item.choices:
        context = tokenizer(item.context.rstrip())["input_ids"]
        ids = torch.tensor([tokenizer(item.context + choice)["input_ids"]])
        logits = whole(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0, -ids.shape[1] :].log_softmax(-1)
        places = range(len(context), ids.shape[1])
        found.append(float(sum(logits[place - 1, ids[0, place]] for place in places)))
    return found


ON_EMBEDDINGS = (
    "the output layer and embeddings trained", "LoRA on embeddings", "tokens trained", "embeddings tied"
)  # fmt: skip


@pytest.mark.parametrize(
    ("method", "is_tied"), [*((name, False) for name in METHODS), *((name, True) for name in ON_EMBEDDINGS)]
)
def test_scores_are_those_of_pefts_forward(untied: Model, method: str, is_tied: bool, tmp_path: Path) -> None:
    model, tokenizer = tiny_model() if is_tied else untied
    items = tiny_items()[::17]
    folder = train_adapter(model, METHODS[method](), tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = peft.PeftModelForCausalLM.from_pretrained(copy.deepcopy(model), str(folder)).eval()
    theirs = [by_peft(whole, tokenizer, item) for item in items]
    alone = [score.logprobs for score in score_items(model, tokenizer, items)]

    ours_to_change = copy.deepcopy(model)
    before = state_of(ours_to_change)
    with with_adapter(ours_to_change, read_adapter(folder)) as usable:
        ours = [score.logprobs for score in score_items(usable, tokenizer, items)]
    for one, other in zip(ours, theirs, strict=True):
        assert one == pytest.approx(other, abs=TOLERANCE)
    assert max(abs(a - b) for x, y in zip(ours, alone, strict=True) for a, b in zip(x, y, strict=True)) > 0.01
    # The base is as it was, or is seen not to be.
    again = [score.logprobs for score in score_items(ours_to_change, tokenizer, items)]
    assert (again == alone) or state_of(ours_to_change) != before
    assert (state_of(ours_to_change) == before) <= (again == alone)


def test_embeddings_that_peft_writes_into_the_base(tmp_path: Path) -> None:
    """PEFT saves whole embeddings beside an adapter if it is told to, and loads them over the base's own."""
    model, tokenizer = tiny_model()
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.get_input_embeddings().weight.add_(0.1)  # type: ignore[no-untyped-call]
    folder = train_adapter(other, lora(), tmp_path, save_embedding_layers=True)
    before, items = state_of(model), tiny_items()[::17]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = peft.PeftModelForCausalLM.from_pretrained(copy.deepcopy(model), str(folder)).eval()
    with with_adapter(model, read_adapter(folder)) as usable:
        ours = score_items(usable, tokenizer, items)
    for item, score in zip(items, ours, strict=True):
        assert score.logprobs == pytest.approx(by_peft(whole, tokenizer, item), abs=TOLERANCE)
    assert state_of(model) != before


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return save_tiny("llama-untied", tmp_path_factory.mktemp("base"))


HARNESSED = ("ranks and scales by layer", "DoRA", "the output layer and embeddings trained", "IA3")


@pytest.fixture(params=HARNESSED)
def harnessed(request: pytest.FixtureRequest, folder: Path, tmp_path: Path) -> Iterator[tuple[Path, Any]]:
    from lm_eval.models.huggingface import HFLM

    model, _ = load_model(folder)
    adapter = train_adapter(model, METHODS[request.param](), tmp_path / "adapter")
    yield adapter, HFLM(pretrained=str(folder), peft=str(adapter), device="cpu", dtype="float32", batch_size=1)


def test_scores_and_texts_are_those_of_lm_eval(
    folder: Path,
    harnessed: tuple[Path, Any],
    evaluate: Callable[..., dict[str, list[Any]]],  # noqa: F811
) -> None:
    adapter, harness = harnessed
    theirs = evaluate(harness, False)
    model, tokenizer = load_model(folder)
    items = [
        Item(str(i), None, context, tuple(f" {choice}" for choice in choices), i % 2)
        for i, (context, choices) in enumerate(AFTER_A_SPACE)
    ]
    asked = [item for item in items if item.context]
    with with_adapter(model, read_adapter(adapter)) as usable:
        ours = score_items(usable, tokenizer, items, batch_tokens=200)
        texts = generate_items(usable, tokenizer, asked, STOP, MAX_NEW_TOKENS)
    for score, sample in zip(ours, theirs["after_a_space"], strict=True):
        assert score.logprobs == pytest.approx([float(r[0][0]) for r in sample["resps"]], abs=TOLERANCE)
    assert [text.text for text in texts] == [sample["resps"][0][0] for sample in theirs["generated"]]
