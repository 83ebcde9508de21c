"""Stacked LoRA: a group of a stack is what PEFT makes of that adapter alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel

from compute.language_models import kernels
from compute.language_models.adapters import Adapter, initial_adapter, load_adapter, save_adapter
from compute.language_models.dropout import drop, row_keys, token_keys
from compute.language_models.loading import LoadingError, load_model
from compute.language_models.lora import LoraStack, StackedLinear
from compute.language_models.scoring import score_items
from compute.language_models.settings import Lora
from tests.helpers.families import FAMILIES, save_tiny
from tests.helpers.tiny_model import tiny_items, tiny_model

SETTINGS = Lora(rank=3, alpha=5, rs_lora=True)
DORA = Lora(rank=2, alpha=4, dora=True)


def _moved(adapter: Adapter, seed: int) -> Adapter:
    """The adapter with a B, and magnitudes if any, that do something."""
    draw = torch.Generator().manual_seed(seed)
    matrices = {n: (a, torch.randn(b.shape, generator=draw) * 0.1) for n, (a, b) in adapter.matrices.items()}
    magnitudes = {n: m * (0.5 + torch.rand(m.shape, generator=draw)) for n, m in adapter.magnitudes.items()}
    return Adapter(adapter.rank, adapter.scaling, matrices, magnitudes)


def _arrays(adapter: Adapter) -> dict[str, Tensor]:
    matrices = {f"{name} {i}": matrix for name, pair in adapter.matrices.items() for i, matrix in enumerate(pair)}
    return matrices | adapter.magnitudes


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_goes_to_peft_and_back(family: str, tmp_path: Path) -> None:
    """PEFT loads what we save and computes the same with it, and we load what PEFT saves; all linear layers or some."""
    save_tiny(family, tmp_path / "base")
    model, tokenizer = load_model(tmp_path / "base")
    ids = torch.tensor(
        [tokenizer("Die Hauptstadt von Frankreich ist Paris. Which of these is a river? =")["input_ids"]]
    )
    before = model(ids).logits
    endings = sorted({name.rpartition(".")[2] for name in initial_adapter(model, SETTINGS, 0).matrices})
    named = SETTINGS.model_copy(update={"target_modules": tuple(endings[1::2])})
    for k, settings in enumerate((SETTINGS, DORA, named)):
        adapters = [_moved(initial_adapter(model, settings, seed), seed) for seed in range(2)]
        with LoraStack(model, adapters), torch.no_grad():
            stacked = model(ids.repeat(2, 1)).logits
        assert torch.equal(model(ids).logits, before)
        folder = tmp_path / str(k)
        save_adapter(adapters[1], settings, folder, "tiny")
        assert json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"] == "tiny"
        peft = PeftModel.from_pretrained(load_model(tmp_path / "base")[0], folder)
        with torch.no_grad():
            torch.testing.assert_close(peft(input_ids=ids).logits[0], stacked[1], atol=1e-4, rtol=1e-4)
        assert (stacked[1] - before[0]).abs().max() > 1e-2 < (stacked[1] - stacked[0]).abs().max()
        peft.save_pretrained(folder / "theirs", save_embedding_layers=False)
        loaded = load_adapter(folder / "theirs")
        assert loaded.scaling == pytest.approx(settings.scaling) and loaded.rank == settings.rank
        assert _arrays(loaded).keys() == _arrays(adapters[1]).keys()
        for name, array in _arrays(loaded).items():
            assert torch.equal(array, _arrays(adapters[1])[name])
        if family == "mamba" and isinstance(settings.target_modules, str):
            continue  # PEFT's own all-linear takes out_proj, which it then refuses
        targets = settings.target_modules if isinstance(settings.target_modules, str) else list(settings.target_modules)
        config = LoraConfig(r=3, target_modules=targets, task_type="CAUSAL_LM")
        theirs = get_peft_model(load_model(tmp_path / "base")[0], config)
        start, end = "base_model.model.", ".lora_A.default.weight"
        layers = {n[len(start) : -len(end)] for n, _ in theirs.named_parameters() if n.endswith(end)}
        assert layers == adapters[1].matrices.keys()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_merged_weight_says_what_the_update_says(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many tokens the update goes into the weight, of few it is added to the output."""
    save_tiny(family, tmp_path)
    model, _ = load_model(tmp_path)
    ids = torch.randint(3, 60, (4, 40), generator=torch.Generator().manual_seed(1))
    adapter = _moved(initial_adapter(model, SETTINGS, 1), 1)
    merged: list[bool] = []
    decide = StackedLinear._is_quicker_merged

    def told(self: StackedLinear, tokens: int) -> bool:
        merged.append(decide(self, tokens))
        return merged[-1]

    monkeypatch.setattr(StackedLinear, "_is_quicker_merged", told)
    found = []
    for width, asked in ((0, ids), (256, ids), (0, ids[:1, :1])):
        monkeypatch.setattr(kernels, "_NARROW", width)
        merged.clear()
        with LoraStack(model, [adapter]), torch.no_grad():
            found.append(model(asked).logits)
        assert set(merged) == {width == 0 and asked is ids}
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-4 * found[1].abs().max().item())


