"""What a benchmark found, kept in a file after each part, so that a run that is cut still gives figures."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Results:
    """Findings by name; those of an earlier run with the same settings are taken along.

    Attributes:
        found: what each contender found, in the order found.
        facts: of the machine and the data.
    """

    def __init__(self, path: Path | None, settings: Mapping[str, Any]) -> None:
        """Opens the file, where there is one. Exits with one line where it holds findings under other settings."""
        self.path = path
        self.settings: dict[str, Any] = json.loads(json.dumps(dict(settings)))
        self.facts: dict[str, Any] = {}
        self.found: dict[str, dict[str, Any]] = {}
        if path is None or not path.exists():
            return
        try:
            earlier = json.loads(path.read_text(encoding="utf-8"))
            before, self.facts, self.found = earlier["settings"], earlier["facts"], earlier["found"]
        except (ValueError, KeyError, TypeError):
            sys.exit(f"{path}: not a result of this benchmark; give another file")
        for key in sorted(before.keys() | self.settings.keys()):
            if before.get(key) != self.settings.get(key):
                sys.exit(f"{path}: measured with {key} {before.get(key)}, now {self.settings.get(key)}; "
                         "give another file")  # fmt: skip

    def add(self, name: str, found: Mapping[str, Any]) -> None:
        """Keeps a finding."""
        self.found[name] = dict(found)
        self.save()

    def save(self) -> None:
        """Writes the file, whole or not at all."""
        if self.path is None:
            return
        content = {"settings": self.settings, "facts": self.facts, "found": self.found}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text(json.dumps(content), encoding="utf-8")
        temporary.replace(self.path)
