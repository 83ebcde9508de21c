"""The page in a real browser."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from data_checks.data_docs import closed, index
from report.page import write_report
from tests.helpers.reported import EVERYTHING, EVIL

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
CHROMIUM_FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-logging=stderr",
]  # fmt: skip
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")


def browse(tmp_path: Path, page: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """Opens a page; its console's lines are on stderr."""
    command = [str(CHROMIUM), *CHROMIUM_FLAGS, f"--user-data-dir={tmp_path / 'profile'}", *flags, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("study", [EVIL, EVERYTHING])
@pytest.mark.parametrize("width", [1280, 500])
def test_a_browser_shows_it_without_complaint(reported: Path, tmp_path: Path, study: str, width: int) -> None:
    page, picture = tmp_path / "report.html", tmp_path / "page.png"
    write_report(reported, study, page)
    done = browse(tmp_path, page, f"--screenshot={picture}", f"--window-size={width},4000")
    assert picture.exists(), done.stderr
    assert picture.stat().st_size > 20_000
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []


ASKING = """<script>
const seen = (one) => one.getBoundingClientRect().width > 0 && one.getBoundingClientRect().height > 0;
document.querySelectorAll("details").forEach((one) => (one.open = true));
const drawings = [...document.querySelectorAll("svg[role=img]")].map((one) => [
  one.getAttribute("aria-label"), seen(one), [...one.querySelectorAll("path, text, rect")].filter(seen).length,
]);
const choices = [...document.querySelectorAll(".choices")].map((one) => {
  const block = one.closest(".block");
  return [...one.querySelectorAll("input")].map((input) => {
    input.click();
    return [input.value, [...block.querySelectorAll("[data-choice]")].filter(seen).map((part) => part.dataset.choice)];
  });
});
document.body.innerHTML = "";
document.body.textContent = JSON.stringify({ drawings, choices });
</script></body>"""
"""Asks the page what is seen; the report itself has no script, and would not let one run."""


def test_every_chart_is_drawn_and_filters_work(reported: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    write_report(reported, EVERYTHING, page)
    text = page.read_text(encoding="utf-8")
    page.write_text(re.sub("<meta http-equiv=.*?>", "", text).replace("</body>", ASKING), encoding="utf-8")
    done = browse(tmp_path, page, "--dump-dom", "--window-size=1280,4000")
    body = re.search(r"<body>(.*)</body>", done.stdout, flags=re.DOTALL)
    assert body is not None, done.stderr
    found = json.loads(html.unescape(body[1]))
    assert len(found["drawings"]) == text.count("<svg ")
    assert [label for label, is_seen, marks in found["drawings"] if not is_seen or marks < 5] == []
    cells, *others = found["choices"]
    assert cells[0] == ["all", ["0", "1", "2"] * 2]  # three models: a drawing and a table each
    assert cells[1:] == [[str(i), [str(i)] * 2] for i in range(3)]
    for (name, seen), *single in others:  # what was predicted, by model: one choice shows what is of it
        assert (name, set(seen)) == ("all", {choice for choice, _ in single})
        assert all(set(shown) == {choice} for choice, shown in single)


BROKEN = """<script>
const lines = (one) => { const range = document.createRange(); range.selectNodeContents(one);
  return new Set([...range.getClientRects()].map((box) => box.top)).size; };
const cells = [...document.querySelectorAll("td")].filter((one) => ["passes", "fails"].includes(one.innerText));
document.body.textContent = JSON.stringify(cells.map(lines));
</script></body>"""


def test_a_long_finding_breaks_no_verdict(tmp_path: Path) -> None:
    (tmp_path / "validations" / "suite").mkdir(parents=True)
    (tmp_path / "validations" / "suite" / "run.html").touch()
    finding = {"suite": "suite", "severity": "error", "expectation": "jobs_have_run", "details": {"description": "x"}}
    findings = [
        finding | {"success": True, "observed": "no offender"},
        finding | {"success": False, "observed": "2 rows: " + "label=tune_a_model " * 20},
    ]
    page = tmp_path / "index.html"
    text = closed(index(tmp_path, "study", findings))
    page.write_text(re.sub("<meta http-equiv=.*?>", "", text).replace("</body>", BROKEN), encoding="utf-8")
    done = browse(tmp_path, page, "--dump-dom", "--window-size=1280,1000")
    assert "<body>[1,1]\n" in done.stdout
