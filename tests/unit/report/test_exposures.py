"""The exposures name just the marts that the page and the notebook read."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from report.page import MARTS, QUESTIONS

ROOT = Path(__file__).parents[3]


def read_in(*texts: str) -> set[str]:
    return {mart for text in texts for mart in re.findall(r"\bmarts\.(\w+)", text)}


def test_exposures_are_what_is_read() -> None:
    declared = yaml.safe_load((ROOT / "models" / "marts" / "exposures.yml").read_text(encoding="utf-8"))["exposures"]
    named = {one["name"]: set(re.findall(r"ref\(\W(\w+)\W\)", " ".join(one["depends_on"]))) for one in declared}
    asked = [(ROOT / "report" / "sql" / f"{question}.sql").read_text(encoding="utf-8") for question in QUESTIONS]
    notebook = (ROOT / "report" / "explore.py").read_text(encoding="utf-8")
    assert named == {
        "report_page": read_in(*asked) | {mart for mart, _ in MARTS.values()},
        "notebook": read_in(notebook),
    }
