"""Plugin `uriel`: typological distances between the languages of a study.

    plugins:
      uriel: {}

Source: URIEL as lang2vec distributes it (Littell et al., "URIEL and lang2vec", EACL 2017), CC BY-SA 4.0. The distance
of two languages is 1 − cosine of their binary feature vectors of one kind; features that no source documents are those
predicted from the nearest neighbours (lang2vec's `*_knn` sets). lang2vec's separate table of distances is not used:
these vectors do not reproduce it (English-French syntactic: 0.4569 in its README, 0.1882 here).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from compute.catalog import fetch, find
from compute.errors import JobError
from compute.languages import THREE_LETTERS
from compute.plugin import Context, Job, JobConfig, Outcome, Planned, Plugin
from compute.plugins.costs import SECOND
from compute.plugins.one_job import one_by_one
from compute.study.schema import Study
from compute.values import Language, NoRepeats, Section

Distance = Literal["syntactic", "phonological", "inventory"]

_PREFIXES: dict[Distance, str] = {"syntactic": "S_", "phonological": "P_", "inventory": "INV_"}
"""How URIEL's names of a kind of features begin."""

_REPOSITORY = "antonisa/lang2vec"
_PATH = "lang2vec/data/feature_predictions.npz"


class Settings(Section):
    """The plugin's section of a study."""

    distances: Annotated[tuple[Distance, ...], Field(min_length=1), NoRepeats] = Field(
        get_args(Distance), description="by which features two languages are compared"
    )
    languages: Annotated[tuple[Language, ...], Field(min_length=2), NoRepeats] | None = Field(
        None, description="left out: every language of the study's sources, targets and embeddings"
    )


@dataclass(frozen=True)
class Features:
    """URIEL's feature vectors.

    Attributes:
        languages: row by ISO 639-3 code.
        names: of the columns, beginning with the kind of feature.
        values: 0 or 1, [languages, features].
    """

    languages: dict[str, int]
    names: NDArray[np.str_]
    values: NDArray[np.float32]

    @classmethod
    def read(cls, path: Path) -> Features:
        """Return the arrays of lang2vec's `feature_predictions.npz`; pickled ones are refused.

        Raises:
            ValueError: the file is no such archive, or its arrays do not fit each other.
        """
        try:
            with np.load(path, allow_pickle=False) as archive:
                languages, names, values = (archive[key] for key in ("langs", "feats", "data"))
        except Exception as error:  # zipfile, zlib and NumPy each have their own for a damaged file
            raise ValueError(f"{path}: not an archive of the arrays langs, feats and data: {error}") from error
        if values.shape != (len(languages), len(names), 1):
            raise ValueError(
                f"{path}: data is {values.shape}, expected ({len(languages)}, {len(names)}, 1) by its langs and feats"
            )
        return cls({str(code): row for row, code in enumerate(languages)}, names, values[:, :, 0])

    def vectors(self, languages: Sequence[str], kind: Distance) -> NDArray[np.float64]:
        """Feature vectors of one kind, [len(languages), features of that kind]; NaN for a language URIEL lacks."""
        of_kind = self.values[:, np.char.startswith(self.names, _PREFIXES[kind])]
        found = np.full((len(languages), of_kind.shape[1]), np.nan)
        for i, language in enumerate(languages):
            row = self.languages.get(THREE_LETTERS.get(language, language))
            if row is not None:
                found[i] = of_kind[row]
        return found


def cosine_distances(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 − cosine of every two rows of [n, d], [n, n]; NaN with a row that is NaN or all zeros."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.where(lengths == 0, np.nan, lengths)
    return np.clip(1.0 - unit @ unit.T, 0.0, 2.0)


class LanguageDistances(JobConfig):
    """Every ordered pair of some languages."""

    languages: tuple[str, ...]
    distances: tuple[Distance, ...]
    sha256: str | None


class Uriel(Plugin):
    """Rows of `raw.language_distances`: every ordered pair of different languages, one job for all of them.

    A language that URIEL lacks, or of which it has no feature of a kind, has its rows too, with value NULL.
    """

    name = "uriel"
    version = "1"
    Config = Settings

    def plan(self, study: Study, planned: Planned, config: Any) -> Iterable[Job]:
        languages = config.languages or study_languages(study)
        if len(languages) < 2:
            raise ValueError("a distance takes two languages; list them under plugins.uriel.languages")
        yield Job(
            plugin=self.name,
            version=self.version,
            config=LanguageDistances(
                languages=tuple(sorted(languages)), distances=config.distances, sha256=find(_REPOSITORY, _PATH).sha256
            ),
            label=f"distances of {len(languages)} languages by URIEL",
            batch="distances",
            cost=0.2 * SECOND,
        )

    def run(self, jobs: Sequence[Job], context: Context) -> Iterator[tuple[Job, Outcome]]:
        return one_by_one(jobs, context, _distances)


def _distances(job: Job[LanguageDistances], context: Context) -> Outcome:
    languages = job.config.languages
    features = Features.read(fetch(find(_REPOSITORY, _PATH)))
    distances = {kind: cosine_distances(features.vectors(languages, kind)) for kind in job.config.distances}
    if all(np.isnan(values).all() for values in distances.values()):
        raise JobError(f"URIEL has no features of any of {', '.join(languages)}")
    rows = [
        {
            "source_language": languages[source],
            "target_language": languages[target],
            "measure": kind,
            "value": None if np.isnan(values[source, target]) else float(values[source, target]),
        }
        for kind, values in distances.items()
        for source, target in permutations(range(len(languages)), 2)
    ]
    return {"language_distances": rows}


def study_languages(study: Study) -> list[str]:
    """Languages that a study tunes on, evaluates or embeds, sorted."""
    cells = [cell for grid in (study.sources, study.targets) if grid is not None for cell in grid.cells]
    embedded = study.embeddings.languages if study.embeddings is not None else ()
    return sorted({language for _, language in cells} | set(embedded))
