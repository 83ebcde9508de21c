"""The charts of a study's page as files of a paper, each named for what it shows."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import chain, count
from pathlib import Path

from compute.errors import UserError, writing
from compute.names import UnknownName
from compute.store.database import Place
from compute.store.files import write_whole
from report.page import ask_all, sections_of
from report.paper import latex
from report.paper.pdf import in_fixed_order
from report.parts import Block, Panel, Study
from report.tables import one_line
from report.theme import Drawing

FORMATS: Mapping[str, Callable[[Drawing], bytes]] = {
    "pdf": lambda drawing: in_fixed_order(drawing.pdf()),
    "svg": lambda drawing: drawing.svg().encode(),
    "png": lambda drawing: drawing.png(),
}
"""What `--format` may be, and a file's ending."""

CAPTIONS = "captions.tex"
"""The file with a figure of LaTeX for each chart."""


def export_figures(warehouse: Place, study: str, file_format: str, folder: Path, wait: float = 60.0) -> list[Path]:
    """Write every chart of the study's page as `<folder>/<what it shows>.<format>`, and return these files.

    Beside them stands a file of LaTeX with what the page says of each. The same chart is the same file, byte for byte,
    on a machine with the same fonts.

    Raises:
        UserError: no such format or study, no warehouse, marts that are not built, or a folder that cannot be written.
    """
    if file_format not in FORMATS:
        raise UserError(str(UnknownName("format", file_format, FORMATS)))
    answers = ask_all(warehouse, study, wait)
    shown = [
        (block, panel)
        for section in sections_of(answers, Study.of(answers))
        for block in section.blocks
        for panel in block.panels
    ]
    names = file_names([panel.name for _, panel in shown])
    written = []
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, (_, panel) in zip(names, shown, strict=True):
            written.append(folder / f"{name}.{file_format}")
            write_whole(written[-1], FORMATS[file_format](panel.drawing))
        figures = (_figure(name, *blocks) for name, blocks in zip(names, shown, strict=True))
        write_whole(folder / CAPTIONS, f"% study {one_line(study)}\n{''.join(figures)}".encode())
    return written


def _figure(name: str, block: Block, panel: Panel) -> str:
    """Return a figure of LaTeX, with what its page says of it."""
    title = f"{block.title}: {panel.title}" if panel.title else block.title
    told = [f"{title}.", block.note]
    if block.legend:
        told += [f"Colours: from {block.legend.words[0]} to {block.legend.words[-1]}.", block.legend.note]
    caption = latex.escape(" ".join(filter(None, told)).replace("`", ""))
    return (
        "\n\\begin{figure}[tbp]\n\\centering\n"
        f"\\includegraphics[width=\\linewidth]{{{name}}}\n\\caption{{{caption}}}\n\\label{{fig:{name}}}\n\\end{{figure}}\n"
    )


def file_names(names: Sequence[str]) -> list[str]:
    """Return each name in small letters of ASCII, digits and hyphens, as every program takes them; no two are alike."""
    found: list[str] = []
    for name in names:
        plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "figure"
        found.append(next(one for one in chain([plain], (f"{plain}-{n}" for n in count(2))) if one not in found))
    return found
