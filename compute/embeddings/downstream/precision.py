"""Average precision, the measure of one query."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def average_precision(scores: NDArray[Any], relevant: list[int]) -> float:
    """Return the mean over the relevant documents of the precision among all documents scored as high or higher.

    Documents of equal score are taken together: their order is not the model's, and none is made up for it. Equal to
    Σ_n (R_n − R_{n−1}) P_n over the distinct scores, scikit-learn's `average_precision_score`.

    Args:
        scores: [documents], higher is better.
        relevant: positions of the relevant documents, one or more.
    """
    ascending = np.sort(scores)
    as_high = len(scores) - np.searchsorted(ascending, scores[relevant], side="left")
    relevant_as_high = len(relevant) - np.searchsorted(np.sort(scores[relevant]), scores[relevant], side="left")
    return float(np.mean(relevant_as_high / as_high))
