"""What may go wrong in the computing of one job, and is no defect."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from compute.errors import JobError


@contextmanager
def failing_one_job() -> Iterator[None]:
    """Within it a decomposition that does not converge, or memory that runs out, is a JobError: one job fails, not
    those that follow in its batch. (Any other exception ends the batch.)"""
    from torch import OutOfMemoryError
    from torch.linalg import LinAlgError  # type: ignore[attr-defined]

    try:
        yield
    except (LinAlgError, OutOfMemoryError, MemoryError) as error:
        raise JobError((str(error) or "out of memory").splitlines()[0]) from None
