"""What other runs land while this one computes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from compute.store.files import DamagedRecord
from compute.store.landing import Landing


class News(NamedTuple):
    """Keys of jobs that landed, and of those that failed."""

    landed: list[str]
    failed: list[str]


class Watch:
    """Looks at each segment of a landing directory once."""

    def __init__(self, landing: Landing, since: datetime) -> None:
        """Begin to watch: failures count if they are of `since` (UTC) or later; of what has landed, all counts."""
        self.landing, self.since = landing, since
        self._seen: set[str] = set()
        self._has_looked = False

    def news(self) -> News:
        """Return what there is that was not there at the look before."""
        found = News([], [])
        for name in self.landing.segment_names():
            if name in self._seen:
                continue
            try:
                segment = self.landing.segment(name)
            except (DamagedRecord, FileNotFoundError):
                continue  # loading tells of it; or it was merged into another
            self._seen.add(name)
            found.landed.extend(segment.jobs)
            # Merging writes old failures anew. What was there at first and is old, this run tries again.
            if not segment.replaces and (self._has_looked or segment.begun >= self.since.astimezone(UTC)):
                found.failed.extend(segment.failed)
        self._has_looked = True
        return found
