"""A warehouse with several studies to report on, raw and built."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from compute.store.warehouse import CHECK_RESULTS
from report.page import write_report
from tests.helpers.pages import Page
from tests.helpers.reported import EVIL, STUDIES, TRANSFER_ONLY, reported_rows

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def reported_unbuilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Raw rows only."""
    return reported_rows().write(tmp_path_factory.mktemp("raw") / "warehouse.duckdb")


@pytest.fixture(scope="session")
def reported(reported_unbuilt: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With marts and results of an audit."""
    folder = tmp_path_factory.mktemp("built")
    path = Path(shutil.copy(reported_unbuilt, folder / "warehouse.duckdb"))
    command = [str(Path(sys.executable).with_name("dbt")), "run", "--quiet"]
    done = subprocess.run(
        [*command, "--target-path", str(folder / "target"), "--log-path", str(folder / "logs")],
        cwd=ROOT, env=os.environ | {"WAREHOUSE": str(path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema if not exists checks")
        connection.execute(CHECK_RESULTS)
        rows = [
            (EVIL, "old", "scores", "grid", "error", False, "gone", "{}", "2026-01-01"),
            (EVIL, "new", "scores", "grid", "error", True, "fine", "{}", "2026-01-02"),
            (EVIL, "new", "scores", EVIL, "warning", False, EVIL, '{"description": "<i>"}', "2026-01-02"),
            (TRANSFER_ONLY, "new", "scores", "grid", "error", True, "fine", "{}", "2026-01-02"),
        ]
        connection.executemany("insert into checks.results values (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    return path


@pytest.fixture(scope="session")
def pages(reported: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Page]:
    """The pages of those studies, by study."""
    folder = tmp_path_factory.mktemp("pages")
    found = {}
    for number, study in enumerate(STUDIES):
        write_report(reported, study, folder / f"{number}.html")
        found[study] = Page((folder / f"{number}.html").read_text(encoding="utf-8"))
    return found
