"""Measures how long a study's jobs take here: a small sample of it is run for some seconds, and thrown away."""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from compute.engine.devices import default_workers, threads_a_worker
from compute.engine.plan import study_jobs
from compute.engine.runner import Batch, Workplace, limit_threads, run_batch
from compute.engine.work import make_batches
from compute.errors import UserError
from compute.orphans import end_with
from compute.plugin import prepare_plugin
from compute.plugins.costs import SECOND
from compute.store.experience import Measured, landed_runs
from compute.store.files import read_record, write_record
from compute.store.landing import Landing
from compute.study.embeddings import Embeddings
from compute.study.file import read_study
from compute.study.schema import Grid, GridBlock, Study

_SIZES = (1, 2, 8)
"""Of the samples, one after the other, as far as there is time: the first has a little of everything, and more of them
tell what a job takes from what its cost takes."""
_TRAINING_ITEMS, _TEST_ITEMS, _STEPS, _EPOCHS = 8, 6, 4, 1
"""Of the smallest sample."""
_SOURCES = 4
"""Of the larger samples, of every task first: adapters of one model are trained together, and tasks' items differ."""
_SENTENCES, _TASKS = 5_000, 8
_WARMING = 2 * SECOND
"""Cost of a visit up to which it is run once before anything is measured: what is imported then is not measured."""
_START, _REFUSED, _LANDING, _ARTIFACTS = "start", "refused", "landing", "artifacts"


@dataclass(frozen=True)
class Calibration:
    """What was measured in a sample of a study.

    Attributes:
        measured: by kind of work and visit.
        start_seconds: that a worker takes to start and to import what it needs.
        ended: whether the sample was run whole, within its time.
        failed: labels of jobs that failed, with the reasons.
    """

    measured: list[Measured]
    start_seconds: float
    ended: bool
    failed: list[str]


def calibrate(study: Path, device: str, seconds: float) -> Calibration:
    """Run samples of the study in a file for at most so many seconds, in processes of their own, and measure them.

    On a CPU there are as many as a run has workers, each with the same samples: cores share caches, and often more than
    those.

    Raises:
        UserError: a plugin cannot plan a sample.
    """
    limit_threads(threads_a_worker(device, 1))  # inherited: libraries read it when they are imported
    with tempfile.TemporaryDirectory(prefix="transfer-calibrate-", ignore_cleanup_errors=True) as name:
        folders = [Path(name, str(number)) for number in range(default_workers(device) if device == "cpu" else 1)]
        context = multiprocessing.get_context("spawn")
        processes = [
            context.Process(
                target=_run_samples, args=(study.absolute(), Path.cwd(), folder, device, time.time(), os.getpid())
            )
            for folder in folders
        ]
        for process in processes:
            process.start()
        end = time.monotonic() + seconds
        try:
            for process in processes:
                process.join(max(0.0, end - time.monotonic()))
        finally:
            for process in processes:
                process.kill()
                process.join()
        found = [_found(study, folder, device) for folder in folders]
        return Calibration(
            [one for each in found for one in each.measured],
            max(each.start_seconds for each in found),
            all(process.exitcode == 0 for process in processes),
            list(dict.fromkeys(failure for each in found for failure in each.failed)),
        )


def _found(study: Path, folder: Path, device: str) -> Calibration:
    """Return what one process has left. Raises UserError as `calibrate`."""
    with suppress(FileNotFoundError):
        raise UserError(f"{study}: a sample of it cannot be planned: {read_record(folder / _REFUSED)['reason']}")
    measured, failed = [], []
    for size in _SIZES:
        landing = Landing(folder / str(size) / _LANDING)
        measured += landed_runs(landing, device)
        records = landing.failures(landing.failed_keys())
        failed += [f"{record['label']}: {record['error']}" for record in records.values()]
    start = 0.0
    with suppress(FileNotFoundError):
        start = float(read_record(folder / _START)["seconds"])
    return Calibration(measured, start, True, failed)


