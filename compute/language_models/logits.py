"""Logits at chosen places only: with long contexts, short answers and a large vocabulary, most of all logits would be
made for nothing.

The output layer is given those places, and not the model a mask as `logits_to_keep`: not every version of transformers
takes one, and looking through a mask makes the host wait for a GPU.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel


def logits_at(model: PreTrainedModel, places: Tensor, **arguments: Any) -> Tensor:
    """Return logits [places, vocabulary] of `model(**arguments)`.

    Args:
        model: any causal language model; one whose output layer cannot be told makes all logits.
        places: int64 [places], numbers of tokens in the batch [rows, length] flattened.
        arguments: of the model.
    """
    output = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    if output is None:
        every: Tensor = model(**arguments).logits
        return every.flatten(0, 1).index_select(0, places.to(every.device))

    def pick(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        hidden = inputs[0].flatten(0, 1)
        return (hidden.index_select(0, places.to(hidden.device))[None],)

    handle = output.register_forward_pre_hook(pick)
    try:
        logits: Tensor = model(**arguments).logits[0]
    finally:
        handle.remove()
    return logits
