"""How the tests are divided among processes."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What shares a warehouse that takes long to build runs in one process: a module, a folder of marts' tests, the
    modules about reports."""
    for item in items:
        if "reported" in getattr(item, "fixturenames", ()):
            group = "reported"
        elif item.path.parent.parent.name == "marts":
            group = item.path.parent.name
        else:
            group = str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))
