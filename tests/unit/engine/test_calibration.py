"""What a calibration samples of a study."""

from __future__ import annotations

from pathlib import Path

import pytest

from compute.engine.calibration import calibrate, sample
from compute.errors import UserError
from compute.study.schema import Study

GRID = {"tasks": ["topic", "sentiment"], "languages": ["de", "en", "es"]}


def study(grid: dict[str, list[str]]) -> Study:
    return Study.model_validate(
        {"study": "s", "models": [{"checkpoint": "model"}], "sources": grid, "targets": grid, "seeds": [0, 1]}
    )


def test_the_first_sample_is_small_and_larger_ones_stack_sources_of_every_task() -> None:
    small, large = (sample(study(GRID), size) for size in (1, 8))
    assert small.sources and large.sources and large.targets
    assert small.sources.cells == [("topic", "de")]
    assert sorted(large.sources.cells) == [("sentiment", "de"), ("topic", "de"), ("topic", "en"), ("topic", "es")]
    assert sorted(large.targets.cells) == [("sentiment", "de"), ("topic", "de"), ("topic", "en")]
    assert (large.items.train or 0) > (small.items.train or 0) > 0


def test_a_sample_that_a_plugin_cannot_plan_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "study.yml"
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    path.write_text(
        f"study: s\nmodels: [{{name: m, checkpoint: {tmp_path}}}]\nsources: {{tasks: [parity], languages: [de]}}\n"
        "targets: {tasks: [parity], languages: [de]}\nseeds: [0]\nplugins: {uriel: {}}\n"
    )
    with pytest.raises(UserError, match=r"a sample of it cannot be planned: .*a distance takes two languages"):
        calibrate(path, "cpu", 60.0)


def test_no_more_is_sampled_than_the_study_has() -> None:
    one = sample(study({"tasks": ["topic"], "languages": ["de"]}), 8)
    assert one.sources and one.sources.cells == [("topic", "de")]
