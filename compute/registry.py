"""How a name in a study or on the command line finds what it means: a part of ours, or of an installed package.

Each registry is a table of ours, and a group of entry points for others: `name = "module:attribute"` in a package's
pyproject.toml. Parts are imported when they are first asked for. `examples/plugin` has one of each kind.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar, cast

from compute.errors import UserError
from compute.names import UnknownName

Part = TypeVar("Part")


class Registry(Mapping[str, Part]):
    """Parts of one kind by name, ours first."""

    def __init__(self, kind: str, group: str, ours: Mapping[str, str], base: str) -> None:
        """Make a registry.

        Args:
            kind: as an error calls it.
            group: of entry points.
            ours: name -> "module:attribute".
            base: "module:class", of which each part is a subclass or an instance.
        """
        self.kind, self.group, self.ours, self.base = kind, group, ours, base

    def __iter__(self) -> Iterator[str]:
        yield from self.ours
        yield from sorted({point.name for point in self._offered()} - set(self.ours))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __contains__(self, name: object) -> bool:
        return name in self.ours or any(point.name == name for point in self._offered())

    def __getitem__(self, name: str) -> Part:
        return self.load(name)

    def check(self, name: str) -> str:
        """Return `name`; raise UnknownName with the nearest if there is none. Nothing is imported."""
        if name not in self:
            raise UnknownName(self.kind, name, self)
        return name

    def package(self, name: str) -> str | None:
        """Return the package that a part is from; None: ours."""
        if name in self.ours:
            return None
        return next((_package(point) for point in self._offered() if point.name == name), None)

    def load(self, name: str) -> Part:
        """Return the part of that name, imported now.

        Raises:
            UnknownName: there is none.
            UserError: it cannot be imported, is no such part, is called otherwise by itself, or several packages, or
                one and we, have one of that name.
        """
        self.check(name)
        offered = {point.value: _package(point) for point in self._offered() if point.name == name}
        if name in self.ours:
            offered[self.ours[name]] = "transfer-warehouse"
        what = f"{self.kind} {name!r}"
        if len(offered) > 1:
            raise UserError(f"{what} is offered by {' and by '.join(sorted(offered.values()))}; uninstall one of them")
        (place,) = offered
        found: Any = _import(place, what)
        base: Any = _import(self.base, what)
        if not (isinstance(found, base) or (isinstance(found, type) and issubclass(found, base))):
            raise UserError(f"{what}: {place} is not a {self.base.replace(':', '.')}")
        own_name = getattr(found, "name", name)
        if isinstance(own_name, str) and own_name != name:
            raise UserError(f"{what}: {place} calls itself {own_name!r}")
        return cast(Part, found)

    def _offered(self) -> tuple[EntryPoint, ...]:
        return _entry_points(self.group, tuple(sys.path))


@cache
def _entry_points(group: str, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Return the entry points of a group; `path` is where they are looked for, and looked for again when it changes."""
    return tuple(entry_points(group=group))


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "a package"


def _import(place: str, what: str) -> Any:
    module, _, attribute = place.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except (Exception, SystemExit) as error:  # whatever the code of another package does when it is imported
        if isinstance(error, AttributeError) and module in sys.modules:
            raise UserError(f"{what}: module {module} has no {attribute!r}") from None
        first_line = (str(error).strip() or type(error).__name__).partition("\n")[0]
        raise UserError(f"{what}: cannot import {module}: {first_line}") from error