def _run_samples(study: Path, project: Path, folder: Path, device: str, started: float, parent: int) -> None:
    """Run the samples, each in its own folder of `folder`, with what is landed there."""
    end_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = os.environ["TQDM_DISABLE"] = "1"
    os.chdir(project)  # paths in a study are from there
    asked = read_study(study)
    try:
        samples = {size: make_batches(study_jobs(sample(asked, size)).values(), {}) for size in _SIZES}
    except UserError as error:
        with suppress(OSError):  # a full disk
            write_record(folder / _REFUSED, {"reason": str(error)})
        return
    for name in {batch.jobs[0].plugin for batch in samples[_SIZES[0]]}:
        with suppress(ImportError):  # its jobs say so
            prepare_plugin(name)
    with suppress(OSError):  # a full disk, which the jobs meet
        write_record(folder / _START, {"seconds": time.time() - started})
    warming = [batch for batch in samples[_SIZES[0]] if batch.cost <= _WARMING]
    for name, batches in {"warm": warming, **{str(size): samples[size] for size in _SIZES}}.items():
        workplace = Workplace(folder / name / _LANDING, folder / name / _ARTIFACTS, device)
        for batch in batches:
            run_batch(Batch(batch.name, batch.jobs), workplace, lambda event: None)


def sample(study: Study, size: int) -> Study:
    """Return a study of the same models, tasks, vectors and methods with little of each to do; more with more size."""
    items = study.items.model_copy(
        update={
            "train": min(study.items.train or _TRAINING_ITEMS * size, _TRAINING_ITEMS * size),
            "dev": _TEST_ITEMS if study.items.dev is None else min(study.items.dev, _TEST_ITEMS),
            "test": min(study.items.test or _TEST_ITEMS * size, _TEST_ITEMS * size),
        }
    )
    models = tuple(
        model
        if model.pretrain is None
        else model.model_copy(
            update={"pretrain": model.pretrain.model_copy(update={"steps": min(model.pretrain.steps, _STEPS * size)})}
        )
        for model in study.models
    )
    return study.model_copy(
        update={
            "models": models,
            "items": items,
            "sources": study.sources and _grid(_sampled_sources(study.sources, 1 if size == _SIZES[0] else _SOURCES)),
            "targets": study.targets and _grid(_sampled_targets(study.targets)),
            "seeds": study.seeds[:1],
            "placebo": study.placebo.model_copy(update={"seeds": ()}),
            "lora": study.lora.model_copy(update={"epochs": _EPOCHS}),
            "variants": {},
            "embeddings": study.embeddings and _sampled_embeddings(study.embeddings, size),
        }
    )


def _sampled_sources(sources: Grid, count: int) -> list[tuple[str, str]]:
    """Return at most `count` cells: of every task one, then others."""
    first = _of_every_task(sources)
    return [*first, *(cell for cell in sources.cells if cell not in first)][:count]


def _sampled_targets(targets: Grid) -> list[tuple[str, str]]:
    """Return a cell of every task, and one more where they are in one language: distances take two."""
    first = _of_every_task(targets)[:_TASKS]
    others = [cell for cell in targets.cells if cell[1] != first[0][1]]
    return first if len({language for _, language in first}) > 1 else [*first, *others[:1]]


def _of_every_task(grid: Grid) -> list[tuple[str, str]]:
    """Return the first cell of each task."""
    return list({task: (task, language) for task, language in reversed(grid.cells)}.values())[::-1]


def _grid(cells: list[tuple[str, str]]) -> Grid:
    return Grid(blocks=tuple(GridBlock(tasks=(task,), languages=(language,)) for task, language in cells))


def _sampled_embeddings(embeddings: Embeddings, size: int) -> Embeddings:
    pair = embeddings.language_pairs[0]
    less = {"epochs": size * _EPOCHS, "sentences": _SENTENCES}
    vectors = {
        name: settings.model_copy(
            update={key: min(most, getattr(settings, key)) for key, most in less.items() if hasattr(settings, key)}
        )
        for name, settings in embeddings.vectors.items()
    }
    return embeddings.model_copy(
        update={
            "vectors": vectors,
            "languages": pair,
            "pairs": (pair,),
            "full": True,
            "dictionary_sizes": embeddings.dictionary_sizes[-1:],
            "seeds": embeddings.seeds[:1],
            "variants": {},
        }
    )
