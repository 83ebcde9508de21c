"""Reads a study from YAML.

Every mistake is one line: file and line, key, what was expected, the nearest valid name.
"""

from __future__ import annotations

from pathlib import Path

from compute.study.schema import Study
from compute.yaml_file import read_yaml


def read_study(path: Path) -> Study:
    """Return the study in a YAML file. Raises UserError, one line for each mistake."""
    return read_yaml(path, "`study:` and its sections").validated(Study)
