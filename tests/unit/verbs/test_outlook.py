"""What `transfer plan` ends with, in words and for tools."""

from __future__ import annotations

from pathlib import Path

import pytest

from compute.engine.plan import Plan
from compute.errors import UserError
from compute.plugin import Job, JobConfig
from compute.project import CALIBRATIONS
from compute.store.experience import CalibrationFile, Measured
from compute.store.landing import Landing
from compute.store.warehouse import Warehouse
from compute.study.schema import Study
from compute.verbs.outlook import Outlook, look_ahead

STUDY = Study.model_validate({"study": "s", "plugins": {"uriel": {"languages": ["de", "en"]}}})


class Named(JobConfig):
    """A configuration with a name."""

    name: str


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def calibrate(device: str, *plugins: str) -> None:
    """An hour a job, half of it computing, a gigabyte of memory and 2 of artifacts."""
    measured = [Measured(one, "", 2, 2.0, 7200.0, 3600.0, 1.0, 1.0, 10**9, 4 * 10**9, 0) for one in plugins]
    CalibrationFile("here", device, "2026-01-01T00:00:00", 0.0, measured).write(CALIBRATIONS)


def outlook(**asked: object) -> Outlook:
    """Two jobs of `p`, one of `q`; another of `p` has landed."""
    jobs = [Job(plugin, "1", Named(name=name)) for plugin, name in (("p", "a"), ("p", "b"), ("q", "c"), ("p", "d"))]
    plan = Plan(STUDY, {job.key: job for job in jobs}, {job.key: "" for job in jobs[:3]})
    options = {"device": "cuda", "host": "here", "workers": 2, "price": None} | asked
    return look_ahead(plan, Warehouse(Path("none.duckdb")), Landing(Path("landing")), **options)  # type: ignore[arg-type]


def test_where_nothing_is_known_nothing_is_made_up() -> None:
    calibrate("cpu", "p")
    found = outlook()
    [line] = found.lines()
    assert "not known: nothing has run on cuda of here" in line
    assert "`transfer calibrate --study s`" in line
    values = found.values()
    assert (values["span_seconds"], values["gpu_hours"], values["money"], values["plugins"]) == (None,) * 4


def test_hours_and_money_by_plugin_and_in_all() -> None:
    calibrate("cuda", "p", "q")
    found = outlook(price=2.0)
    values = found.values()
    assert values["span_seconds"] == pytest.approx(7200.0)
    assert values["gpu_hours"] == pytest.approx(4.0)  # two GPUs for two hours, of which one waits for an hour
    assert values["money"] == pytest.approx(8.0)
    assert [(one["plugin"], one["gpu_hours"], one["money"], one["disk_bytes"]) for one in values["plugins"]] == [
        ("p", pytest.approx(2.0), pytest.approx(4.0), 4e9),
        ("q", pytest.approx(1.0), pytest.approx(2.0), 2e9),
    ]
    assert values["landed"] == {"jobs": 1, "seconds": pytest.approx(3600.0)}
    lines = [line.split() for line in found.lines()]
    assert ["p", "2", "2.0", "h", "1.0", "GB", "4.0", "GB", "4.00"] in lines
    assert ["idle", "60", "min", "2.00"] in lines
    assert ["all", "3", "3.0", "h", "1.0", "GB", "6.0", "GB", "6.00"] in lines
    assert "4 GPU-hours, 8.00 at 2 an hour" in "\n".join(found.lines())


def test_what_is_unknown_is_counted_and_other_load_is_told() -> None:
    calibrate("cpu", "p")
    found = outlook(device="cpu", workers=1)
    text = "\n".join(found.lines())
    assert "unknown: 1 jobs" in text
    assert "--seconds 180` gives the sample longer" in text  # half a minute did not reach them
    assert "computed 50% of their time" in text
    assert "undisturbed it is 1 hours" in text
    assert found.values()["whole"]["unknown"] == 1
    assert found.values()["undisturbed_seconds"] == pytest.approx(3600.0)


def test_a_price_needs_a_gpu() -> None:
    with pytest.raises(UserError, match="--price-per-gpu-hour: no GPU is used on cpu"):
        outlook(device="cpu", price=1.0)
