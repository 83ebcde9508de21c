"""Plugin `vectors`: monolingual word vectors, trained here or read, one job per vector set and language."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SerializeAsAny

from compute.embeddings.corpora import TextFile, bible_file, bible_verses, lower_case
from compute.embeddings.numeral_corpus import numeral_sentences
from compute.embeddings.settings import (
    BibleVectors,
    DownloadedVectors,
    NumeralVectors,
    ReadVectors,
    TextVectors,
    TrainedVectors,
    VectorSet,
)
from compute.errors import JobError, UserError
from compute.plugin import Context, Job, JobConfig, Outcome, Planned, Plugin
from compute.plugins.costs import making_cost
from compute.plugins.products import LanguageVectors
from compute.project import expand
from compute.store.digests import content_digest
from compute.study.schema import Study

if TYPE_CHECKING:
    from compute.embeddings.vectors import Vectors

READING_FILE = "reading.json"
"""Beside vectors that were read: what was met on the way (`Reading`), and the SHA-256 of what was read."""


class Making(JobConfig):
    """A vector set in one language."""

    language: str
    settings: SerializeAsAny[VectorSet]

    def identity(self) -> dict[str, Any]:
        return {"language": self.language, **self.settings.identity()}


_FILE = "file"
"""The input of jobs that read a file: the digest of its content."""


class TrainVectors(Plugin):
    """Artifact: `.npy` and vocabulary. Lands no rows of its own: vectors are not numbers to query.

    The artifact is also the cache of what was read: its key holds the content's digest, the limit on the vocabulary
    and the folding, so that the same file is parsed once, whatever the vector set is called and wherever it lies.
    """

    name = "vectors"
    version = "3"
    imports = ("gensim.models", "compute.embeddings.training")

    def plan(self, study: Study, planned: Planned, config: Any) -> Iterable[Job]:
        if study.embeddings is None:
            return
        for name, settings in study.embeddings.vectors.items():
            done = "train" if isinstance(settings, TrainedVectors) else "read"
            for language in study.embeddings.languages:
                yield Job(
                    plugin=self.name,
                    version=self.version,
                    config=Making(language=language, settings=_located(settings)),
                    inputs=_inputs(name, settings, language),
                    label=f"{done} vectors {name} for {language}",
                    batch=f"{name} {language}",
                    cost=making_cost(settings),
                    work=f"{_how(settings)}/{name}",
                    provides=LanguageVectors(name, language),
                    leaves_artifact=True,
                )

    def run(self, jobs: Sequence[Job], context: Context) -> Iterator[tuple[Job, Outcome]]:
        from compute.embeddings.vectors import save_vectors

        for job in jobs:
            context.report_progress(job.label, 0.0)
            if not context.artifacts.has(job.key):
                try:
                    vectors, notes = _make(job)
                except (ValueError, OSError, JobError, UserError) as error:
                    yield job, JobError(str(error))
                    continue
                if notes.get("malformed"):
                    context.note(f"{job.label}: {_malformed(notes)}")
                with context.artifacts.commit([job.key]) as folders:
                    save_vectors(vectors, folders[job.key])
                    if notes:
                        text = json.dumps(notes, ensure_ascii=False, indent=1)
                        (folders[job.key] / READING_FILE).write_text(text, encoding="utf-8")
            yield job, {}


def _malformed(notes: dict[str, Any]) -> str:
    """Return how many lines of a file were left out, and the first of them."""
    first, others = notes["malformed_lines"], notes["malformed"] - len(notes["malformed_lines"])
    told = "; ".join(first) + (f"; and {others:,} more" if others else "")
    return f"{notes['malformed']:,} malformed, left out: {told}"


def _located(settings: VectorSet) -> VectorSet:
    """Return the settings with whole paths: a worker may stand elsewhere."""
    paths = {name: str(expand(getattr(settings, name)).absolute()) for name in settings.local_fields}
    return settings.model_copy(update=paths)


def _inputs(name: str, settings: VectorSet, language: str) -> dict[str, str]:
    """Return the digest of what the vectors are made from; none where their settings say it all.

    Raises:
        UserError: a file of the user's is not there.
    """
    if isinstance(settings, BibleVectors):
        return {_FILE: bible_file(language).sha256}
    if not isinstance(settings, TextVectors | ReadVectors):
        return {}
    path = _path(settings, language)
    try:
        return {_FILE: content_digest(path)}
    except OSError as error:
        raise UserError(f"embeddings.vectors.{name}: {path}: {error.strerror or error}") from error


def _path(settings: TextVectors | ReadVectors, language: str) -> Path:
    return expand(settings.path.replace("{language}", language))


def _make(job: Job[Making]) -> tuple[Vectors, dict[str, Any]]:
    """Return a job's vectors, and notes on what was read for them.

    Raises:
        OSError: a file cannot be read.
        ValueError: it does not hold what it should.
        JobError: it is not the file that was planned with, or an address cannot be read.
    """
    language, settings = job.config.language, job.config.settings
    if isinstance(settings, TextVectors | ReadVectors):
        _check_unchanged(_path(settings, language), job.inputs[_FILE])
    if isinstance(settings, TrainedVectors):
        from compute.embeddings.training import train_vectors

        return train_vectors(_sentences(settings, language), settings), {}
    if isinstance(settings, ReadVectors):
        from compute.embeddings.reading import read_vectors

        fold = partial(lower_case, language=language) if settings.fold_case else None
        vectors, reading = read_vectors(_path(settings, language), settings.format, settings.vocabulary, fold)
        return vectors, asdict(reading) | {"sha256": job.inputs[_FILE]}
    if isinstance(settings, DownloadedVectors):
        return _downloaded(settings, language)
    raise TypeError(f"no way to make {type(settings).__name__}")


def _sentences(settings: TrainedVectors, language: str) -> Iterable[list[str]]:
    if isinstance(settings, NumeralVectors):
        return numeral_sentences(language, settings.sentences, settings.highest_number, settings.seed)
    if isinstance(settings, BibleVectors):
        return bible_verses(language)
    if isinstance(settings, TextVectors):
        return TextFile(_path(settings, language), language)
    raise TypeError(f"no text for {type(settings).__name__}")


def _downloaded(settings: DownloadedVectors, language: str) -> tuple[Vectors, dict[str, Any]]:
    from compute.embeddings.download import download
    from compute.embeddings.reading import read_stream

    fold = partial(lower_case, language=language) if settings.fold_case else None
    address = settings.address.replace("{language}", language)
    with download(address) as stream:
        vectors, reading = read_stream(stream, address, settings.format, settings.vocabulary, fold)
        return vectors, asdict(reading) | {"sha256": stream.digest, "bytes": stream.size}


def _check_unchanged(path: Path, digest: str) -> None:
    if content_digest(path) != digest:
        raise JobError(f"{path} has changed since the study was planned; run again")


def _how(settings: VectorSet) -> str:
    """Return what making them does."""
    return settings.algorithm if isinstance(settings, TrainedVectors) else "read"
