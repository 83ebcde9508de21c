"""Marts of one study as files: CSV and Parquet by DuckDB's own COPY, LaTeX and Markdown as a paper prints them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from compute.errors import UserError, writing
from compute.names import UnknownName
from compute.store.database import Place
from compute.store.warehouse import Warehouse
from report.layouts import LAYOUTS
from report.listings import EveryColumn, Layout
from report.paper import latex, markdown
from report.paper.fitting import PAGE_WIDTH
from report.parts import short_names
from report.tables import Table


@dataclass(frozen=True)
class Format:
    """How a mart becomes a file: the ending of its name, and what writes it from (connection, mart, study, path)."""

    suffix: str
    write: Callable[[duckdb.DuckDBPyConnection, str, str, Path], None]


_NOT_PUBLISHED = (
    "`transfer check` publishes a study that passes, and `--warehouse warehouse.duckdb` exports one that was not "
    "checked"
)


def export_marts(
    warehouse: Warehouse,
    study: str,
    file_format: str,
    folder: Path,
    marts: Sequence[str] = (),
    width: float | None = None,
) -> list[Path]:
    """Writes `<folder>/<mart>.<ending>` for each of `marts` (none: all of them), each file whole or not at all.

    A mart that has no rows of the study gives a file that says so: an old one of that name never stays behind. LaTeX's
    tables fit a page whose text is `width` points wide (None: that of the class article).

    Raises:
        UserError: no such format, study or mart; a width that the format does not have; no warehouse or one without
            marts; a folder that cannot be written.
    """
    if file_format not in FORMATS:
        raise UserError(str(UnknownName("format", file_format, FORMATS)))
    if width is not None and file_format != "latex":
        raise UserError(f"--width is of tables in latex; {file_format} has none")
    with warehouse.of_study(study, _NOT_PUBLISHED) as connection:
        known = _marts(connection, warehouse.path)
        wanted = list(dict.fromkeys(marts)) or known
        for mart in wanted:
            if mart not in known:
                raise UserError(f"{warehouse.path}: {UnknownName('mart', mart, known)}")
        form = FORMATS[file_format] if width is None else Format(".tex", _latex(width))
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            return [_write(connection, mart, study, folder / f"{mart}{form.suffix}", form) for mart in wanted]


def _marts(connection: duckdb.DuckDBPyConnection, path: Place) -> list[str]:
    rows = connection.execute(
        "select table_name from information_schema.tables where table_schema = 'marts' order by table_name"
    ).fetchall()
    if not rows:
        raise UserError(f"{path}: it has no marts; run `transfer build` first")
    return [name for (name,) in rows]


def _write(connection: duckdb.DuckDBPyConnection, mart: str, study: str, path: Path, form: Format) -> Path:
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        form.write(connection, mart, study, temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _layout(mart: str) -> Layout:
    return LAYOUTS.get(mart, EveryColumn())


def _rows_of(mart: str) -> str:
    """SQL of a study's rows of a mart, the study being its one parameter, always in the same order."""
    return f"""select * from marts."{mart}" where study = $1 order by {_layout(mart).order}"""


def _copy(options: str) -> Callable[[duckdb.DuckDBPyConnection, str, str, Path], None]:
    def write(connection: duckdb.DuckDBPyConnection, mart: str, study: str, path: Path) -> None:
        quoted = str(path.absolute()).replace("'", "''")
        connection.execute(f"copy ({_rows_of(mart)}) to '{quoted}' ({options})", [study])

    return write


def _latex(width: float) -> Callable[[duckdb.DuckDBPyConnection, str, str, Path], None]:
    def write(connection: duckdb.DuckDBPyConnection, mart: str, study: str, path: Path) -> None:
        tables, told = paper_tables(connection, mart, study)
        path.write_text(latex.document(tables, mart.replace("_", "-"), told, width), encoding="utf-8")

    return write


def _markdown(connection: duckdb.DuckDBPyConnection, mart: str, study: str, path: Path) -> None:
    tables, told = paper_tables(connection, mart, study)
    path.write_text(markdown.document(tables, told), encoding="utf-8")


_REVISED = ("model", "scope", "held_out", "prompt", "vectors")
"""Columns of names with a revision or a digest: `smol@48179166`."""


def paper_tables(connection: duckdb.DuckDBPyConnection, mart: str, study: str) -> tuple[list[Table], str]:
    """Return a study's rows of a mart as the tables of a paper, none if it has no rows, and where they are from.

    Names stand there without their revision where that is unambiguous; what they stand for is told.

    Raises:
        UserError: the mart was built before a column that its layout shows.
    """
    cursor = connection.execute(_rows_of(mart), [study])
    types = {column[0]: str(column[1]) for column in cursor.description or ()}
    rows = [dict(zip(types, row, strict=True)) for row in cursor.fetchall()]
    shorter: dict[str, str] = {}
    for column in filter(types.__contains__, _REVISED):
        names = short_names(row[column] for row in rows if row[column] is not None)
        rows = [row | {column: names.get(row[column])} for row in rows]
        shorter |= {short: full for full, short in names.items() if short != full}
    told = [f"marts.{mart} of study {study}{'' if rows else ': no rows'}"]
    told += [f"{short}: {full}" for short, full in sorted(shorter.items())]
    try:
        return _layout(mart).tables(rows, types), "\n".join(told)
    except KeyError as error:
        raise UserError(
            f"marts.{mart} has no column {error}; run `transfer build` and `transfer check` first"
        ) from None


FORMATS: Mapping[str, Format] = {
    "csv": Format(".csv", _copy("format csv, header")),
    "parquet": Format(".parquet", _copy("format parquet, compression zstd")),
    "latex": Format(".tex", _latex(PAGE_WIDTH)),
    "markdown": Format(".md", _markdown),
}
"""What `--format` may be."""