def test_gradients_are_those_of_peft() -> None:
    """Of DoRA, where the norm is a constant: no gradient goes through it."""
    model, tokenizer = tiny_model("gpt_neox")
    ids = torch.tensor([tokenizer("hundert =")["input_ids"]])
    adapters = [_moved(initial_adapter(model, DORA, seed), seed) for seed in range(2)]
    with LoraStack(model, adapters) as stack:
        stack.require_gradients()
        stack.add_gradients(model(ids.repeat(2, 1)).logits[1].logsumexp(-1).sum())
        (gradients,) = stack.gradients
        assert not gradients[0].any()
        stack.trained(1)[0].copy_(gradients[1])
        found = _arrays(stack.adapter(1))
    config = LoraConfig(r=2, lora_alpha=4, use_dora=True, target_modules="all-linear", task_type="CAUSAL_LM")
    peft = get_peft_model(model, config)
    expected = {}
    for name, parameter in peft.named_parameters():
        if parameter.requires_grad:
            layer, _, array = name.removeprefix("base_model.model.").partition(".lora_")
            ours = {"A": f"{layer} 0", "B": f"{layer} 1", "m": layer}[array[0]]
            parameter.data.copy_(_arrays(adapters[1])[ours])
            expected[ours] = parameter
    peft(ids).logits.logsumexp(-1).sum().backward()
    assert found.keys() == expected.keys()
    for name, parameter in expected.items():
        torch.testing.assert_close(found[name], parameter.grad, rtol=1e-3, atol=1e-4)


@given(st.floats(0, 0.9), st.integers(0, 2**31), st.integers(1, 5), st.integers(1, 7))
def test_dropout_draws_for_a_token_whatever_surrounds_it(probability: float, layer: int, rows: int, more: int) -> None:
    keys = row_keys([f"row {i}" for i in range(rows)])
    alone = drop(torch.ones(rows, 4, 9), token_keys(keys, 4), layer - 2**30, probability)
    company = row_keys([*(f"other {i}" for i in range(more)), *(f"row {i}" for i in range(rows))])
    padded = drop(torch.ones(rows + more, 4 + more, 9), token_keys(company, 4 + more), layer - 2**30, probability)
    assert torch.equal(padded[more:, :4], alone)
    assert {round(value, 4) for value in alone.unique().tolist()} <= {0.0, round(1 / (1 - probability), 4)}


