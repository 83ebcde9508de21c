"""A chart as a file: the same bytes each time, its fonts in it, a name that every program takes."""

from __future__ import annotations

import re

import altair as alt
import pytest

from report.paper.figures import FORMATS, file_names
from report.paper.pdf import in_fixed_order
from report.theme import Drawing, data, draw


@pytest.fixture(scope="module")
def drawing() -> Drawing:
    """Text of two faces over groups of several opacities: what the library numbers in no fixed order."""
    base = alt.Chart(data([{"x": n, "shown": f"{n}−x"} for n in range(4)])).encode(x="x:O")
    bars = [base.mark_bar(opacity=opacity).encode(y=alt.datum(opacity)) for opacity in (0.2, 0.4, 0.6, 0.8)]
    return draw(alt.layer(*bars, base.mark_text(fontWeight="bold").encode(text="shown:N")), "bars")


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_chart_gives_the_same_bytes_each_time(drawing: Drawing, file_format: str) -> None:
    begins = {"pdf": b"%PDF-", "svg": b"<svg ", "png": b"\x89PNG"}
    drawn = {FORMATS[file_format](drawing) for _ in range(4)}
    assert len(drawn) == 1
    assert drawn.pop().startswith(begins[file_format])


def test_a_pdf_in_fixed_order_holds_what_it_held(drawing: Drawing) -> None:
    before = drawing.pdf()
    after = in_fixed_order(before)
    table = int(after.rpartition(b"startxref\n")[2].split()[0])
    places = [int(line.split()[0]) for line in after[table:].split(b"\n")[3:] if line.endswith(b"n\r")]
    assert [after[place:].split(b" ")[0] for place in places] == [b"%d" % n for n in range(1, len(places) + 1)]
    objects, others = (re.findall(rb"(?s)^\d+ 0 obj\n(.*?)\nendobj", pdf, re.MULTILINE) for pdf in (before, after))
    without_numbers = [[re.sub(rb"\d+ 0 R|[\n ]+/[a-z]+\d+ (?=\d+ 0 R)", b"", part) for part in pdf]
                       for pdf in (objects, others)]  # fmt: skip
    assert sorted(without_numbers[0]) == sorted(without_numbers[1])
    assert in_fixed_order(after) == after
    assert len(re.findall(rb"/FontDescriptor\n", after)) == len(re.findall(rb"/FontFile2 ", after)) == 2


def test_what_is_written_otherwise_is_left_as_it_is() -> None:
    assert in_fixed_order(b"%PDF-1.7\nstartxref\n3\n%%EOF") == b"%PDF-1.7\nstartxref\n3\n%%EOF"


def test_names_of_files_are_plain_and_differ() -> None:
    names = ["cells smol (variant r=4)", "Kosten: 5 %", "日本", "中文", "../x", "cells smol (variant r-4)"]
    assert file_names(names) == [
        "cells-smol-variant-r-4", "kosten-5", "figure", "figure-2", "x", "cells-smol-variant-r-4-2"
    ]  # fmt: skip
