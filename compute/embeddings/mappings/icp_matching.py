"""ICP's alternation of nearest pairs and mini-batches (`compute.embeddings.mappings.icp`)."""

from __future__ import annotations

from typing import NamedTuple

import torch

from compute.embeddings.neighbours import product_blocks

_FIRST_MOMENT, _SECOND_MOMENT, _TINY = 0.5, 0.999, 1e-8
"""β1, β2 and ε of Adam, as in the authors' code."""

_HALVED_EVERY = 100
"""Epochs after which the learning rate is halved."""


class Descent(NamedTuple):
    """How mini-batches are taken: the method's settings of these names."""

    batch: int
    learning_rate: float
    cycle_weight: float


class Pairs(NamedTuple):
    """The nearest on the other side."""

    of_x: torch.Tensor
    """int64 [n]: a row of z for each row of x."""
    of_z: torch.Tensor
    """int64 [m]: a row of x for each row of z."""

    def mutual(self) -> torch.Tensor:
        """int64 [p]: the rows of x whose nearest row of z has them as its nearest."""
        rows = torch.arange(len(self.of_x), device=self.of_x.device)
        return rows[self.of_z[self.of_x] == rows]


class Matching:
    """The two maps between `x` [n, d] and `z` [m, d], `forth` and `back` [d, d]; the identity at first."""

    def __init__(self, x: torch.Tensor, z: torch.Tensor, descent: Descent, random: torch.Generator) -> None:
        self._x, self._z, self._descent, self._random = x, z, descent, random
        self.forth = torch.eye(x.shape[1], device=x.device)
        self.back = torch.eye(x.shape[1], device=x.device)

    def pairs(self) -> tuple[Pairs, float]:
        """Return the nearest pairs under the maps, and how far apart they are: the smaller of the two directions'
        mean squares."""
        x_found, z_found = self._z @ self.back, self._x @ self.forth
        pairs = Pairs(_nearest(self._x, x_found), _nearest(self._z, z_found))
        apart = [
            (rows - found[nearest]).square().sum(1).mean().item()
            for rows, found, nearest in ((self._x, x_found, pairs.of_x), (self._z, z_found, pairs.of_z))
        ]
        return pairs, min(apart)

    def train(self, epochs: int, pairs: Pairs | None = None, *, mutual_only: bool = False) -> None:
        """`epochs` of pairing and mini-batches; the first epoch takes `pairs` where they are given."""
        for epoch in range(epochs):
            if epoch > 0 or pairs is None:
                pairs, _ = self.pairs()
            rate = self._descent.learning_rate * 0.5 ** (epoch // _HALVED_EVERY)
            x_rows, z_rows = (
                self._shuffled(one.mutual() if mutual_only else torch.arange(len(one.of_x), device=one.of_x.device))
                for one in (pairs, Pairs(pairs.of_z, pairs.of_x))
            )
            self._pass(pairs, x_rows, z_rows, rate)

    def _shuffled(self, rows: torch.Tensor) -> torch.Tensor:
        return rows[torch.randperm(len(rows), generator=self._random).to(rows.device)]

    def _pass(self, pairs: Pairs, x_rows: torch.Tensor, z_rows: torch.Tensor, rate: float) -> None:
        """One pass of mini-batches over `x_rows` and `z_rows`, as far as the shorter goes; a rest smaller than
        a batch is left for another epoch, unless it is all there is."""
        identity = torch.eye(self._x.shape[1], device=self._x.device)
        weight = self._descent.cycle_weight
        forth_step, back_step = _Adam(rate), _Adam(rate)
        shorter = min(len(x_rows), len(z_rows))
        size = min(self._descent.batch, shorter)
        for start in range(0, shorter - size + 1, size) if size else ():
            x_batch, z_batch = x_rows[start : start + size], z_rows[start : start + size]
            x, z = self._x[x_batch], self._z[z_batch]
            xx, zz = x.T @ x / size, z.T @ z / size
            # Gradients of the four squares, by the second moments of the batch.
            x_cycle, z_cycle = xx @ (self.forth @ self.back - identity), zz @ (self.back @ self.forth - identity)
            forth = xx @ self.forth - x.T @ self._z[pairs.of_x[x_batch]] / size
            back = zz @ self.back - z.T @ self._x[pairs.of_z[z_batch]] / size
            forth += weight * (x_cycle @ self.back.T + self.back.T @ z_cycle)
            back += weight * (z_cycle @ self.forth.T + self.forth.T @ x_cycle)
            self.forth = self.forth - forth_step(forth)
            self.back = self.back - back_step(back)


class Start(NamedTuple):
    """The end of a run on the principal components."""

    pairs: Pairs
    apart: float


def best_start(x: torch.Tensor, z: torch.Tensor, descent: Descent, epochs: int, seeds: range) -> Start:
    """Return the run whose pairs are nearest, of one for each seed, of `epochs` each, on principal components x [n,
    p] and z [m, p]. The first run turns no signs.

    Raises:
        ValueError: in no run are the maps finite at the end.
    """
    best: Start | None = None
    for seed in seeds:
        random = torch.Generator().manual_seed(seed)
        signs = torch.ones(x.shape[1])
        if seed != seeds[0]:
            signs -= 2 * torch.randint(2, (x.shape[1],), generator=random)
        run = Matching(x * signs.to(x.device), z, descent, random)
        run.train(epochs)
        start = Start(*run.pairs())
        if best is None or start.apart < best.apart or best.apart != best.apart:
            best = start
    if best is None or best.apart != best.apart:
        raise ValueError("ICP diverged in every run; a lower learning_rate may help")
    return best


def principal_components(rows: torch.Tensor, components: int) -> torch.Tensor:
    """[n, p]: the centred rows on their first principal components (all, if there are fewer), scaled to mean
    square 1; each component has a positive third moment."""
    centred = (rows - rows.mean(0)).double()
    _, directions = torch.linalg.eigh(centred.T @ centred)
    scores = centred @ directions.flip(1)[:, :components]
    scores = scores * torch.where(scores.pow(3).sum(0) < 0, -1.0, 1.0)
    return (scores / scores.square().mean().sqrt()).float()


class _Adam:
    """Adam's steps (Kingma & Ba 2015)."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._steps = 0
        self._mean: torch.Tensor | float = 0.0
        self._mean_square: torch.Tensor | float = 0.0

    def __call__(self, gradient: torch.Tensor) -> torch.Tensor:
        self._steps += 1
        self._mean = _FIRST_MOMENT * self._mean + (1 - _FIRST_MOMENT) * gradient
        self._mean_square = _SECOND_MOMENT * self._mean_square + (1 - _SECOND_MOMENT) * gradient.square()
        mean = self._mean / (1 - _FIRST_MOMENT**self._steps)
        mean_square = self._mean_square / (1 - _SECOND_MOMENT**self._steps)
        return self._rate * mean / (mean_square.sqrt() + _TINY)


def _nearest(queries: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
    """int64 [q]: the row of `keys` at the least Euclidean distance from each row of `queries`."""
    halved = keys.square().sum(1) / 2
    return torch.cat([products.sub_(halved).max(dim=1).indices for _, products in product_blocks(queries, keys)])
