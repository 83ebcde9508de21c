"""MUSE: a rotation learnt against an adversary, then refined by Procrustes on its own mutual nearest neighbours.

Conneau, Lample, Ranzato, Denoyer and Jégou, "Word Translation Without Parallel Data", ICLR 2018. With source
rows X [n, d], target rows Z [m, d] and W [d, d], x W is compared with z. Two methods:

* `Muse` learns W without pairs. A discriminator, P(source | v) for a vector v, and W are trained against each
  other on mini-batches of the most frequent words (equations 3 and 4):
    L_D = -mean log P(source | x W) - mean log P(target | z)
    L_W = -mean log P(target | x W) - mean log P(source | z)
  with labels smoothed to 1 - s and s, several steps of the discriminator for one of W, and after each of those
  W <- (1 + β) W - β (W Wᵀ) W, which keeps W close to orthogonal (equation 7). After each epoch the criterion
  is taken; the W where it was best is refined.
* `MuseSupervised` takes the Procrustes solution of the training pairs for W, and refines it.

Refinement: the words that are each other's nearest by CSLS, among the most frequent of both sides, are the
dictionary of a new Procrustes solution; `refinements` times. Neighbourhoods of CSLS are over the whole
vocabularies.

Criterion (section 3.5), for epochs, refinements and restarts alike: the mean cosine between the 10,000 most
frequent source words, mapped, and the target words nearest to them by CSLS, where those are among the 10,000
most frequent too. It needs no pairs. (The authors' script chooses the supervised refinement by its accuracy
on the evaluation dictionary instead.) What follows the adversarial training is chosen among the refinements only
(the script compares them with the W before too): a W that is not orthogonal has higher cosines for that alone.

The discriminator has two hidden layers with leaky ReLU (slope 0.2) and dropout on its input; both sides learn
by plain SGD. The rate of W shrinks by `decay` after every epoch, and also by `shrink` after every epoch, from
the second on, whose criterion is below the best. Vectors are used as given. Defaults are those of the authors'
scripts, except that they induce the dictionary of the unsupervised refinement in one direction only.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from compute.embeddings.mappings import Mapping, MappingMethod, Seeds, Supervision, restart_seeds
from compute.embeddings.mappings.muse_settings import AdversarialTraining
from compute.embeddings.vectors import Vectors


class MuseSupervised(MappingMethod):
    """Procrustes on the training pairs, then refinement. Maps the source side; the target side stays."""

    refinements: int = Field(default=5, ge=0, le=1_000, description="Procrustes solutions from an induced dictionary")
    dictionary_words: int = Field(
        default=10_000, ge=1, description="most frequent words of each side that may enter an induced dictionary"
    )

    def fit(self, source: Vectors, target: Vectors, seeds: Seeds, device: str = "cpu", seed: int = 0) -> Mapping:
        """W [d, d] from the seed rows [m, 2]; nothing is drawn.

        Raises:
            ValueError: no seeds, or vectors of two dimensions.
        """
        from compute.embeddings.mappings.muse_refinement import Sides, best_of, refined
        from compute.embeddings.mappings.pairs import as_map, check_same_dimension, seed_vectors
        from compute.embeddings.mappings.proc import rotation

        check_same_dimension(source, target)
        sides = Sides(source, target, self.dictionary_words, device)
        start = sides.judged(rotation(*seed_vectors(source, target, seeds, device)).float())
        return Mapping(source_map=as_map(best_of([start, *refined(sides, start, self.refinements)]).w))


class Muse(AdversarialTraining, MuseSupervised):
    """Adversarial training, then refinement. Maps the source side; the target side stays."""

    supervision: ClassVar[Supervision] = "unsupervised"
    draws: ClassVar[bool] = True

    dictionary_words: int = Field(
        default=15_000, ge=1, description="most frequent words of each side that may enter an induced dictionary"
    )
    restarts: int = Field(
        default=1, ge=1, description="runs, with seeds that no other seed has; the best by the criterion is kept"
    )

    def fit(self, source: Vectors, target: Vectors, seeds: Seeds, device: str = "cpu", seed: int = 0) -> Mapping:
        """W [d, d]; `seeds` are not used.

        Raises:
            ValueError: vectors of two dimensions, or no epoch of any run ended with a finite W.
        """
        from compute.embeddings.mappings.muse_adversary import adversarial_epochs
        from compute.embeddings.mappings.muse_refinement import Sides, best_of, refined
        from compute.embeddings.mappings.pairs import as_map, check_same_dimension

        check_same_dimension(source, target)
        sides = Sides(source, target, self.dictionary_words, device)
        runs = []
        for own_seed in restart_seeds(seed, self.restarts):
            epochs = list(adversarial_epochs(sides, self, own_seed))
            if epochs:
                start = best_of(epochs)
                runs.append(best_of(list(refined(sides, start, self.refinements)) or [start]))
        if not runs:
            raise ValueError("MUSE diverged in the first epoch of every run; a lower learning_rate may help")
        return Mapping(source_map=as_map(best_of(runs).w))
