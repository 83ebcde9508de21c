"""Stacked LoRA: a group of a stack is what PEFT makes of that adapter alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from tiny_model import tiny_items, tiny_model

from compute.language_models.loading import load_model
from compute.language_models.lora import Adapter, LoraStack, initial_adapter, load_adapter, save_adapter
from compute.language_models.scoring import score_adapters, score_items
from compute.language_models.settings import Family, Lora

FAMILIES: list[Family] = ["llama", "gpt_neox"]
SETTINGS = Lora(rank=3, alpha=5, rs_lora=True)


def _moved(adapter: Adapter, seed: int) -> Adapter:
    """The adapter with a B that does something."""
    draw = torch.Generator().manual_seed(seed)
    matrices = {n: (a, torch.randn(b.shape, generator=draw) * 0.1) for n, (a, b) in adapter.matrices.items()}
    return Adapter(adapter.rank, adapter.scaling, matrices)


@pytest.mark.parametrize("family", FAMILIES)
def test_peft_loads_what_we_save_and_gives_the_same_logits(family: Family, tmp_path: Path) -> None:
    model, tokenizer = tiny_model(family)
    adapters = [_moved(initial_adapter(model, SETTINGS, seed), seed) for seed in range(3)]
    ids = torch.tensor([tokenizer("hundert =")["input_ids"]])
    before = model(ids).logits
    with LoraStack(model, adapters):
        stacked = model(ids.repeat(3, 1)).logits
    assert torch.equal(model(ids).logits, before)
    for k, adapter in enumerate(adapters):
        folder = tmp_path / str(k)
        save_adapter(adapter, SETTINGS, folder, "tiny")
        assert json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"] == "tiny"
        peft = PeftModel.from_pretrained(tiny_model(family)[0], folder)
        torch.testing.assert_close(peft(ids).logits[0], stacked[k], atol=1e-4, rtol=1e-4)
        assert (stacked[k] - before[0]).abs().max() > 1e-2
        loaded = load_adapter(folder)
        assert loaded.scaling == pytest.approx(adapter.scaling) and loaded.matrices.keys() == adapter.matrices.keys()
        for name, (a, b) in loaded.matrices.items():
            assert torch.equal(a, adapter.matrices[name][0]) and torch.equal(b, adapter.matrices[name][1])


@pytest.mark.parametrize("family", FAMILIES)
def test_all_linear_is_what_peft_takes_it_for(family: Family) -> None:
    model, _ = tiny_model(family)
    ours = {name: tuple(a.shape) for name, (a, _) in initial_adapter(model, SETTINGS, 0).matrices.items()}
    peft = get_peft_model(model, LoraConfig(r=3, target_modules="all-linear", task_type="CAUSAL_LM"))
    start, end = "base_model.model.", ".lora_A.default.weight"
    theirs = {n[len(start) : -len(end)]: tuple(p.shape) for n, p in peft.named_parameters() if n.endswith(end)}
    assert ours == theirs


def test_first_values_depend_on_the_seed_alone_and_change_nothing() -> None:
    model, tokenizer = tiny_model()
    first, again, other = (initial_adapter(model, SETTINGS, seed) for seed in (1, 1, 2))
    for name, (a, b) in first.matrices.items():
        assert torch.equal(a, again.matrices[name][0]) and not torch.equal(a, other.matrices[name][0])
        assert not b.any()
        assert a.abs().max() <= 1 / a.shape[1] ** 0.5  # Kaiming-uniform with a = sqrt 5
    items = tiny_items("test")[::10]
    with LoraStack(model, [first, other]) as stack:
        for scores in score_adapters(model, tokenizer, items, stack):
            assert [s.logprobs for s in scores] == [
                pytest.approx(s.logprobs, abs=1e-4) for s in score_items_of_base(items)
            ]


def score_items_of_base(items):  # type: ignore[no-untyped-def]
    model, tokenizer = tiny_model()
    return score_items(model, tokenizer, items)


def test_scores_do_not_depend_on_the_company() -> None:
    model, tokenizer = tiny_model()
    items = tiny_items("test")[::6]
    adapters = [_moved(initial_adapter(model, SETTINGS, seed), seed) for seed in range(3)]
    with LoraStack(model, adapters) as stack:
        together = score_adapters(model, tokenizer, items, stack, batch_tokens=150)
        stack.active = [2]
        (last,) = score_adapters(model, tokenizer, items, stack, batch_tokens=150)
    for adapter, scores in zip([*adapters, adapters[2]], [*together, last], strict=True):
        with LoraStack(model, [adapter]) as stack:
            (alone,) = score_adapters(model, tokenizer, items, stack, batch_tokens=150)
        for mine, theirs in zip(alone, scores, strict=True):
            assert mine.logprobs == pytest.approx(theirs.logprobs, abs=1e-4)


def test_wrong_adapters_are_refused(tmp_path: Path) -> None:
    model, _ = tiny_model()
    with pytest.raises(ValueError, match=r"target module 'q_prj'; did you mean 'q_proj'"):
        initial_adapter(model, Lora(target_modules=("q_prj",)), 0)
    one = initial_adapter(model, Lora(target_modules=("q_proj",)), 0)
    with pytest.raises(ValueError, match="same layers"):
        LoraStack(model, [one, initial_adapter(model, Lora(), 0)])
    with pytest.raises(ValueError, match="one rank and scaling"):
        LoraStack(model, [one, initial_adapter(model, Lora(rank=2, target_modules=("q_proj",)), 0)])
    torn = Adapter(one.rank, one.scaling, {name: (a[:, 1:], b) for name, (a, b) in one.matrices.items()})
    with pytest.raises(ValueError, match="takes A and B of"):
        LoraStack(model, [one, torn])
    with pytest.raises(ValueError, match="absolute"):
        save_adapter(one, Lora(), tmp_path, "/home/someone/model")
    with pytest.raises(ValueError, match="no linear layer"):
        LoraStack(tiny_model("gpt_neox")[0], [one])


def test_a_saved_model_loads_offline_with_its_tokenizer(tmp_path: Path) -> None:
    model, tokenizer = tiny_model("gpt_neox")
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    loaded, its_tokenizer = load_model(tmp_path)
    text = "двадцять vingt-et-un 12 ="
    ids = its_tokenizer(text)["input_ids"]
    assert ids == tokenizer(text)["input_ids"] and its_tokenizer.decode(ids, skip_special_tokens=True) == text
    assert torch.equal(loaded(torch.tensor([ids])).logits, model(torch.tensor([ids])).logits)
    (tmp_path / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(OSError):
        load_model(tmp_path)
