"""The whole released table of "Donors and Recipients" gives the published numbers (needs the file; see `TABLE`)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

ROOT = Path(__file__).parents[2]
TABLE = os.environ.get("DONORS_RECIPIENTS_CSV", "")
"""`results/transfer_results.csv` of github.com/kdymkiewicz/Donors-and-Recipients, 17,424 rows."""

PUBLISHED = {
    "transfer": (0.8935821392, 59.678177, 9.085036),
    "MT-ML": (2.0202020, 68.181818, 9.343434),
    "MT-CL": (1.2464646, 66.414141, 7.121212),
    "CT-ML": (0.8077301, 56.902357, 11.363636),
    "CT-CL": (0.7845399, 57.710438, 9.511785),
}
"""Mean in pp, share of cells above 0 and of cells at or below -1 pp, in percent."""


@pytest.mark.skipif(not Path(TABLE).is_file(), reason="DONORS_RECIPIENTS_CSV does not name the released table")
def test_regimes_are_the_published_ones(tmp_path: Path) -> None:
    warehouse = tmp_path / "warehouse.duckdb"
    command = [sys.executable, "-m", "compute.cli", "import", "donors-recipients", str(Path(TABLE).resolve())]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([*command, "--warehouse", str(warehouse)], cwd=tmp_path, env=environment, check=True)
    dbt = [str(Path(sys.executable).with_name("dbt")), "build", "--quiet"]
    dbt += ["--target-path", str(tmp_path / "target"), "--log-path", str(tmp_path / "logs")]
    subprocess.run(dbt, cwd=ROOT, env=environment | {"WAREHOUSE": str(warehouse)}, check=True)
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        rows = connection.execute(
            "select regime, mean_pp, positive_pct, harm_pct, median_pp, n_cells from marts.rpt_regimes"
            " where scope = 'all' and study = 'donors-recipients'"
        ).fetchall()
    assert {regime: numbers for regime, *numbers, _, _ in rows} == {
        regime: pytest.approx(numbers, abs=5e-7) for regime, numbers in PUBLISHED.items()
    }
    (transfer,) = [row for row in rows if row[0] == "transfer"]
    assert transfer[4:] == (pytest.approx(0.25), 17_424 - 396)
