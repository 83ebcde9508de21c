"""How charts look, and how they become SVG, PDF and PNG.

Colours come from the Okabe-Ito palette or are told apart by lightness, and every colour is doubled by a shape, a
sign or a printed value: nothing is lost in greyscale or to a colour-blind reader.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import vl_convert
from markupsafe import Markup

FONT = "Helvetica, Arial, sans-serif"
INK, FAINT_INK, RULE, PAPER = "#1a1a1a", "#5c5c5c", "#d9d9d9", "#ffffff"
LOSS, NEUTRAL, GAIN = "#8c3b04", "#f5f4f1", "#3a86c8"
"""Ends and middle of the diverging scale; the loss end is the darker one, so greyscale keeps the order."""
SEQUENCE = ("#f5f4f1", "#0b4f6c")
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#7a5c00", "#56b4e9", "#000000", "#e69f00")
_STAR = "M0,-1L.23,-.31L.95,-.31L.36,.12L.59,.81L0,.38L-.59,.81L-.36,.12L-.95,-.31L-.23,-.31Z"
SHAPES = (
    *("circle", "diamond", "triangle-up", "square", "cross", "triangle-down", "triangle-right", "triangle-left"),
    _STAR,
)
"""One more than colours: 72 names look different."""

_CONFIG: dict[str, Any] = {
    "aria": False,
    "background": None,
    "font": FONT,
    "view": {"stroke": None},
    "axis": {
        "labelColor": INK,
        "labelFontSize": 12,
        "labelLimit": 220,
        "titleColor": FAINT_INK,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "titlePadding": 8,
        "gridColor": "#ececec",
        "domainColor": RULE,
        "tickColor": RULE,
    },
    "legend": {
        "orient": "top",
        "title": None,
        "labelColor": INK,
        "labelFontSize": 12,
        "labelLimit": 200,
        "symbolSize": 70,
        "columnPadding": 10,
    },
    "text": {"font": FONT, "fontSize": 11, "fill": INK},
}
Chart = alt.Chart | alt.LayerChart | alt.FacetChart

_PIXELS_AN_INCH = 300
_VEGA_LITE = alt.SCHEMA_VERSION.removeprefix("v").rsplit(".", 1)[0]


def looks(column: str, names: Sequence[str], present: Sequence[str]) -> tuple[alt.Color, alt.Shape]:
    """Colour and shape of the names in a column, each told by its place in `names`, so that it looks the same in every
    chart of a page; the legend has those `present` in this one."""
    places = [names.index(name) for name in present]
    colours = alt.Scale(domain=list(present), range=[COLOURS[place % len(COLOURS)] for place in places])
    shapes = alt.Scale(domain=list(present), range=[SHAPES[place % len(SHAPES)] for place in places])
    return alt.Color(f"{column}:N", scale=colours), alt.Shape(f"{column}:N", scale=shapes)


def data(rows: list[dict[str, Any]]) -> alt.InlineData:
    """Rows as a chart's inline data."""
    return alt.InlineData(values=rows)


@dataclass(frozen=True)
class Drawing:
    """A chart as Vega-Lite has it, and in a few words what it shows. Nothing is fetched to draw it."""

    spec: dict[str, Any]
    label: str

    @property
    def inline(self) -> Markup:
        """The chart as inline SVG that a screen reader announces as one image named `label`.

        Vega escapes the text it draws; the label is escaped here.
        """
        opening = Markup('<svg role="img" aria-label="{}" ').format(self.label)
        return Markup(self.svg().replace("<svg ", str(opening), 1))

    def svg(self) -> str:
        """Return the chart as SVG, which names its fonts."""
        return vl_convert.vegalite_to_svg(self.spec, **_drawn(_CONFIG))

    def pdf(self) -> bytes:
        """Return the chart as PDF with its fonts in it, a point a pixel; the same chart may give other bytes."""
        return vl_convert.vegalite_to_pdf(self.spec, **_drawn(_CONFIG))

    def png(self) -> bytes:
        """Return the chart as PNG, 300 pixels an inch, on white: what is transparent is black to some viewers."""
        return vl_convert.vegalite_to_png(self.spec, ppi=_PIXELS_AN_INCH, **_drawn(_CONFIG | {"background": PAPER}))


def _drawn(config: dict[str, Any]) -> dict[str, Any]:
    return {"vl_version": _VEGA_LITE, "config": config, "allowed_base_urls": []}


def draw(chart: Chart, label: str) -> Drawing:
    """Return the chart, named `label`, as it is drawn."""
    return Drawing(chart.to_dict(validate=False), label)
