"""`cluster.yml` in the project: how jobs are asked for on this cluster, and where artifacts are kept. It decides no
result, so no study has it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints, field_validator

from compute.project import ARTIFACTS
from compute.store.artifacts import ArtifactStore
from compute.store.remote import checked_url
from compute.values import Section
from compute.yaml_file import read_yaml

CLUSTER = Path("cluster.yml")

Word = Annotated[str, StringConstraints(min_length=1)]


class Cluster(Section):
    """What sbatch is told; what is left out is the cluster's default. Ray reads `gpus`, `cpus` and `memory`.
    `artifacts` is every executor's."""

    gpus: int | None = Field(None, ge=1, description="array tasks at once, a GPU each; `--gpus` goes before it")
    partition: Word | None = None
    """Where to queue; several with commas."""
    account: Word | None = None
    """Who is charged."""
    qos: Word | None = None
    """The quality of service."""
    constraint: Word | None = None
    """Features that nodes must have, such as `a100|h100`."""
    time: Word | None = None
    """Of one array task, in quotes: minutes, "hours:minutes:seconds" or "days-hours"."""
    gres: Word = "gpu:1"
    """What one array task has besides cores; not asked for with `--device cpu`."""
    cpus: int = Field(1, ge=1, description="cores of an array task; with `--device cpu` as many workers")
    memory: Word | None = None
    """Of an array task, such as `32G`."""
    max_jobs: int | None = Field(None, ge=1, description="array tasks that may be queued or running")
    grace: int = Field(120, ge=10, description="seconds before the time limit at which an array task ends by itself")
    setup: tuple[Word, ...] = ()
    """Lines of shell that a task begins with, such as `module load cuda/12.4`."""
    options: tuple[Word, ...] = ()
    """Further options of sbatch, such as `--exclude=node7`."""

    artifacts: Annotated[str, AfterValidator(checked_url)] = ""
    """Where artifacts are kept besides `artifacts/`: a URL such as `s3://bucket/folder`."""

    @field_validator("time", mode="before")
    @classmethod
    def _time_is_text(cls, value: Any) -> Any:
        if isinstance(value, int | float):
            raise ValueError('put it in quotes: unquoted, YAML makes a number of 4:00:00 ("4:00:00" is four hours)')
        return value


def read_cluster(path: Path = CLUSTER) -> Cluster:
    """Return what the project says of its cluster; nothing, where it has no such file. Raises UserError."""
    return read_yaml(path, "how to ask Slurm for jobs").validated(Cluster) if path.exists() else Cluster()


def project_artifacts() -> ArtifactStore:
    """Return the project's artifacts, which are kept at a URL as well if it says so. Raises UserError."""
    return ArtifactStore(ARTIFACTS, read_cluster().artifacts)
