"""How the vectors of two languages are brought into one space: a file a method, a line a method in `METHODS`.

To add a method:
1. write `<name>.py` here: a subclass of `MappingMethod`, its fields the settings, with one function `fit`
   (torch is imported inside it: a study is checked and planned without);
2. add its line to `METHODS`, or, in a package of your own, an entry point of the group `transfer.mapping_methods`;
3. test it on a planted rotation, as `tests/unit/embeddings/test_mapping_proc.py` does.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from compute.embeddings.vectors import Matrix, Vectors
from compute.registry import Registry
from compute.values import Section

Supervision = Literal["supervised", "semi-supervised", "unsupervised"]

Seeds = NDArray[np.int64]
"""[m, 2]: source row and target row of each training pair; a repeated pair counts twice."""


@dataclass(frozen=True)
class Mapping:
    """A learnt map: `(source - source_mean) @ source_map` and `(target - target_mean) @ target_map` live in
    one space.

    The maps are float32 [d, d'], the means float32 [d]; None leaves a side as it is, at no cost.
    """

    source_map: Matrix | None
    target_map: Matrix | None = None
    source_mean: Matrix | None = None
    target_mean: Matrix | None = None

    def apply(self, source: Vectors, target: Vectors) -> tuple[Vectors, Vectors]:
        """Return the mapped vectors of both sides.

        Raises:
            ValueError: the dimensions do not fit, or a mapped vector is not finite.
        """
        return (
            _mapped(source, self.source_map, self.source_mean),
            _mapped(target, self.target_map, self.target_mean),
        )


def _mapped(vectors: Vectors, by: Matrix | None, mean: Matrix | None) -> Vectors:
    if by is None and mean is None:
        return vectors
    matrix: Matrix = vectors.matrix if mean is None else np.subtract(vectors.matrix, mean, dtype=np.float32)
    return vectors.moved(matrix if by is None else matrix @ by)


class MappingMethod(Section, ABC):
    """A method with its settings: the fields are what a study may set."""

    supervision: ClassVar[Supervision] = "supervised"
    """An unsupervised method is planned once a pair, with `dictionary_size` 0, and given no seed pairs."""

    version: ClassVar[str] = "1"
    """Raise it when the same settings would give other numbers: the keys of its jobs depend on it."""

    draws: ClassVar[bool] = False
    """Whether `seed` changes anything: only then is the method planned for each seed of a study."""

    @abstractmethod
    def fit(self, source: Vectors, target: Vectors, seeds: Seeds, device: str = "cpu", seed: int = 0) -> Mapping:
        """Learns the map from vectors that are already preprocessed.

        Args:
            source: most frequent word first.
            target: likewise.
            seeds: rows of the training pairs; empty for an unsupervised method.
            device: where the products are made ("cpu", "cuda").
            seed: of whatever the method draws; the same seed gives the same map on one machine.

        Raises:
            ValueError: the two sides, or the seeds, cannot be learnt from; the message says why.
        """


def restart_seeds(seed: int, restarts: int) -> range:
    """Return the seeds of a run's restarts; runs of other seeds share none of them, so that they are other tries."""
    return range(seed * restarts, (seed + 1) * restarts)


METHODS: Registry[type[MappingMethod]] = Registry(
    "mapping method",
    "transfer.mapping_methods",
    {
        "cca": "compute.embeddings.mappings.cca:CanonicalCorrelation",
        "cca_projection": "compute.embeddings.mappings.cca:CanonicalProjection",
        "proc": "compute.embeddings.mappings.proc:Procrustes",
        "proc_b": "compute.embeddings.mappings.proc_b:BootstrappedProcrustes",
        "dlv": "compute.embeddings.mappings.dlv:LatentVariableMatching",
        "rcsls": "compute.embeddings.mappings.rcsls:RelaxedCsls",
        "vecmap": "compute.embeddings.mappings.vecmap:VecMap",
        "vecmap_semi_supervised": "compute.embeddings.mappings.vecmap:VecMapSemiSupervised",
        "vecmap_supervised": "compute.embeddings.mappings.vecmap:VecMapSupervised",
        "muse": "compute.embeddings.mappings.muse:Muse",
        "muse_supervised": "compute.embeddings.mappings.muse:MuseSupervised",
        "icp": "compute.embeddings.mappings.icp:IterativeClosestPoints",
        "gwa": "compute.embeddings.mappings.gwa:GromovWasserstein",
    },
    "compute.embeddings.mappings:MappingMethod",
)

load_method = METHODS.load
"""Returns the class of a method; `load_method(name)(**settings)` is the method itself."""
