"""The batches and the training loop that the neural classifiers share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from compute.embeddings.downstream.texts import Texts

Batch = NDArray[np.int64]
"""Positions of the items of a batch."""

LONGEST_GRADIENT = 10.0
"""Norm that a step's gradient is cut to."""


class Schedule(NamedTuple):
    """How long and how fast something is trained, and in which order."""

    epochs: int
    batch_size: int
    learning_rate: float
    seed: int


@contextmanager
def seeded(seed: int, device: str) -> Iterator[None]:
    """Within it whatever torch draws follows from `seed`; afterwards its generators are as they were."""
    deterministic = torch.backends.cudnn.deterministic
    with torch.random.fork_rng(devices=[torch.device(device)] if device.startswith("cuda") else []):
        torch.manual_seed(seed)
        torch.backends.cudnn.deterministic = True
        try:
            yield
        finally:
            torch.backends.cudnn.deterministic = deterministic


class TextBatches:
    """Texts as tensors on a device, each cut to its first `longest` words."""

    def __init__(self, texts: Texts, longest: int, device: str) -> None:
        self._vectors = torch.from_numpy(texts.matrix).to(device)
        self._rows = texts.rows
        self._longest = longest

    def of(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Word vectors [b, l, d], zero beyond a text's end, and lengths [b]. A text without words is one zero vector,
        so that lengths are at least 1."""
        texts = [self._rows[place][: self._longest] for place in batch]
        lengths = [max(1, len(text)) for text in texts]
        rows = np.zeros((len(texts), max(lengths)), dtype=np.int64)
        for place, text in enumerate(texts):
            rows[place, : len(text)] = text
        device = self._vectors.device
        return self._vectors[torch.from_numpy(rows).to(device)], torch.tensor(lengths, device=device)


def fit(
    network: torch.nn.Module,
    logits: Callable[[Batch], torch.Tensor],
    labels: NDArray[np.int64],
    schedule: Schedule,
) -> None:
    """Minimises the cross-entropy of `logits` with Adam (Kingma & Ba 2015), the items in a new order each epoch.

    Args:
        network: what is trained, in place.
        logits: of a batch, [b, classes], through `network`.
        labels: [n], the classes of all items.
        schedule: epochs, batch size, learning rate and seed.

    Raises:
        ValueError: the loss is not finite.
    """
    optimiser = torch.optim.Adam(network.parameters(), lr=schedule.learning_rate)
    generator = np.random.default_rng(schedule.seed)
    network.train()
    for _ in range(schedule.epochs):
        order = generator.permutation(len(labels))
        for start in range(0, len(order), schedule.batch_size):
            batch = order[start : start + schedule.batch_size]
            found = logits(batch)
            loss = torch.nn.functional.cross_entropy(found, torch.from_numpy(labels[batch]).to(found.device))
            if not torch.isfinite(loss):
                raise ValueError(f"the loss is {loss.item()}: try a lower learning_rate")
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), LONGEST_GRADIENT)
            optimiser.step()


def answer(
    network: torch.nn.Module, logits: Callable[[Batch], torch.Tensor], n: int, batch_size: int
) -> NDArray[np.float64]:
    """Return probabilities [n, classes] of items 0 to n - 1 by `logits`, which go through `network`."""
    network.eval()
    found = []
    with torch.no_grad():
        for start in range(0, n, batch_size):
            batch = np.arange(start, min(n, start + batch_size))
            found.append(torch.softmax(logits(batch).double(), dim=1).cpu().numpy())
    return np.concatenate(found)
