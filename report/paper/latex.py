"""Tables as LaTeX, each of which fits a page. They need the package booktabs, and long ones longtable."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from report.paper.fitting import GAP, PAGE_WIDTH, Fitted, fitted
from report.paper.scripts import RIGHT_TO_LEFT, font_of, runs
from report.tables import Table, one_line

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
    "→": r"$\rightarrow$",
    "≤": r"$\leq$",
    "±": r"$\pm$",
    "…": r"\ldots{}",
}
_SYMBOLS = {"τ": r"$\tau$", "ρ": r"$\rho$"}
"""Greek letters that stand alone are signs."""


@lru_cache(maxsize=2**16)
def escape(text: str) -> str:
    """`text` as LaTeX prints it, whatever it holds; letters beyond ASCII are left as they are (UTF-8).

    Letters of another script than Latin stand in a group that begins with its font: `{\\scriptarabic ...}`.
    """
    return "".join(_escaped(script, piece) for script, piece in runs(one_line(text)))


def _escaped(script: str | None, piece: str) -> str:
    if script is None:
        return "".join(_ESCAPED.get(character, character) for character in piece)
    if piece in _SYMBOLS:
        return _SYMBOLS[piece]
    inner = f"\\righttoleft{{{piece}}}" if script in RIGHT_TO_LEFT else piece
    return f"{{{_font_command(script)} {inner}}}"


def _font_command(script: str) -> str:
    return f"\\script{script.lower()}"


def document(tables: Sequence[Table], label: str, told: str, width: float = PAGE_WIDTH) -> str:
    """The tables, one after the other, for `\\input`.

    Args:
        tables: what is printed; one that is too wide for a page becomes several.
        label: `\\label{tab:<label>-1}` and so on; letters, digits and hyphens.
        told: lines about where the numbers come from, set as comments.
        width: of the page's text in points.
    """
    parts = [part for table in tables for part in fitted(table, width)]
    texts = [f"% {one_line(line)}" for line in told.splitlines()]
    if parts:
        texts.append(f"% \\usepackage{{booktabs{',longtable' if any(part.is_long for part in parts) else ''}}}")
    texts += _fonts(tables)
    texts += ["\n".join(_table(part, f"tab:{label}-{number}")) for number, part in enumerate(parts, start=1)]
    return "\n".join(texts) + "\n"


def _fonts(tables: Iterable[Table]) -> Iterator[str]:
    """Yield what text in other scripts needs: the preamble as comments, and commands that do nothing without it."""
    texts = {text for table in tables for row in (*table.head, *table.body, (table.caption,)) for text in row}
    scripts = sorted({script for text in texts for script, piece in runs(text) if script and piece not in _SYMBOLS})
    if not scripts:
        return
    yield "% Some text is not in Latin letters: XeLaTeX, or LuaLaTeX with [Renderer=HarfBuzz], and fonts of them:"
    yield "% \\usepackage{fontspec}"
    for script in scripts:
        of_letters = "" if font_of(script).endswith(("Sans", "SC", "JP", "KR")) else f"[Script={script.title()}]"
        yield f"% \\newfontfamily{_font_command(script)}{{{font_of(script)}}}{of_letters}"
    yield from (f"\\providecommand{_font_command(script)}{{}}" for script in scripts)
    if RIGHT_TO_LEFT & {*scripts}:
        yield (
            r"\providecommand\righttoleft[1]{\ifdefined\TeXXeTstate\TeXXeTstate=1 \beginR #1\endR"
            r"\else\ifdefined\textdir{\textdir TRT #1}\else #1\fi\fi}"
        )


def _table(part: Fitted, label: str) -> Iterator[str]:
    table = part.table
    columns = "".join(
        f"p{{{part.paragraphs[n]:.0f}pt}}" if n in part.paragraphs else "r" if is_numeric else "l"
        for n, is_numeric in enumerate(table.numeric)
    )
    columns = f"@{{}}{columns}@{{}}"
    caption = f"\\caption{{{escape(table.caption)}}}"
    size = f"\\{part.print.name}\\setlength{{\\tabcolsep}}{{{GAP * part.print.share / 2:.1f}pt}}"
    if part.is_long:
        yield f"\\begingroup{size}"
        yield f"\\begin{{longtable}}{{{columns}}}"
        yield f"{caption}\\label{{{label}}}\\\\"
        yield from _head(part)
        yield "\\endhead"
        yield from _body(table)
        yield "\\end{longtable}"
        yield "\\endgroup"
    else:
        yield "\\begin{table}[tbp]"
        yield "\\centering"
        yield caption
        yield f"\\label{{{label}}}"
        yield size
        yield f"\\begin{{tabular}}{{{columns}}}"
        yield from _head(part)
        yield from _body(table)
        yield "\\end{tabular}"
        yield "\\end{table}"


def _head(part: Fitted) -> Iterator[str]:
    yield "\\toprule"
    for spans in part.table.spans:
        yield " & ".join(f"\\multicolumn{{{n}}}{{c}}{{{escape(text)}}}" for text, n in spans) + " \\\\"
        first, rules = 1, []
        for text, n in spans:
            if text:
                rules.append(f"\\cmidrule(lr){{{first}-{first + n - 1}}}")
            first += n
        yield " ".join(rules)
    yield from map(_row, part.headings)
    yield "\\midrule"


def _body(table: Table) -> Iterator[str]:
    for row in table.body:
        yield _row(row)
    yield "\\bottomrule"


def _row(cells: Sequence[str]) -> str:
    return " & ".join(map(escape, cells)) + " \\\\"
