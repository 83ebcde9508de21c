"""Renders dbt models of the package for a question that no mart was built for, over a built warehouse.

The models stay the one place where numbers are derived: `create_models` makes some of them anew, as temporary tables,
where one of their inputs is another. They are read as dbt reads them, less what needs dbt itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import duckdb
import jinja2

from compute.project import package_folder


def create_models(connection: duckdb.DuckDBPyConnection, models: Sequence[str], given: Sequence[str] = ()) -> None:
    """Make models as temporary tables of their names, in this order; what they read of each other, and of the
    temporary tables `given`, is those, all else the warehouse's own."""
    folder = package_folder() / "models"
    paths = {path.stem: path for path in folder.rglob("*.sql")}
    made = set(given)

    def place(model: str) -> str:
        return f"temp.{model}" if model in made else f"{paths[model].relative_to(folder).parts[0]}.{model}"

    for model in models:
        template = _environment().from_string(_macros() + paths[model].read_text(encoding="utf-8"))
        sql = template.render(ref=place, source="{}.{}".format, config=lambda **_: "")
        connection.execute(f"create temp table {model} as {sql}")
        made.add(model)


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)


@cache
def _macros() -> str:
    """The macros of the package: those of dbt's tests, and those that call dbt, have no place here."""
    folder = package_folder() / "dbt_project" / "macros"
    texts = (path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.sql")))
    return "".join(text for text in texts if "{% test " not in text and "run_query(" not in text)
