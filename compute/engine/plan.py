"""Study -> content-addressed jobs, and which of them still have to run, and why."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from compute.errors import UserError
from compute.plugin import BUILT_IN, Job, Planned, Plugin, configure, load_plugin
from compute.store.artifacts import ArtifactStore
from compute.store.landing import Landing
from compute.study.schema import Study


@dataclass(frozen=True)
class Plan:
    """All jobs of a study in an order in which inputs come first, and the pending ones with their reasons."""

    study: Study
    jobs: Mapping[str, Job]
    pending: Mapping[str, str]
    """Job key -> why it has to run."""

    @property
    def pending_jobs(self) -> list[Job]:
        return [self.jobs[key] for key in self.pending]


def study_jobs(study: Study) -> dict[str, Job]:
    """Every job the study asks for, by key, inputs before the jobs that read them."""
    planned = Planned()
    for name in BUILT_IN:
        _add(load_plugin(name), None, study, planned)
    for name, section in study.plugins.items():
        plugin = load_plugin(name)
        _add(plugin, configure(plugin, section), study, planned)
    return planned.jobs


def _add(plugin: Plugin, config: Any, study: Study, planned: Planned) -> None:
    try:
        for job in plugin.plan(study, planned, config):
            planned.add(job)
    except ValueError as error:
        raise UserError(f"study {study.study!r} cannot be planned by plugin {plugin.name!r}: {error}") from error


def make_plan(
    study: Study,
    landing: Landing,
    artifacts: ArtifactStore | None,
    in_warehouse: Collection[str],
    declared: Mapping[str, Job] | None = None,
) -> Plan:
    """Return what `study` asks for, minus what has landed (in a segment or in the warehouse).

    `declared`: those of its jobs that an adaptive study asks for by now; None: all.


    A landed job whose artifact is gone becomes pending again only if a pending job reads it; without `artifacts`, none
    is gone.

    Raises:
        RemoteFailure: artifacts are kept at a URL that cannot be asked.
    """
    jobs = study_jobs(study) if declared is None else declared
    landed = (landing.landed_keys() | set(in_warehouse)) & set(jobs)
    reasons = _reasons([job for job in jobs.values() if job.key not in landed], landing)
    kept = artifacts.among(key for key in landed if jobs[key].leaves_artifact) if artifacts and reasons else landed
    # Backwards: a job's readers come after it, so each has been decided before the job itself.
    readers: dict[str, str] = {}
    for job in reversed(list(jobs.values())):
        if job.key in readers and job.key in landed and job.leaves_artifact and job.key not in kept:
            reasons[job.key] = f"its artifact is gone and is read by: {readers[job.key]}"
        if job.key in reasons:
            readers.update(dict.fromkeys(job.inputs.values(), job.label))
    return Plan(study, jobs, {key: reasons[key] for key in jobs if key in reasons})


def _reasons(missing: Iterable[Job], landing: Landing) -> dict[str, str]:
    missing = list(missing)
    failed = landing.failures(landing.failed_keys() & {job.key for job in missing})
    relatives = landing.latest_by_label({(job.plugin, job.label) for job in missing})
    reasons = {}
    for job in missing:
        if job.key in failed:
            record = failed[job.key]
            reasons[job.key] = f"failed before (attempt {record['attempts']}): {record['error']}"
        elif (job.plugin, job.label) in relatives:
            reasons[job.key] = _difference(job, relatives[job.plugin, job.label], reasons)
        else:
            reasons[job.key] = "not computed yet"
    return reasons


def _difference(job: Job, landed: Mapping[str, Any], reasons: Mapping[str, str]) -> str:
    """Return why a job is not the landed one of the same label: what changed in version, configuration or inputs."""
    if landed["plugin_version"] != job.version:
        return f"plugin version changed: {landed['plugin_version']} -> {job.version}"
    before, after = _flatten(json.loads(landed["config"])), _flatten(job.values)
    changes = [
        f"{key} {before.get(key)!r} -> {after.get(key)!r}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]
    if changes:
        return f"changed: {'; '.join(changes[:3])}{' ...' if len(changes) > 3 else ''}"
    return "an input changed"


def _flatten(value: Any, path: str = "") -> dict[str, Any]:
    if isinstance(value, Mapping) and value:
        return {key: leaf for name, inner in value.items() for key, leaf in _flatten(inner, f"{path}.{name}").items()}
    return {path.lstrip("."): value}
