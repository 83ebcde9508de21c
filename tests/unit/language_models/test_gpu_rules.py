"""What runs on a GPU keeps its rules, without one: no tensors of both sides, few waits (see `pretended_gpu`)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from compute.embeddings import neighbours
from compute.embeddings.downstream.cnn import ConvolutionalNetwork
from compute.embeddings.downstream.esim import EnhancedSequentialInference
from compute.embeddings.downstream.texts import Texts
from compute.embeddings.mappings import METHODS, load_method
from compute.embeddings.mappings.vecmap_induction import StochasticInduction
from compute.embeddings.retrieval import Ranker
from compute.language_models import training_loop
from compute.language_models.adapters import initial_adapter
from compute.language_models.generation import generate_items
from compute.language_models.lora import LoraStack
from compute.language_models.scoring import score_items
from compute.language_models.settings import Lora
from compute.language_models.training import train_stack
from compute.language_models.training_records import TrainedAdapter, TrainingSource
from tests.helpers.clustered import NO_SEEDS, clustered
from tests.helpers.pretended_gpu import PretendedGpu, pretended_gpu
from tests.helpers.tiny_model import tiny_items, tiny_model

SETTINGS = Lora(rank=4, epochs=2, batch_size=8, learning_rate=5e-3, best_checkpoint=True)
NOT_COUNTED = ("logits.py", "adapters.py")
"""Where forward passes are called from: transformers looks in each whether several texts are packed in a row. And
what is done before the first step."""


def own_waits(gpu: PretendedGpu) -> int:
    return sum(count for line, count in gpu.waits.items() if not any(name in line for name in NOT_COUNTED))


def test_the_pretended_gpu_holds_to_a_gpus_rules() -> None:
    with pretended_gpu() as gpu:
        there, here = torch.ones(3, device="cuda"), torch.ones(3)
        assert (there.relu() + 1).device.type == "cuda" and here.to("cuda").sum().cpu().device.type == "cpu"
        with pytest.raises(RuntimeError, match="same device"):
            there + here
        with pytest.raises(RuntimeError, match="same device"):
            torch.nn.Linear(3, 1).to("cuda")(here)
        with pytest.raises(TypeError, match="numpy"):
            there.numpy()
        with pytest.raises(RuntimeError, match="generator"):
            there.normal_(generator=torch.Generator())
        gpu.waits.clear()
        assert there[there > 0].sum().item() == 3
        assert sorted(line.partition(" ")[2] for line in gpu.waits) == ["a mask as index", "item"]


@pytest.mark.parametrize("overhead", [None, 0.0], ids=["in one company", "each by itself"])
@pytest.mark.parametrize("change", [{}, {"dropout": 0.1, "dora": True}], ids=["lora", "dora and dropout"])
def test_training_waits_for_no_step(
    change: dict[str, Any], overhead: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if overhead is not None:
        monkeypatch.setattr(training_loop, "pass_overhead", lambda *of: overhead)
    settings, items = SETTINGS.model_copy(update=change), tiny_items()
    sources = [TrainingSource(str(i), items[7 * i : 7 * i + 20 + 8 * i], items[:5], seed=i) for i in range(2)]
    losses = []
    for device in ("cpu", "cuda"):
        with pretended_gpu() as gpu:
            model, tokenizer = tiny_model()
            model.to(device)  # type: ignore[arg-type]
            results = train_stack(model, tokenizer, sources, settings, device)
        assert all(isinstance(result, TrainedAdapter) for result in results)
        losses.append([row.loss for result in results for row in result.log])
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)
    # 8 steps. Read are: losses at the first and where an adapter's epoch ends, evaluations, and what is best so far.
    assert own_waits(gpu) <= SETTINGS.epochs * len(sources) * 4 + 1, gpu.waits


def test_scores_are_read_once_at_the_end() -> None:
    model, tokenizer = tiny_model()
    items = tiny_items("test")[:30]
    alone = score_items(model, tokenizer, items)
    texts = generate_items(model, tokenizer, items[:6], (".",), 5)
    adapters = [initial_adapter(model, SETTINGS, seed) for seed in (1, 2)]
    with pretended_gpu() as gpu:
        model.to("cuda")  # type: ignore[arg-type]
        gpu.waits.clear()
        assert score_items(model, tokenizer, items, batch_tokens=100, device="cuda")[7].logprobs == pytest.approx(
            alone[7].logprobs, abs=1e-4
        )
        assert own_waits(gpu) == sum("scoring.py" in line for line in gpu.waits.elements()), gpu.waits
        assert all("to the host" in line for line in gpu.waits if "scoring.py" in line), gpu.waits
        with LoraStack(model, adapters) as stack:
            stack.active = [1]
            scores = score_items(model, tokenizer, items, device="cuda")
        assert scores[7].logprobs == pytest.approx(alone[7].logprobs, abs=1e-4)
        assert generate_items(model, tokenizer, items[:6], (".",), 5, device="cuda") == texts


SMALL: dict[str, dict[str, Any]] = {
    "muse": {"epochs": 1, "epoch_samples": 160, "discriminator_width": 16, "refinements": 1},
    "icp": {
        "restarts": 2, "restart_epochs": 2, "training_epochs": 2, "fine_tuning_epochs": 1, "words": 200,
        "components": 5,
    },
    "gwa": {"words": 40, "epsilon": 0.05, "first_epsilon": 0.05, "iterations": 2, "sinkhorn_iterations": 10},
    "vecmap": {"vocabulary_cutoff": 80, "initial_vocabulary": 80, "patience": 1, "keep_growth": 10.0},
    "vecmap_semi_supervised": {"vocabulary_cutoff": 80, "patience": 1, "keep_growth": 10.0},
}  # fmt: skip


@pytest.mark.parametrize("name", METHODS)
def test_each_mapping_method(name: str) -> None:
    problem = clustered(0, noise=0.02)
    method = load_method(name)
    seeds = NO_SEEDS if method.supervision == "unsupervised" else problem.pairs[:100]
    maps = []
    for device in ("cpu", "cuda"):
        with pretended_gpu():
            maps.append(method(**SMALL.get(name, {})).fit(problem.source, problem.target, seeds, device, seed=3))
    assert maps[0].source_map is not None and maps[1].source_map is not None
    assert maps[0].source_map == pytest.approx(maps[1].source_map, abs=1e-3)


def test_blocks_are_larger_there_and_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "BLOCK_CELLS", 3_000)
    monkeypatch.setattr(neighbours, "CUDA_BLOCK_CELLS", 30_000)
    monkeypatch.setattr(neighbours, "BLOCK_ROWS", 1)
    problem = clustered(0, noise=0.3)
    rows, found = [], []
    for device in ("cpu", "cuda"):
        with pretended_gpu():
            x, y = (neighbours.unit_tensor(side.matrix, device) for side in (problem.source, problem.target))
            rows.append([block.stop - block.start for block, _ in neighbours.product_blocks(x, y)])
            found.append([indices.tolist() for indices in neighbours.nearest_both_ways(x, y)])
    assert found[0] == found[1]
    assert [max(of_blocks) for of_blocks in rows] == [cells // len(problem.target) for cells in (3_000, 30_000)]


@pytest.mark.parametrize("keep", [0.1, 1.0])
def test_an_induction_waits_once(keep: float) -> None:
    problem, induced = clustered(0, noise=0.02), []
    for device in ("cpu", "cuda"):
        with pretended_gpu() as gpu:
            x, y = (neighbours.unit_tensor(side.matrix, device) for side in (problem.source, problem.target))
            induce = StochasticInduction(len(x), len(y), 10, device, seed=0)
            gpu.waits.clear()
            induced.append(induce(x, y, keep))
            assert gpu.waits.total() == (device == "cuda"), gpu.waits
    assert induced[0].pairs.tolist() == induced[1].pairs.tolist() and induced[0].objective == induced[1].objective


@pytest.mark.parametrize("retrieval", ["cosine", "csls"])
def test_retrieval(retrieval: Any) -> None:
    problem = clustered(0, noise=0.3)
    queries, gold = np.ascontiguousarray(problem.pairs.T)
    with pretended_gpu():
        there = Ranker(problem.source.matrix, problem.target.matrix, "cuda").ranks(queries, gold, retrieval)
    here = Ranker(problem.source.matrix, problem.target.matrix).ranks(queries, gold, retrieval)
    assert there.tolist() == here.tolist()


def test_the_classifiers() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(30, 8)).astype(np.float32)
    texts, others = (Texts(matrix, [rng.integers(30, size=rng.integers(0, 9)) for _ in range(40)]) for _ in range(2))
    labels = rng.integers(3, size=40)
    network, esim = ConvolutionalNetwork(epochs=2), EnhancedSequentialInference(epochs=1, hidden=6)
    expected = network.predict(texts, labels, others), esim.predict((texts, others), labels, (others, texts))
    with pretended_gpu():
        found = (
            network.predict(texts, labels, others, device="cuda"),
            esim.predict((texts, others), labels, (others, texts), device="cuda"),
        )
    for one, other in zip(expected, found, strict=True):
        assert one == pytest.approx(other, abs=1e-5)
