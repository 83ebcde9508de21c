"""How charts tell things apart."""

from __future__ import annotations

import re

from report import charts
from report.theme import COLOURS, looks
from report.verdict_charts import risk_map


def test_names_look_different_and_the_same_in_every_chart() -> None:
    names = [f"method {number}" for number in range(40)]

    def seen(present: list[str]) -> list[tuple[str, str]]:
        scales = [channel.to_dict()["scale"] for channel in looks("method", names, present)]
        assert all(scale["domain"] == present for scale in scales)
        return list(zip(*(scale["range"] for scale in scales), strict=True))

    assert len(set(seen(names))) == 40
    assert seen(names[7:9]) == seen(names)[7:9]


def test_intervals_of_one_row_hide_none_of_each_other() -> None:
    row = {"entity": "de", "donor_effect_pp": 2.0, "donor_effect_low": 1.0, "donor_effect_high": 3.0}
    row |= {"recipient_effect_pp": 2.5, "recipient_effect_low": 0.0, "recipient_effect_high": 5.0}
    row |= {"gain_over_placebo_pp": 0.5, "gain_over_placebo_low": 0.0, "gain_over_placebo_high": 1.0}
    drawing = charts.ranking([row], "languages")
    lines = re.findall(r'<line transform="translate\([\d.]+,([\d.]+)\)"[^>]* stroke="(#\w+)"', drawing.inline)
    height = {colour: float(y) for y, colour in lines if colour in COLOURS}
    assert height[COLOURS[0]] < height[COLOURS[1]]


def test_what_noise_alone_would_make_is_within_the_risk_map() -> None:
    row = {"source_task": "t", "source_language": "de", "mean_pp": 0.5, "harm_pct": 10.0, "verdict_harm_pct": 0.0}
    for noise, top in ((35.0, 35.0), (None, 10.0)):
        spec = risk_map([row | {"null_harm_pct": noise}], ["t"], "risks").spec
        scales = [layer["encoding"].get("y", {}).get("scale") for layer in spec["layer"]]
        (axis,) = {tuple(scale["domain"]) for scale in scales if scale}
        assert axis[0] < 0 < top < axis[1]
