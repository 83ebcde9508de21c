"""How the tests are divided among processes, and that property tests draw the same examples every time."""

from __future__ import annotations

import pytest
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")


@pytest.hookimpl(tryfirst=True)  # xdist's own, which reads the groups, would else come first
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
