"""An isometry measure: how far apart the means of the training pairs' words are."""

from __future__ import annotations

from functools import partial

import numpy as np

from compute.embeddings.isometry import Measure
from compute.embeddings.mappings import Seeds
from compute.embeddings.vectors import Vectors


@partial(Measure, of_pairs=True)
def mean_distance(source: Vectors, target: Vectors, seeds: Seeds) -> float:
    """Return the Euclidean distance of the two means; 0 where they are one."""
    one, other = source.matrix[seeds[:, 0]].mean(axis=0), target.matrix[seeds[:, 1]].mean(axis=0)
    return float(np.linalg.norm(one - other))
