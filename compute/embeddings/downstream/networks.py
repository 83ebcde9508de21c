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
        """Return logits [b, classes] of texts [b, l, d] with `lengths` [b] words, zero beyond."""
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


Sentences = tuple[torch.Tensor, torch.Tensor]
"""Word vectors [b, l, d], zero beyond a sentence's end, and lengths [b], 1 or more."""


class Esim(nn.Module):
    """Chen et al. (2017), section 3: both sentences encoded by one BiLSTM (eq. 1-2); each word beside what the other
    sentence says of it, by soft attention (eq. 11-13); their difference and product, projected (eq. 14-15); a second
    BiLSTM (eq. 16-17); mean and maximum over each sentence (eq. 18-20); a layer of tanh and a linear one.

    Args:
        dimension: d, of the word vectors.
        classes: of the output.
        hidden: units of each direction of an LSTM, and of the layers between.
        dropout: share dropped before each layer.
    """

    def __init__(self, dimension: int, classes: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.encoder = nn.LSTM(dimension, hidden, batch_first=True, bidirectional=True)
        self.projection = nn.Linear(8 * hidden, hidden)
        self.composition = nn.LSTM(hidden, hidden, batch_first=True, bidirectional=True)
        self.inner = nn.Linear(8 * hidden, hidden)
        self.output = nn.Linear(hidden, classes)
        self.dropout = nn.Dropout(dropout)

    def forward(self, premises: Sentences, hypotheses: Sentences) -> torch.Tensor:
        """Return logits [b, classes]."""
        (a, a_lengths), (b, b_lengths) = premises, hypotheses
        a, b = (self._run(self.encoder, self.dropout(words), n) for words, n in ((a, a_lengths), (b, b_lengths)))
        a_beyond, b_beyond = _beyond(a, a_lengths), _beyond(b, b_lengths)
        likeness = a @ b.transpose(1, 2)
        of_b = likeness.masked_fill(b_beyond[:, None, :], -torch.inf).softmax(dim=2) @ b
        of_a = likeness.transpose(1, 2).masked_fill(a_beyond[:, None, :], -torch.inf).softmax(dim=2) @ a
        pooled = [
            *self._compose(a, of_b, a_lengths, a_beyond),
            *self._compose(b, of_a, b_lengths, b_beyond),
        ]
        inner = torch.tanh(self.inner(self.dropout(torch.cat(pooled, dim=1))))
        logits: torch.Tensor = self.output(self.dropout(inner))
        return logits

    def _compose(
        self, own: torch.Tensor, other: torch.Tensor, lengths: torch.Tensor, beyond: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and maximum, [b, 2 hidden] each, of a sentence's words beside the other sentence's."""
        enhanced = torch.relu(self.projection(torch.cat([own, other, own - other, own * other], dim=2)))
        composed = self._run(self.composition, self.dropout(enhanced), lengths)
        # Zero beyond a sentence's end, so a sum is over its words alone.
        mean = composed.sum(dim=1) / lengths[:, None]
        return mean, composed.masked_fill(beyond[:, :, None], -torch.inf).amax(dim=1)

    @staticmethod
    def _run(lstm: nn.LSTM, words: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """[b, l, 2 hidden], zero beyond a sentence's end."""
        packed = nn.utils.rnn.pack_padded_sequence(words, lengths.cpu(), batch_first=True, enforce_sorted=False)
        found, _ = nn.utils.rnn.pad_packed_sequence(lstm(packed)[0], batch_first=True, total_length=words.shape[1])
        return found


def _beyond(words: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """[b, l]: True beyond a sentence's end."""
    return torch.arange(words.shape[1], device=words.device)[None] >= lengths[:, None]
