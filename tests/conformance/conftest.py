"""Small models compute with the kernels that large ones are given, so that these are held against the references."""

from __future__ import annotations

import pytest

from compute.language_models import kernels


@pytest.fixture(autouse=True)
def kernels_of_large_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "_NARROW", 0)
