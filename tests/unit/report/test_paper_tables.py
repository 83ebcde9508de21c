"""Tables of a paper: whatever stands in a name, other programs read it back."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from pylatexenc.latex2text import LatexNodes2Text, MacroTextSpec, get_default_latex_context_db
from pylatexenc.latexwalker import LatexEnvironmentNode, LatexMacroNode, LatexSpecialsNode, LatexWalker

from report.layouts import LAYOUTS
from report.listings import EveryColumn, Listing
from report.paper import latex, markdown
from report.paper.fitting import fitted
from report.tables import ABSENT, Table, as_printed, heading

MARTS = Path(__file__).parents[3] / "models" / "marts"
HOSTILE = r"a_b & 50% of $x^2$ ~ #1 {y} \input{z} <c> |d| [e] *f* `g` \\"
cells = st.one_of(st.just(ABSENT), st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=12))


@st.composite
def tables(draw: st.DrawFn) -> Table:
    n = draw(st.integers(1, 4))
    row = st.tuples(*[cells] * n)
    head = tuple(
        draw(st.tuples(*[st.text("ab_&%[", min_size=1, max_size=3)] * n)) for _ in range(draw(st.integers(1, 2)))
    )
    body = tuple(draw(st.lists(row, min_size=1, max_size=4)))
    return Table(draw(st.text("caption_%&{}", max_size=20)), head, (False,) + (True,) * (n - 1), body)


def seen(text: str) -> str:
    """What a reader sees of a cell: spaces at its ends and in a row are one or none."""
    return " ".join(text.split())


# ---- LaTeX, read by pylatexenc ----


def latex_rows(text: str) -> list[list[str]]:
    """Cells of the rows of every tabular, as an independent parser sees them."""
    known = re.sub(r"\\cmidrule\(lr\)\{\d+-\d+\}", "", text).replace(r"\char34{}", r"\textquotedbl{}")
    nodes, _, _ = LatexWalker(known, tolerant_parsing=False).get_latex_nodes()
    found: list[list[str]] = []
    for tabular in environments(nodes):
        row: list[list[Any]] = [[]]
        for node in tabular.nodelist:
            if isinstance(node, LatexSpecialsNode) and node.specials_chars == "&":
                row.append([])
            elif isinstance(node, LatexMacroNode) and node.macroname == "\\":
                assert not node.latex_verbatim().strip("\\\n "), "a cell became an argument of the line's end"
                found.append([plain(cell) for cell in row])
                row = [[]]
            elif not (isinstance(node, LatexMacroNode) and node.macroname.endswith(("rule", "caption", "label"))):
                row[-1].append(node)
    return found


# Macros of LaTeX's own that pylatexenc does not know, or knows as another sign.
KNOWN = {
    "textless": "<", "textgreater": ">", "textbar": "|", "textasciicircum": "^", "textquotesingle": "'",
    "textquotedbl": '"',
}  # fmt: skip
MACROS = get_default_latex_context_db()
MACROS.add_context_category("own", prepend=True, macros=[MacroTextSpec(*pair) for pair in KNOWN.items()])


def environments(nodes: Any) -> list[LatexEnvironmentNode]:
    there = [node for node in nodes if isinstance(node, LatexEnvironmentNode)]
    return [
        inner
        for node in there
        for inner in ([node] if node.environmentname == "tabular" else environments(node.nodelist))
    ]


def plain(nodes: list[Any]) -> str:
    text = LatexNodes2Text(MACROS, math_mode="text", strict_latex_spaces=True).nodelist_to_text(nodes)
    return " ".join(text.split())


@settings(deadline=None, max_examples=60)
@given(tables())
@example(Table(HOSTILE, ((HOSTILE,),), (False,), ((HOSTILE,), ("[2pt]",), ("*",), ("--",), (ABSENT,))))
def test_latex_says_what_the_table_says(table: Table) -> None:
    text = latex.document([table], "x", "told")
    rows = [row for row in latex_rows(text) if row]
    above = len(table.head) - 1
    lines, body = rows[above : -len(table.body)], rows[-len(table.body) :]
    assert body == [[seen(cell) for cell in row] for row in table.body]
    assert [seen(" ".join(parts)) for parts in zip(*lines, strict=True)] == [seen(cell) for cell in table.head[-1]]


def test_hostile_names_are_escaped_by_the_letter() -> None:
    assert latex.escape("a_b & 50% ~ #1 {x} $ ^ \\") == (
        r"a\_b \& 50\% \textasciitilde{} \#1 \{x\} \$ \textasciicircum{} \textbackslash{}"
    )
    assert latex.escape("−3.2 – two\nlines") == "$-$3.2 -- two lines"


def test_other_scripts_and_signs_are_told_apart() -> None:
    assert latex.escape("τ-b ≤ 1 → ρ") == r"$\tau${-}b $\leq$ 1 $\rightarrow$ $\rho$"
    assert latex.escape("Việt ß: ελληνικά τα, कि में (日本)") == (
        r"Việt ß: {\scriptgreek ελληνικά τα}, {\scriptdevanagari कि में} ({\scriptcjk 日本})"
    )
    assert latex.escape("العربية الفصحى 5") == r"{\scriptarabic \righttoleft{العربية الفصحى}} 5"


def test_a_file_says_what_its_scripts_need() -> None:
    text = latex.document([Table("c", (("τ",),), (False,), (("हि",), ("שלום",)))], "x", "from here\nsmol: smol@1")
    assert text.startswith("% from here\n% smol: smol@1\n% \\usepackage{booktabs}\n% Some text")
    assert r"% \newfontfamily\scripthebrew{Noto Sans Hebrew}[Script=Hebrew]" in text
    assert "greek" not in text and text.count(r"\providecommand") == 3
    assert "newfontfamily" not in latex.document([Table("é", (("τ",),), (False,), (("ß",),))], "x", "")


def wide(columns: int, tasks: int = 1, cell: str = "−12.3", rows: int = 3) -> Table:
    """A grid of numbers as marts have it: source task and language, then languages under their task."""
    tops = [(f"task_{task}", f"l{n}") for task in range(tasks) for n in range(columns)]
    head = tuple(
        (*corner, *(top[level] for top in tops)) for level, corner in enumerate((("", ""), ("task", "language")))
    )
    body = tuple(("task_0", f"l{n}", *([cell] * len(tops))) for n in range(rows))
    return Table("Cells.", head, (False, False) + (True,) * len(tops), body)


def test_a_grid_that_is_too_wide_goes_by_what_stands_above_its_columns() -> None:
    [whole] = fitted(wide(5))
    assert (whole.table, whole.print.name) == (wide(5), "normalsize")
    parts = fitted(wide(7, tasks=3))
    assert [part.table.caption for part in parts] == [f"Cells. Columns: task_{n}." for n in range(3)]
    assert all(part.table.head[1] == ("task", "language", *(f"l{n}" for n in range(7))) for part in parts)
    assert all({*part.table.head[0]} == {"", f"task_{n}"} for n, part in enumerate(parts))
    assert len(fitted(wide(7, tasks=3), page=2000)) == 1


def test_what_is_too_wide_even_so_comes_in_parts_that_begin_alike() -> None:
    table = wide(40)
    parts = fitted(table)
    assert len(parts) > 2
    assert parts[1].table.caption == f"Cells. Part 2 of {len(parts)}."
    assert all(part.table.body[1][:2] == ("task_0", "l1") for part in parts)
    assert sum(len(part.table.numeric) - 2 for part in parts) == 40
    assert [name for part in parts for name in part.table.head[1][2:]] == [f"l{n}" for n in range(40)]


def test_headings_have_lines_and_long_texts_too() -> None:
    words = "95 % interval of a model not yet tried"
    [part] = fitted(Table("c", (("n", words),), (True, False), (("1", "x" * 90),)))
    assert "".join(line[0] for line in part.headings) == "n" and len(part.headings) == 1
    assert [*part.paragraphs] == [1]
    [narrow] = fitted(Table("c", (("n", words),), (True, True), (("1", "−0.1"),)))
    assert len(narrow.headings) > 2 and " ".join(line[1] for line in narrow.headings) == words
    assert [line[0] for line in narrow.headings][-1] == "n"


needs_latex = pytest.mark.skipif(
    not shutil.which("pdflatex") or subprocess.run(["kpsewhich", "booktabs.sty"], capture_output=True).returncode != 0,
    reason="no LaTeX with booktabs on this machine",
)


@needs_latex
def test_latex_compiles(tmp_path: Path) -> None:
    printable = "".join(map(chr, range(32, 127)))
    every = Table(printable, ((printable, "−1.0"),), (False, True), ((printable, "[−1.0, +2.3]"), ("[x]", ABSENT)))
    spans = Table(
        "two heads", (("", "a", "a", "b"), ("", "c", "d", "e")), (False, True, True, True), (("r", "1", "2", ABSENT),)
    )
    long = Table("long", (("n",),), (True,), tuple((str(n),) for n in range(90)))
    regimes = LAYOUTS["rpt_roles"].table("All of τ → ρ ≤ 1", [dict.fromkeys(LAYOUTS["rpt_roles"].reads)])
    paper = r"\documentclass{article}\usepackage{booktabs,longtable}\begin{document}\input{tables}\end{document}"
    (tmp_path / "paper.tex").write_text(paper)
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "paper.tex"]
    for told in ([every], [spans, long, wide(30), wide(12), wide(8, tasks=2, rows=70), regimes]):
        (tmp_path / "tables.tex").write_text(latex.document(told, "x", printable), encoding="utf-8")
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
        assert done.returncode == 0, done.stdout[-2000:]
        assert (tmp_path / "paper.pdf").exists()
    assert not re.findall(r"Overfull \\hbox.*|Float too large.*", done.stdout)


needs_xelatex = pytest.mark.skipif(
    not shutil.which("xelatex") or subprocess.run(["kpsewhich", "fontspec.sty"], capture_output=True).returncode != 0,
    reason="no XeLaTeX with fontspec on this machine",
)


@needs_xelatex
def test_other_scripts_compile(tmp_path: Path) -> None:
    """With the fonts of the preamble that the file tells, of which only DejaVu is looked for here."""
    text = latex.document([Table("Кирилл", (("a",),), (False,), (("ελληνικά",), ("العربية لغة",)))], "x", "")
    fonts = re.sub(r"\{Noto Sans.*", "{DejaVu Sans}", "\n".join(re.findall(r"% (\\(?:use|new).*)", text)))
    (tmp_path / "tables.tex").write_text(text, encoding="utf-8")
    begins = f"\\documentclass{{article}}\n{fonts}\n"
    (tmp_path / "paper.tex").write_text(begins + r"\begin{document}\input{tables}\end{document}")
    command = ["xelatex", "-halt-on-error", "-interaction=nonstopmode", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Missing character" not in done.stdout + (tmp_path / "paper.log").read_text(errors="replace")


# ---- Markdown, read by markdown-it ----


def markdown_rows(text: str) -> list[list[str]]:
    rows: list[list[str]] = []
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text):
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and rows and token.level > 2:
            assert {child.type for child in token.children or []} <= {"text", "text_special"}, token.content
            rows[-1].append(" ".join("".join(child.content for child in token.children or []).split()))
    return rows


@settings(deadline=None, max_examples=60)
@given(tables())
@example(Table(HOSTILE, ((HOSTILE,),), (False,), ((HOSTILE,), ("&copy; ![x](y) <b>",), (ABSENT,))))
def test_markdown_says_what_the_table_says(table: Table) -> None:
    head, *body = markdown_rows(markdown.document([table], "told"))
    assert body == [[seen(cell) for cell in row] for row in table.body]
    assert len(head) == len(table.head[-1])


# ---- layouts ----


def test_methods_stand_in_rows_and_sizes_in_columns_as_in_acl_2019() -> None:
    keys = {"variant": "default", "vectors": "ft", "retrieval": "csls"}
    rows = [
        keys
        | {"method": method, "scope": scope, "dictionary_size": size, "mean_map": value}
        | {"n_failures": failures, "n_pairs": 5}
        for method, scope, size, value, failures in (
            ("proc", "all", 1000, 0.3, 1), ("proc", "all", 5000, 0.4, 0), ("proc", "common", 1000, 0.5, 0),
            ("proc", "common", 5000, 0.6, 0), ("vecmap", "all", 0, 0.1234, 2), ("vecmap", "common", 0, None, 0),
            ("icp", "all", 0, None, 3),
        )
    ]  # fmt: skip
    [table] = LAYOUTS["rpt_bli_methods"].tables(rows, {})
    assert table.head == (
        ("", "all pairs", "all pairs", "all pairs", "common pairs", "common pairs", "common pairs"),
        ("method", "1,000", "5,000", "no dictionary", "1,000", "5,000", "no dictionary"),
    )
    assert table.body == (  # the best first
        ("proc", "0.300 (1)", "0.400", "–", "0.500", "0.600", "–"),
        ("vecmap", "–", "–", "0.123 (2)", "–", "–", "–"),
        ("icp", "–", "–", "– (3)", "–", "–", "–"),
    )
    assert r"\cmidrule(lr){2-4} \cmidrule(lr){5-7}" in latex.document([table], "x", "")


def cell(source: str, target: str, delta: float | None, **keys: str | None) -> dict[str, object]:
    return {
        "variant": "default", "control": None, "model": "m@1", "prompt": "p", "source": f"t/{source}",
        "source_task": "t",
        "source_language": source, "target_task": "t", "target_language": target, "delta_pp": delta,
    } | keys  # fmt: skip


def test_cells_make_a_grid_for_each_model_and_control() -> None:
    rows = [cell("de", "de", 3.14), cell("de", "en", -0.04), cell("en", "de", None), cell("en", "en", -2.0)]
    placebo = [cell("de", "en", 0.5, control="placebo")]
    tuned, control = LAYOUTS["fct_transfer"].tables([*rows, *placebo], {})
    assert tuned.body == (("t/de", "+3.1", "0.0"), ("t/en", "–", "−2.0"))
    assert control.body == (("t/de", "+0.5"),)
    assert "Control none." in tuned.caption and "Control placebo." in control.caption


def test_prompts_share_a_grid_only_where_no_place_would_hold_two_values() -> None:
    apart = [cell("de", "de", 1.0, prompt="p"), cell("de", "de", 2.0, prompt="q")]
    assert [table.body[0][-1] for table in LAYOUTS["fct_transfer"].tables(apart, {})] == ["+1.0", "+2.0"]
    together = [cell("de", "de", 1.0, prompt="p"), cell("de", "en", 2.0, prompt="q")]
    [table] = LAYOUTS["fct_transfer"].tables(together, {})
    assert table.body == (("t/de", "+1.0", "+2.0"),)


def test_downstream_scores_stand_by_method_and_pair_a_table_a_task() -> None:
    keys = {
        "variant": "default", "vectors": "ft", "classifier": "logistic", "metric": "acc", "dictionary_size": 100,
        "source_language": "en", "collection": None,
    }  # fmt: skip
    rows = [
        keys | {"task": task, "method": method, "target_language": target, "score": score}
        for task, method, target, score in (
            ("cldc", "proc", "de", 0.5), ("cldc", "proc", "fi", None), ("cldc", "cca", "fi", 0.25),
            ("clir", "proc", "de", 0.125),
        )
    ]  # fmt: skip
    documents, retrieval = LAYOUTS["fct_downstream"].tables(rows, {})
    assert documents.head == (("", "", "en", "en"), ("method", "dictionary size", "de", "fi"))
    assert documents.body == (("cca", "100", "–", "0.250"), ("proc", "100", "0.500", "–"))
    assert retrieval.body == (("proc", "100", "0.125"),)
    assert documents.caption.endswith("Task cldc.") and retrieval.caption.endswith("Task clir.")


def test_other_marts_show_all_columns_but_the_ones_that_say_nothing() -> None:
    types = {"study": "VARCHAR", "entity": "VARCHAR", "share": "DOUBLE", "q_value": "DOUBLE", "n": "BIGINT"}
    rows = [
        {"study": "s", "entity": entity, "share": value, "q_value": None, "n": 1234}
        for entity, value in (("a", 0.25), ("b", -0.5))
    ]
    [table] = EveryColumn().tables(rows, types)
    assert table.head == (("entity", "share", "n"),)
    assert table.body == (("a", "0.250", "1,234"), ("b", "−0.500", "1,234"))
    assert table.caption == "All columns. Study: s; no values: q value."
    [single] = EveryColumn().tables(rows[:1], types)
    assert single.body == (("s", "a", "0.250", "1,234"),)


@pytest.mark.parametrize(
    ("column", "value", "printed"),
    [
        ("delta_pp", 3.149, "+3.1"), ("delta_pp", -0.04, "0.0"), ("delta_pp", None, None), ("ci_low", -1.25, "−1.2"),
        ("delta_se", 0.456, "0.46"), ("harm_pct", 33.333, "33.3"), ("p_value", 0.0001, "< 0.001"),
        ("p_value", 0.04, "0.040"), ("seed", 1234, "1234"), ("n_cells", 1234, "1,234"), ("is_harm", True, "yes"),
        ("score", 0.5, "0.500"),
    ],
)  # fmt: skip
def test_values_are_rounded_as_their_unit_asks(column: str, value: object, printed: str | None) -> None:
    assert as_printed(column, value, of_pp=True) == printed


def test_bounds_of_what_is_no_percentage_point_are_shares() -> None:
    assert as_printed("ci_low", -0.0312) == "−0.031"
    assert re.fullmatch(r"delta \(pp\)", heading("delta_pp"))


@pytest.mark.parametrize("mart", LAYOUTS)
def test_a_layout_shows_columns_that_its_mart_has(mart: str) -> None:
    """The page and the paper would both stop at one that is not there."""
    (described,) = yaml.safe_load((MARTS / f"{mart}.yml").read_text())["models"]
    columns = {column["name"] for column in described["columns"]}
    assert set(LAYOUTS[mart].reads) <= columns
    named = set(re.findall(r"\b[a-z]+_[a-z_]+\b", re.sub(r"'.*?'|list_position", "", LAYOUTS[mart].order)))
    assert named <= columns


def test_a_half_of_a_listing_begins_with_what_its_rows_are() -> None:
    layout = LAYOUTS["rpt_regimes"]
    assert isinstance(layout, Listing)
    row = dict.fromkeys(layout.reads) | {"regime": "MT-CL", "n_cells": 3, "mean_pp": 1.0}
    first, second = layout.halves("a", "b", [row])
    assert first.body[0][:4] == ("MT-CL: same task, other language", "3", "+1.0", "no items")
    assert second.body[0][0] == first.body[0][0]
    assert [*first.head[0], *second.head[0][1:]] == list(layout.table("c", [row]).head[0])
