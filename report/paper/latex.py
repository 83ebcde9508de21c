"""Tables as LaTeX. They need `\\usepackage{booktabs}`, and long ones `\\usepackage{longtable}`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from report.tables import Table, one_line

LONGEST = 45
"""Rows that fit on a page; a longer table is a `longtable`, which breaks over pages."""

_ESCAPED = {
    "\\": r"\textbackslash{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    # Other signs in the older font encodings, or half of a ligature.
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    "'": r"\textquotesingle{}",
    '"': r"\char34{}",
    "-": "{-}",
    # `\\ [2pt]` and `\\*` are commands, so is what follows \toprule.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    # Signs that a number is printed with, and that pdfLaTeX knows by these names alone.
    "−": "$-$",
    "–": "--",
    "×": r"$\times$",
}


def escape(text: str) -> str:
    """`text` as LaTeX prints it, whatever it holds; letters beyond ASCII are left as they are (UTF-8)."""
    return "".join(_ESCAPED.get(character, character) for character in one_line(text))


def document(tables: Sequence[Table], label: str, told: str) -> str:
    """The tables, one after the other, for `\\input`.

    Args:
        tables: what is printed.
        label: `\\label{tab:<label>-1}` and so on; letters, digits and hyphens.
        told: a line about where the numbers come from, set as a comment.
    """
    texts = [f"% {one_line(told)}"]
    if tables:
        is_long = any(len(table.body) > LONGEST for table in tables)
        texts.append(f"% \\usepackage{{booktabs{',longtable' if is_long else ''}}}")
    texts += ["\n".join(_table(table, f"tab:{label}-{number}")) for number, table in enumerate(tables, start=1)]
    return "\n".join(texts) + "\n"


def _table(table: Table, label: str) -> Iterator[str]:
    columns = "".join("r" if is_numeric else "l" for is_numeric in table.numeric)
    caption = f"\\caption{{{escape(table.caption)}}}"
    if len(table.body) > LONGEST:
        yield f"\\begin{{longtable}}{{{columns}}}"
        yield f"{caption}\\label{{{label}}}\\\\"
        yield from _head(table)
        yield "\\endhead"
        yield from _body(table)
        yield "\\end{longtable}"
    else:
        yield "\\begin{table}[tbp]"
        yield "\\centering"
        yield caption
        yield f"\\label{{{label}}}"
        yield f"\\begin{{tabular}}{{{columns}}}"
        yield from _head(table)
        yield from _body(table)
        yield "\\end{tabular}"
        yield "\\end{table}"


def _head(table: Table) -> Iterator[str]:
    yield "\\toprule"
    for spans in table.spans:
        yield " & ".join(f"\\multicolumn{{{n}}}{{c}}{{{escape(text)}}}" for text, n in spans) + " \\\\"
        first, rules = 1, []
        for text, n in spans:
            if text:
                rules.append(f"\\cmidrule(lr){{{first}-{first + n - 1}}}")
            first += n
        yield " ".join(rules)
    yield _row(table.head[-1])
    yield "\\midrule"


def _body(table: Table) -> Iterator[str]:
    for row in table.body:
        yield _row(row)
    yield "\\bottomrule"


def _row(cells: Sequence[str]) -> str:
    return " & ".join(map(escape, cells)) + " \\\\"
