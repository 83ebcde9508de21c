"""One version, wherever it stands."""

from __future__ import annotations

from pathlib import Path

import yaml

from compute import __version__

ROOT = Path(__file__).parents[2]


def test_the_package_the_dbt_project_and_the_citation_say_one_version() -> None:
    for name in ("dbt_project.yml", "CITATION.cff"):
        assert str(yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))["version"]) == __version__, name