def test_dropout_zeroes_as_many_as_it_should_independently() -> None:
    keys = token_keys(row_keys([str(i) for i in range(40)]), 50)
    one, other = (drop(torch.ones(2000, 64), keys, layer, 0.3) > 0 for layer in (1, 2))
    n = one.numel()
    assert one.float().mean().item() == pytest.approx(0.7, abs=5 * (0.3 * 0.7 / n) ** 0.5)
    both = [(one & other), one[1:] & one[:-1], one[:, 1:] & one[:, :-1], one[50:] & one[:-50]]
    for agree in both:  # layers, neighbouring tokens, neighbouring features, rows
        assert agree.float().mean().item() == pytest.approx(0.49, abs=5 * (0.49 * 0.51 / n) ** 0.5)


def test_first_values_depend_on_the_seed_alone_and_change_nothing() -> None:
    model, tokenizer = tiny_model()
    first, again, other = (initial_adapter(model, SETTINGS, seed) for seed in (1, 1, 2))
    for name, (a, b) in first.matrices.items():
        assert torch.equal(a, again.matrices[name][0]) and not torch.equal(a, other.matrices[name][0])
        assert not b.any()
        assert a.abs().max() <= 1 / a.shape[1] ** 0.5  # Kaiming-uniform with a = sqrt 5
    items = tiny_items("test")[::10]
    with LoraStack(model, [first, other]) as stack:
        for number in range(2):
            stack.active = [number]
            assert [s.logprobs for s in score_items(model, tokenizer, items)] == [
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
        in_turn = []
        for number in range(3):
            stack.active = [number]
            in_turn.append(score_items(model, tokenizer, items, batch_tokens=150))
    for adapter, scores in zip(adapters, in_turn, strict=True):
        with LoraStack(model, [adapter]):
            alone = score_items(model, tokenizer, items, batch_tokens=150)
        for mine, theirs in zip(alone, scores, strict=True):
            assert mine.logprobs == pytest.approx(theirs.logprobs, abs=1e-4)


def test_a_model_without_linear_layers_is_refused() -> None:
    model = GPT2LMHeadModel(GPT2Config(n_layer=0, n_embd=8, n_head=1, vocab_size=10, n_positions=8))
    with pytest.raises(ValueError, match="a 'gpt2' model has no linear layers"):
        initial_adapter(model, Lora(), 0)


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


@pytest.mark.parametrize(
    ("entry", "value", "message"),
    [
        ("peft_type", "LOHA", "not a plain LoRA adapter"),
        ("bias", "all", "not a plain LoRA adapter"),
        ("rank_pattern", {"q_proj": 4}, "its rank_pattern is set"),
        ("init_lora_weights", "pissa_niter_4", "changes the base's own weights"),
        ("use_dora", True, "'q_proj' should have lora_A, lora_B, lora_magnitude_vector"),
    ],
)
def test_adapters_of_another_kind_are_not_loaded(entry: str, value: object, message: str, tmp_path: Path) -> None:
    one = Adapter(2, 1.0, {"q_proj": (torch.ones(2, 4), torch.ones(4, 2))})
    save_adapter(one, Lora(rank=2, alpha=2), tmp_path, "tiny")
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    (tmp_path / "adapter_config.json").write_text(json.dumps(config | {entry: value}))
    with pytest.raises(ValueError, match=message):
        load_adapter(tmp_path)


def test_damaged_adapters_are_not_loaded(tmp_path: Path) -> None:
    one = Adapter(2, 1.0, {"q_proj": (torch.ones(2, 4), torch.ones(4, 2))})
    save_adapter(one, Lora(rank=2, alpha=2), tmp_path, "tiny")
    path = tmp_path / "adapter_model.safetensors"
    tensors = load_file(path)
    save_file(tensors | {"base_model.model.lm_head.weight": torch.ones(2)}, path)
    with pytest.raises(ValueError, match=r"lm_head.weight', which is no part of a LoRA adapter"):
        load_adapter(tmp_path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match="is damaged"):
        load_adapter(tmp_path)


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
    with pytest.raises(LoadingError, match="no safetensors weights"):
        load_model(tmp_path)
