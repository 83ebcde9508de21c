"""`transfer advise` as a user runs it, on a warehouse that dbt has built."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from tests.helpers.warehouse_fixture import RawRows

ROOT = Path(__file__).resolve().parents[2]
LANGUAGES = ("de", "en", "fi")
N_ITEMS = 40
GAINS = {
    # Items of 40 put right on parity/fi and (if negative) spoiled on sort/fi, by source and model; nothing elsewhere.
    "de": {"one@1": (20, -10), "two@1": (16, -14), "three@1": (18, -12)},
    "en": {"one@1": (4, 0), "two@1": (8, 0), "three@1": (6, 0)},
    "fi": {"one@1": (0, 0), "two@1": (0, 0), "three@1": (0, 0)},
}

OWN_CELL = -8
"""What tuning on parity/fi spoils of its own cell."""


def _answers(right: int) -> list[bool]:
    return [True] * right + [False] * (N_ITEMS - right)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    raw = RawRows()
    raw.study("planted")
    for task in ("parity", "sort"):
        raw.task(task)
    for model in GAINS["de"]:
        raw.model(model, family=model[:3])
        for target in [(task, language) for task in ("parity", "sort") for language in LANGUAGES]:
            raw.scores("planted", model=model, target=target, correct=_answers(20))
            for source, gains in GAINS.items():
                change = {("parity", "fi"): gains[model][0], ("sort", "fi"): gains[model][1]}.get(target, 0)
                if source == "fi" and target == ("parity", "fi"):
                    change = OWN_CELL
                raw.scores(
                    "planted", model=model, source=("parity", source), seed=1, target=target,
                    correct=_answers(20 + change),
                )  # fmt: skip
    folder = tmp_path_factory.mktemp("advise")
    path = raw.write(folder / "warehouse.duckdb")
    run = subprocess.run(
        [
            str(Path(sys.executable).with_name("dbt")), "run", "--select", "+fct_transfer", "+rpt_advice",
            "+rpt_advice_worth", "+rpt_source_effects_held_out", "+rpt_stops",
            "--target-path", str(folder / "target"), "--log-path", str(folder / "logs"),
        ],
        cwd=ROOT, env=os.environ | {"WAREHOUSE": str(path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-4_000:]
    return folder


def _advise(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return _run(folder, "advise", *arguments)


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key not in ("STUDY", "WAREHOUSE")}
    return subprocess.run(
        [sys.executable, "-m", "compute.cli", *arguments], cwd=folder, env=environment,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_the_planted_donor_is_named_with_both_intervals_and_what_it_costs(folder: Path) -> None:
    done = _advise(folder, "--study", "planted", "--target", "parity/fi")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == ["parity/fi: study planted, variant default, prompt plain@1", "as measured on 3 models"]
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as connection:
        row = connection.execute(
            "select expected_gain_pp, ci_low, ci_high, new_model_low, new_model_high, p_harm, p_null_harm, p_shown_harm"
            " from marts.rpt_advice"
            " where target_task = 'parity' and target_language = 'fi' and source_language = 'de'"
        ).fetchone()
    assert row is not None
    numbers = [f"{value:+.2f}" for value in row[:5]]
    shares = " ".join(f"{100 * share:.0f} %" for share in row[5:])
    told = f"1 parity/de {numbers[0]} {numbers[1]} to {numbers[2]} {numbers[3]} to {numbers[4]} {shares}"
    assert " ".join(lines[4].split()) == f"{told} -30.00 on sort/fi"
    assert lines[5].split()[1] == "parity/en" and lines[5].endswith("none lost")
    assert "this advice 0.00" in done.stdout


def test_a_limit_a_model_and_several_targets(folder: Path) -> None:
    both = ["--study", "planted", "--target", "parity/fi", "--target", "sort/fi"]
    done = _advise(folder, *both, "--model", "one")
    assert "as measured on 2 models besides one" in done.stdout
    # (40 - 35) / 2 and (45 - 30) / 2 on the models asked, (50 - 25) / 2 on the one left out.
    assert done.stdout.splitlines()[4].split()[:4] == ["1", "parity/en", "+8.75", "+5.00"]
    assert done.stdout.splitlines()[5].split()[:4] == ["2", "parity/de", "+5.00", "+12.50"]
    limited = _advise(folder, "--study", "planted", "--target", "parity/fi", "--max-harm", "1.0")
    assert limited.stdout.splitlines()[4].split()[1] == "parity/en"
    assert "largest loss elsewhere: -30.00 on sort/fi" in limited.stdout
    assert limited.returncode == 0
    # It gains on parity/fi. On the other five nothing changes, and 40 items do not rule out a loss of 1 pp.
    assert "shown on 1 of 6" in limited.stdout and "does not show that there is none" in limited.stdout
    loose = _advise(folder, "--study", "planted", "--target", "parity/fi", "--max-harm", "99")
    assert "shown on 6 of 6" in loose.stdout


def test_the_trained_cell_is_harm_and_the_exit_code_gates(folder: Path) -> None:
    asked = ["--study", "planted", "--max-harm", "5"]
    done = _advise(folder, *asked, "--target", "parity/de")
    # parity/fi gives nothing and takes 20 pp from its own cell; parity/en takes nothing.
    assert done.stdout.splitlines()[4].split()[1] == "parity/en"
    assert "parity/fi" in done.stdout.partition("left out")[2] and "(own cell)" in done.stdout
    assert done.returncode == 0
    # On parity/en itself only the two others are asked: one breaks sort/fi, the other its own cell.
    done = _advise(folder, *asked, "--target", "parity/en")
    assert (done.returncode, "no source keeps within that limit" in done.stdout) == (1, True), done.stdout


def test_harms_lists_losses_and_gates(folder: Path) -> None:
    done = _run(folder, "harms", "--study", "planted", "--max-harm", "5")
    assert done.returncode == 0, done.stderr
    assert "3 of 9 adapters within the limit" in done.stdout
    assert "within the limit: one@1 parity/en: 6 targets, none lost" in done.stdout
    (own,) = {" ".join(line.split()[:4]) for line in done.stdout.splitlines() if "(own cell)" in line}
    assert own == "parity/fi (own cell) -20.00"
    alone = _run(folder, "harms", "--study", "planted", "--max-harm", "5", "--source", "parity/fi", "--model", "two")
    assert (alone.returncode, "0 of 1 adapter within the limit" in alone.stdout) == (1, True)
    wrong = _run(folder, "harms", "--study", "planted", "--source", "parity/fx")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "unknown source 'parity/fx'; did you mean 'parity/fi'?" in wrong.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--study", "planted", "--target", "parity/fx"], "unknown target 'parity/fx'; did you mean 'parity/fi'?"),
        (["--study", "plantd", "--target", "parity/fi"], "did you mean 'planted'?"),
        (["--study", "nowhere.yml", "--target", "parity/fi"], "nowhere.yml: no such file"),
        (["--study", "planted", "--target", "parity/fi", "--model", "too"], "did you mean 'two'?"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(folder: Path, arguments: list[str], message: str) -> None:
    done = _advise(folder, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_warehouse_without_marts_says_what_to_run(tmp_path: Path) -> None:
    raw = RawRows()
    raw.study("planted")
    raw.write(tmp_path / "warehouse.duckdb")
    done = _advise(tmp_path, "--study", "planted", "--target", "parity/fi")
    assert done.returncode == 2
    assert "it has no table marts.rpt_source_effects; run `transfer build` first" in done.stderr
