"""AdamW and its schedule, as Hugging Face's `Trainer` has them, for each adapter of a stack."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from compute.language_models.lora import LoraStack
from compute.language_models.settings import Lora


def share_of_peak(step: int, steps: int, warmup: float) -> float:
    """Return the share of the peak learning rate at a step, from 1: linear up from zero, then linear down to zero.

    As `transformers.get_linear_schedule_with_warmup`: with warm-up, the first step has rate zero.

    Args:
        step: 1 to `steps`.
        steps: in all.
        warmup: share of the steps that warm up, rounded up to whole steps.
    """
    done, rising = step - 1, math.ceil(warmup * steps)
    if done < rising:
        return done / rising
    return (steps - done) / max(1, steps - rising)


class StackedAdamW:
    """torch's AdamW (Loshchilov and Hutter, arXiv 1711.05101) on each adapter, with a rate and a norm of its own."""

    def __init__(self, stack: LoraStack, settings: Lora) -> None:
        self.stack = stack
        self.max_grad_norm = settings.max_grad_norm
        self._vectors = [stack.trained(k) for k in range(len(stack))]
        groups = [{"params": vectors} for vectors in self._vectors]
        fused = all(vector.device.type in ("cpu", "cuda") for vector in self._vectors[0])
        self._adamw = torch.optim.AdamW(
            groups, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=fused
        )

    @torch.no_grad()
    def step(self, rates: Sequence[float]) -> Tensor:
        """Updates the stack's active adapters from its gradients, which are used up.

        Args:
            rates: learning rates of the active adapters.

        Returns:
            Norms of all adapters' gradients before clipping, float32 [adapters]. Not waited for: a norm that is not
            finite has spoiled its adapter, and only that, by the time it is seen.
        """
        gradients = self.stack.gradients
        device = gradients[0].device
        norms = torch.stack([torch.linalg.vector_norm(part, dim=1).to(device) for part in gradients])
        norms = torch.linalg.vector_norm(norms, dim=0)
        clip = (self.max_grad_norm / (norms + 1e-6)).clamp(max=1.0)
        for part in gradients:
            part.mul_(clip.to(part.device)[:, None])
        for vectors in self._vectors:
            for vector in vectors:
                vector.grad = None  # AdamW passes over those
        for k, rate in zip(self.stack.active, rates, strict=True):
            self._adamw.param_groups[k]["lr"] = rate
            for vector, part in zip(self._vectors[k], gradients, strict=True):
                vector.grad = part[k]
        self._adamw.step()
        self.stack.zero_gradients()
        self.stack.refresh()
        return norms
