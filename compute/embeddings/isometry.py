"""How alike two vector spaces are before any map is learnt. All measures but RSIM look at the vectors alone.

Every measure takes (source, target, seeds): two sets of vectors and the training pairs as rows [m, 2], and
returns one number. Papers differ in how many words and neighbours they look at; the constants here say what
is done in this house.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from compute.embeddings.mappings import Seeds
from compute.embeddings.vectors import Matrix, Vectors, unit_rows
from compute.registry import Registry

Floats = NDArray[np.float64]

GRAPH_WORDS = 1_000
GRAPH_NEIGHBOURS = 10
GRAPH_SHARE = 0.9
RSIM_PAIRS = 2_000
HAUSDORFF_WORDS = 5_000


@dataclass(frozen=True)
class Measure:
    """A measure of how alike two vector spaces are.

    Attributes:
        function: of source, target and training pairs, rows [m, 2].
        of_pairs: True: it looks at the training pairs; the others are given none.
        version: raise it when the same vectors would give another number.
    """

    function: Callable[[Vectors, Vectors, Seeds], float]
    of_pairs: bool = False
    version: str = "1"

    def __call__(self, source: Vectors, target: Vectors, seeds: Seeds) -> float:
        return self.function(source, target, seeds)


@Measure
def eigenvector_similarity(source: Vectors, target: Vectors, seeds: Seeds) -> float:
    """Laplacian spectra of the two neighbourhood graphs (Søgaard, Ruder & Vulić 2018): sum over the k largest
    eigenvalues of (λ_source − λ_target)²; 0 where the graphs have one spectrum, unbounded above.

    n = 1,000 most frequent words (of each side; as many as the smaller side has), each joined without
    direction or weight to its 10 nearest by cosine among them; k = the smaller of the two sides' least
    number of largest eigenvalues that sum to at least 90 % of the trace. The paper leaves the graph's size
    and neighbours open.

    Raises:
        ValueError: fewer than 2 words on a side.
    """
    n = min(len(source), len(target), GRAPH_WORDS)
    _at_least(n, 2, "words on each side", "eigenvector_similarity")
    spectra = [_laplacian_spectrum(vectors.matrix[:n]) for vectors in (source, target)]
    k = min(int(np.searchsorted(np.cumsum(s), GRAPH_SHARE * s.sum())) + 1 for s in spectra)
    return float(((spectra[0][:k] - spectra[1][:k]) ** 2).sum())


@partial(Measure, of_pairs=True)
def relational_similarity(source: Vectors, target: Vectors, seeds: Seeds) -> float:
    """RSIM (Vulić, Ruder & Søgaard 2020): Pearson correlation, over all pairs of training pairs, of the
    cosine of their two source words with that of their two target words; 1 for isometric spaces (up to
    scale).

    The first 2,000 distinct training pairs, and no test pair: it shall be known before a map is judged.

    Raises:
        ValueError: fewer than 3 distinct training pairs, or all cosines of a side are equal.
    """
    _, first = np.unique(seeds, axis=0, return_index=True)
    pairs = seeds[np.sort(first)][:RSIM_PAIRS]
    _at_least(len(pairs), 3, "distinct training pairs", "relational_similarity")
    above = np.triu_indices(len(pairs), k=1)
    cosines = []
    for vectors, rows in ((source, pairs[:, 0]), (target, pairs[:, 1])):
        x = unit_rows(vectors.matrix[rows]).astype(np.float64)
        centred = (x @ x.T)[above]
        centred -= centred.mean()
        length = np.linalg.norm(centred)
        # Cosines are known to about 1e-7: a spread below that is rounding, and so would be the correlation.
        if length <= 1e-7 * np.sqrt(len(centred)):
            raise ValueError("relational_similarity: all cosines between the words of one side are equal")
        cosines.append(centred / length)
    return float(cosines[0] @ cosines[1])


@Measure
def gromov_hausdorff(source: Vectors, target: Vectors, seeds: Seeds) -> float:
    """Lower bound of the Gromov-Hausdorff distance (Chazal et al. 2009; for word vectors Patra et al.
    2019): half the bottleneck distance of the 0-dimensional persistence diagrams of the two Vietoris-Rips
    filtrations, for Euclidean distance between unit vectors; 0 for isometric spaces, at most 1.

    n = 5,000 most frequent words of each side; a filtration's parameter is the diameter of its simplices.

    Raises:
        ValueError: fewer than 2 words on a side.
    """
    _at_least(min(len(source), len(target)), 2, "words on each side", "gromov_hausdorff")
    deaths = [_component_deaths(vectors.matrix[:HAUSDORFF_WORDS]) for vectors in (source, target)]
    return _bottleneck(deaths[0], deaths[1]) / 2


@Measure
def effective_condition(source: Vectors, target: Vectors, seeds: Seeds) -> float:
    """ECOND-HM (Dubossarsky et al. 2020): harmonic mean of the two sides' effective condition numbers σ_1 /
    σ_r, where r is the effective rank exp(−Σ p_i ln p_i), p_i = σ_i / Σ σ (Roy & Vetterli 2007), rounded
    down. At least 1; small where no direction dominates.

    All words, vectors as given (not centred, not normalized), singular values σ from the Gram matrix in
    float64.

    Raises:
        ValueError: all vectors of a side are zero.
    """
    one, other = (_condition_at_effective_rank(vectors.matrix) for vectors in (source, target))
    return 2 / (1 / one + 1 / other)


MEASURES: Registry[Measure] = Registry(
    "isometry measure",
    "transfer.isometry_measures",
    {
        name: f"compute.embeddings.isometry:{name}"
        for name in ("eigenvector_similarity", "relational_similarity", "gromov_hausdorff", "effective_condition")
    },
    "compute.embeddings.isometry:Measure",
)
"""By name in `raw.isometry`."""


def _at_least(found: int, needed: int, what: str, measure: str) -> None:
    if found < needed:
        raise ValueError(f"{measure} needs at least {needed} {what}, found {found}")


def _laplacian_spectrum(matrix: Matrix) -> Floats:
    """Eigenvalues, largest first, of D − A for the neighbourhood graph A of the rows [n, d]."""
    unit = unit_rows(matrix)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -np.inf)
    k = min(GRAPH_NEIGHBOURS, len(matrix) - 1)
    nearest = np.argpartition(-cosines, k - 1, axis=1)[:, :k]
    adjacency = np.zeros(cosines.shape, dtype=np.float64)
    np.put_along_axis(adjacency, nearest, 1.0, axis=1)
    adjacency = np.maximum(adjacency, adjacency.T)
    laplacian = np.diag(adjacency.sum(axis=1)) - adjacency
    return np.asarray(np.linalg.eigvalsh(laplacian)[::-1], dtype=np.float64)


def _component_deaths(matrix: Matrix) -> Floats:
    """When components merge as the parameter grows: edge lengths of the minimum spanning tree, largest first.

    Prim's algorithm on distances made row by row, so that no [n, n] matrix is held.
    """
    unit = unit_rows(matrix).astype(np.float64)
    squared = (unit**2).sum(axis=1)
    outside = np.ones(len(unit), dtype=bool)
    nearest = np.full(len(unit), np.inf)
    deaths = np.empty(len(unit) - 1)
    joined = 0
    for i in range(len(deaths)):
        outside[joined] = False
        nearest = np.minimum(nearest, squared + squared[joined] - 2 * (unit @ unit[joined]))
        joined = int(np.argmin(np.where(outside, nearest, np.inf)))
        deaths[i] = nearest[joined]
    return np.sort(np.sqrt(np.maximum(deaths, 0)))[::-1]


def _bottleneck(deaths: Floats, others: Floats) -> float:
    """Bottleneck distance of two diagrams whose points are all born at 0, given their deaths, largest first.

    On a line the best way to match is in order, and what is left to the diagonal (at cost death / 2) is the
    smallest of each side: so only the number m of matched points is to be tried.
    """
    most = min(len(deaths), len(others))
    gaps = np.maximum.accumulate(np.concatenate([[0.0], np.abs(deaths[:most] - others[:most])]))
    left = np.maximum(np.append(deaths, 0.0)[: most + 1], np.append(others, 0.0)[: most + 1]) / 2
    return float(np.maximum(gaps, left).min())


def _condition_at_effective_rank(matrix: Matrix) -> float:
    x = matrix.astype(np.float64)
    singular = np.sqrt(np.maximum(np.linalg.eigvalsh(x.T @ x)[::-1], 0))
    if singular[0] == 0:
        raise ValueError("effective_condition: all vectors of one side are zero")
    shares = singular / singular.sum()
    shares = shares[shares > 0]
    # 1e-9: a spectrum of r equal values has effective rank r, which exp and log may miss by a rounding.
    rank = int(np.exp(-(shares * np.log(shares)).sum()) + 1e-9)
    return float(singular[0] / singular[rank - 1])
