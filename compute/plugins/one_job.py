"""Jobs computed one after the other: what may go wrong in one, and is no defect."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from compute.errors import JobError, UserError
from compute.plugin import Context, Job, Outcome


def one_by_one(
    jobs: Sequence[Job], context: Context, outcome_of: Callable[[Job, Context], Outcome]
) -> Iterator[tuple[Job, Outcome]]:
    """Yield each job with its outcome; what `outcome_of` raises of a job's input or data fails that job alone."""
    for done, job in enumerate(jobs):
        context.report_progress(job.label, done / len(jobs))
        try:
            outcome = outcome_of(job, context)
        except (ValueError, UserError, JobError) as error:
            outcome = JobError(str(error))
        yield job, outcome


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
