"""Names a user may mistype, and the nearest valid one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from compute.errors import UserError


class UnknownName(UserError, ValueError):
    """A name that is not among the known ones; the message gives the nearest, or all of them."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        """Make the line: a `kind` such as "language of task 'qa'" reads "unknown language 'xx' of task 'qa'"."""
        self.kind, self.name, self.known = kind, name, tuple(known)
        nearest = difflib.get_close_matches(name, self.known, n=1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"known: {', '.join(sorted(self.known)) or 'none'}"
        what, of, whose = kind.partition(" of ")
        super().__init__(f"unknown {what} {name!r}{of}{whose}; {hint}")
