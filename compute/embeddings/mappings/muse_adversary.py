"""MUSE's adversarial training (`compute.embeddings.mappings.muse`)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from compute.embeddings.mappings.muse_refinement import Judged, Sides
from compute.embeddings.mappings.muse_settings import AdversarialTraining

_LEAK = 0.2
_DIVERGED = 1e4
"""A W with an entry above this, or NaN, ends a run: it would not come back."""


def adversarial_epochs(sides: Sides, settings: AdversarialTraining, seed: int) -> Iterator[Judged]:
    """W after each epoch of a run, as long as it is finite. The global random state is left as it was."""
    x, z = sides.x[: settings.discriminator_words], sides.z[: settings.discriminator_words]
    with torch.random.fork_rng([x.device] if x.device.type == "cuda" else []):
        torch.manual_seed(seed)
        game = _Game(x, z, settings)
        best, fell = -float("inf"), False
        for _ in range(settings.epochs):
            for _ in range(0, settings.epoch_samples, settings.batch):
                game.play()
            w = game.w.detach().clone()
            if not w.abs().max() < _DIVERGED:  # which NaN is not either
                return
            judged = sides.judged(w)
            yield judged
            game.slow_down(settings.decay)
            if judged.criterion < best:
                game.slow_down(settings.shrink if fell else 1)
                fell = True
            best = max(best, judged.criterion)


class _Game:
    """W and the discriminator; the rows of `x` and `z` are what they are shown."""

    def __init__(self, x: torch.Tensor, z: torch.Tensor, settings: AdversarialTraining) -> None:
        self._x, self._z, self._settings = x, z, settings
        dimension, width = x.shape[1], settings.discriminator_width
        self._discriminator = nn.Sequential(  # [b, d] -> [b, 1]: the logit of "this is a source vector"
            nn.Dropout(settings.input_dropout),
            nn.Linear(dimension, width),
            nn.LeakyReLU(_LEAK),
            nn.Linear(width, width),
            nn.LeakyReLU(_LEAK),
            nn.Linear(width, 1),
        ).to(x.device)
        self.w = torch.eye(dimension, device=x.device, requires_grad=True)
        self._discriminator_optimiser = torch.optim.SGD(self._discriminator.parameters(), lr=settings.learning_rate)
        self._w_optimiser = torch.optim.SGD([self.w], lr=settings.learning_rate)
        self._is_source = torch.full((2 * settings.batch,), settings.smoothing, device=x.device)
        self._is_source[: settings.batch] = 1 - settings.smoothing

    def play(self) -> None:
        """`discriminator_steps` steps of the discriminator, then one of W."""
        steps, batch = self._settings.discriminator_steps, self._settings.batch
        source = self._x[torch.randint(len(self._x), (steps + 1, batch), device=self._x.device)]
        target = self._z[torch.randint(len(self._z), (steps + 1, batch), device=self._z.device)]
        with torch.no_grad():
            mapped = source[:steps] @ self.w
        self._discriminator.train()
        for step in range(steps):
            self._discriminator_optimiser.zero_grad()
            self._loss(mapped[step], target[step], self._is_source).backward()
            self._discriminator_optimiser.step()
        self._discriminator.eval()
        self._discriminator.requires_grad_(False)
        self._w_optimiser.zero_grad()
        self._loss(source[steps] @ self.w, target[steps], 1 - self._is_source).backward()
        self._w_optimiser.step()
        self._discriminator.requires_grad_(True)
        beta = self._settings.beta
        with torch.no_grad():
            self.w.copy_((1 + beta) * self.w - beta * (self.w @ self.w.T) @ self.w)

    def slow_down(self, factor: float) -> None:
        """Multiplies the learning rate of W."""
        self._w_optimiser.param_groups[0]["lr"] *= factor

    def _loss(self, mapped: torch.Tensor, target: torch.Tensor, is_source: torch.Tensor) -> torch.Tensor:
        logits = self._discriminator(torch.cat([mapped, target]))[:, 0]
        return nn.functional.binary_cross_entropy_with_logits(logits, is_source)
