"""What a study asks for that it will not get, as lines to say before anything runs."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from compute.study.schema import Study
from compute.study.sources import SEVERAL, UNKNOWN
from compute.tasks import SPLITS, TASKS

_NAMED = 3


def remarks(study: Study) -> Iterator[str]:
    """Yield a line for each limit of `items` beyond what there is, for each given source of a task unknown here, and
    where sources are chosen in rounds."""
    known = (*TASKS, *study.tasks, SEVERAL, UNKNOWN)
    for model in study.models:
        for source in model.sources:
            if source.task not in known and not source.task.startswith("lm_eval:"):
                near = get_close_matches(source.task, known, n=1)
                hint = f" (or is it {near[0]!r}?)" if near else ""
                yield (
                    f"source {source.name} of model {model.name}: {source.task!r} is no task known here{hint}, so "
                    "every target counts as another task"
                )
    if study.adaptive is not None:
        yield (
            f"adaptive: sources are chosen in rounds, for at most {100 * study.adaptive.budget:g} % of the cost of "
            "all; a plan has those chosen so far"
        )
    for split in SPLITS:
        asked = getattr(study.items, split)
        grid = study.targets if split == "test" else study.sources
        if not asked or grid is None:
            continue
        fewer = {
            f"{task}/{language}": used
            for task, language in grid.cells
            if (used := study.items_used(task, language, split)) is not None and used < asked
        }
        if fewer:
            named = ", ".join(f"{cell} {there}" for cell, there in list(fewer.items())[:_NAMED])
            more = f" and {len(fewer) - _NAMED} more" if len(fewer) > _NAMED else ""
            yield f"items.{split}: {asked} asked for, and there are fewer, which are all used: {named}{more}"
