"""What a calibration samples of a study."""

from __future__ import annotations

from compute.engine.calibration import sample
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
    assert large.targets.cells == [("topic", "de"), ("sentiment", "de")]
    assert (large.items.train or 0) > (small.items.train or 0) > 0


def test_no_more_is_sampled_than_the_study_has() -> None:
    one = sample(study({"tasks": ["topic"], "languages": ["de"]}), 8)
    assert one.sources and one.sources.cells == [("topic", "de")]
