"""What is missing is told, and hides nothing else."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from compute.cli import main
from compute.verbs import doctor


def test_a_missing_package_is_told_and_the_rest_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def found(name: str) -> str:
        if name == "torch":
            raise PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(doctor, "version", found)
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.chdir(tmp_path)
    assert main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "TODO  versions   torch is missing: pip install 'torch>=" in said
    assert "TODO  devices    cannot be looked at: " in said
    assert "duckdb 1" in said and "ok    disk" in said and "warehouse" in said
