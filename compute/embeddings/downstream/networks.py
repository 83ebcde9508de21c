"""The neural classifiers as torch modules. Word vectors come in frozen; what a text is next to in its batch does not
change what comes out for it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


class Convolutional(nn.Module):
    """Kim (2014): filters over windows of words, rectified, the strongest place of each, dropout, a linear layer.

    Args:
        dimension: d, of the word vectors.
        classes: of the output.
        widths: words in a window; there are `filters` of each.
    """

    def __init__(self, dimension: int, classes: int, widths: Sequence[int], filters: int, dropout: float) -> None:
        super().__init__()
        self.widths = tuple(widths)
        self.convolutions = nn.ModuleList(nn.Conv1d(dimension, filters, width) for width in self.widths)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(filters * len(self.widths), classes)

    def forward(self, words: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Logits [b, classes] of texts [b, l, d] with `lengths` [b] words, zero beyond."""
        words = nn.functional.pad(words, (0, 0, 0, max(0, max(self.widths) - words.shape[1]))).transpose(1, 2)
        strongest = []
        for width, convolution in zip(self.widths, self.convolutions, strict=True):
            found = torch.relu(convolution(words))
            # Windows wholly within the text, or the first one of a text shorter than a window.
            windows = (lengths - width + 1).clamp(min=1)
            beyond = torch.arange(found.shape[2], device=found.device)[None] >= windows[:, None]
            strongest.append(found.masked_fill(beyond[:, None], 0).amax(dim=2))
        logits: torch.Tensor = self.output(self.dropout(torch.cat(strongest, dim=1)))
        return logits
