"""What a study asks for that it will not get, as lines to say before anything runs."""

from __future__ import annotations

from collections.abc import Iterator

from compute.study.schema import Study
from compute.tasks import SPLITS

_NAMED = 3


def remarks(study: Study) -> Iterator[str]:
    """Yield a line for each limit of `items` beyond what there is."""
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
