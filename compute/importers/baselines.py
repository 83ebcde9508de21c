"""Which imported scores belong together: a tuned model's and its base model's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from compute.plugin import Job
from compute.store.registration import RegisteredJob

_MODEL = ("model", "variant", "source_task", "source_language", "control", "seed")
_TARGET = ("target_task", "target_language", "prompt")

Cell = tuple[object, ...]
"""Values of the keys above."""


def score_cell(job: Job | RegisteredJob) -> Cell | None:
    """Return what a job scored: model, source and target; None for a job of another kind."""
    if not all(key in job.values for key in (*_MODEL, *_TARGET)):
        return None
    return tuple(job.values[key] for key in (*_MODEL, *_TARGET))


def without_baseline(jobs: Iterable[Job | RegisteredJob]) -> Iterator[str]:
    """Yield a line for each model that has tuned scores without a base model's beside them, and so no differences."""
    scored = [job.values for job in jobs if score_cell(job) is not None]
    bases = [config for config in scored if config["source_task"] is None]
    there = {tuple(config[key] for key in ("model", *_TARGET)) for config in bases}
    alone: dict[str, list[dict[str, object]]] = {}
    for config in scored:
        if config["source_task"] is not None and tuple(config[key] for key in ("model", *_TARGET)) not in there:
            alone.setdefault(str(config["model"]), []).append(dict(config))
    for model, configs in sorted(alone.items()):
        first = configs[0]
        line = (
            f"{model}: no base model beside {len(configs)} of its tuned scores, so they have no difference: "
            f"{first['target_task']}/{first['target_language']} first"
        )
        yield line + _hint(first, bases)


def _hint(config: dict[str, object], bases: Iterable[object]) -> str:
    """Return what else there is that was perhaps meant."""
    known = [base for base in bases if isinstance(base, dict)]
    same = [base for base in known if all(base[key] == config[key] for key in ("model", *_TARGET[:2]))]
    if same:
        return f"; its base was asked with another prompt ({same[0]['prompt']}, not {config['prompt']})"
    name = str(config["model"]).partition("@")[0]
    others = sorted({str(base["model"]) for base in known if str(base["model"]).partition("@")[0] == name})
    others = [other for other in others if other != config["model"]]
    if others:
        return f"; the base models are called {', '.join(others)}: give both one name under `models:` in the map"
    return "; import the results of the base model too"
