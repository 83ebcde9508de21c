"""What a page is made of, and what every section needs to know of its study."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from report.ask import Answer
from report.printed import plural
from report.tables import Row, Table
from report.theme import Drawing

NO_LANGUAGE_MODELS = "This study has no language-model half: its file lists no models."
NO_EMBEDDINGS = "This study has no embedding half: its file has no section `embeddings`."
NOT_IMPORTED = {half: f"The import brought no {half}." for half in ("transfer cell", "mapping")}
NO_MIXTURES = "This study tunes on no mixture of sources."
NO_CURVES = "This study scores no adapter before the end of its training."
NO_PREDICTIONS = "Nothing of this study was predicted: `transfer predict` does."
NO_PREDICTORS = "No predictor of transfer was judged on this study: `transfer predict` does."
NOT_ASKED = (NO_MIXTURES, NO_CURVES, NO_PREDICTIONS, NO_PREDICTORS)
"""What a study says of a chapter that it does not ask for: the page leaves it out."""
ABSENT_HALVES = (NO_LANGUAGE_MODELS, NO_EMBEDDINGS, *NOT_IMPORTED.values())
"""What a study says of a half that it never had."""

Answers = Mapping[str, Answer]
"""Question -> its answer."""


@dataclass(frozen=True)
class Panel:
    """One drawing; several stand side by side under one block.

    Attributes:
        name: what it shows, told apart from all others of the page: the name of its file.
        title: what tells it apart from the others of its block; empty if it is alone.
        drawing: the chart.
    """

    name: str
    title: str
    drawing: Drawing
    keeps_size: bool = False
    """Grids scroll on a narrow screen; other drawings shrink to fit it."""


@dataclass(frozen=True)
class Legend:
    """Words at the ends and the middle of a colour scale, and its colours."""

    words: tuple[str, ...]
    colours: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True)
class Block:
    """A titled finding: drawings, the tables behind them and the SQL that gave both."""

    title: str
    note: str = ""
    panels: tuple[Panel, ...] = ()
    legend: Legend | None = None
    tables: tuple[Table, ...] = ()
    folded_tables: tuple[Table, ...] = ()
    """Tables behind a drawing, or too long to stand open."""
    choices: tuple[str, ...] = ()
    """Names to filter by: the n-th panel and the n-th folded table belong to the n-th name."""
    sql: str = ""
    code: str = ""


@dataclass(frozen=True)
class Section:
    """A chapter of the page. One without blocks says in `lead` why."""

    id: str
    title: str
    lead: tuple[str, ...] = ()
    blocks: tuple[Block, ...] = ()
    terms: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Study:
    """The study's row, and how far it has come."""

    name: str
    origin: str
    planned_at: datetime | None
    harm_threshold_pp: float
    embedding_study: str
    config: Mapping[str, Any]
    n_planned: int
    n_landed: int
    n_failed: int

    @classmethod
    def of(cls, answers: Answers) -> Study:
        """From the answers to `study` and `jobs`."""
        row = answers["study"].rows[0]
        jobs = answers["jobs"].rows
        config = json.loads(row["config"] or "{}")
        return cls(
            name=row["study"],
            origin=row["origin"],
            planned_at=row["planned_at"],
            harm_threshold_pp=row["harm_threshold_pp"],
            embedding_study=row["embedding_study"],
            config=config if isinstance(config, dict) else {},
            n_planned=sum(job["n_planned"] for job in jobs),
            n_landed=sum(job["n_landed"] for job in jobs),
            n_failed=sum(job["n_failed"] for job in jobs),
        )

    @property
    def harm(self) -> str:
        """The threshold in words."""
        return f"a loss of at least {self.harm_threshold_pp:g} pp"

    @property
    def bli_map(self) -> str:
        """Which lexicon induction stands for a pair of languages, in words."""
        asked = self.config.get("bli_map") or {}
        method, size = str(asked.get("method", "proc")).upper(), asked.get("dictionary_size")
        learnt = "largest dictionary" if size is None else plural(size, "training pair")
        retrieval = asked.get("retrieval", "csls")
        return f"{method}, {learnt}, {'CSLS' if retrieval == 'csls' else retrieval}"

    def why_no_transfer(self) -> str:
        """Why there is nothing to show of the language-model half."""
        if self.origin == "computed" and not self.config.get("models"):
            return NO_LANGUAGE_MODELS
        if self.origin == "computed" and not self.config.get("sources"):
            return "This study tunes nothing: its file lists no sources."
        return self._not_yet("transfer cell")

    def why_no_embeddings(self) -> str:
        """Why there is nothing to show of the embedding half."""
        if self.origin == "computed" and not self.config.get("embeddings"):
            return NO_EMBEDDINGS
        return self._not_yet("mapping")

    def _not_yet(self, what: str) -> str:
        if self.origin != "computed":
            return NOT_IMPORTED[what]
        if self.n_landed == self.n_planned:
            return f"Every job has landed, but the marts hold no {what}: `transfer build` brings them up to date."
        failed = f", {self.n_failed:,} failed" if self.n_failed else ""
        return (
            f"No {what} has been computed yet: {self.n_landed:,} of {plural(self.n_planned, 'job')} landed{failed}. "
            "`transfer compute` and `transfer build` fill this section."
        )


def short_names(models: Iterable[str]) -> dict[str, str]:
    """Name -> the name without its revision, where that is unambiguous: `smol` for `smol@48179166`."""
    distinct = sorted(set(models))
    bare = [model.rpartition("@")[0] or model for model in distinct]
    return {model: name if bare.count(name) == 1 else model for model, name in zip(distinct, bare, strict=True)}


def grouped(rows: Iterable[Row], key: str) -> dict[Any, list[Row]]:
    """Rows by the value of one column, in order."""
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        groups.setdefault(row[key], []).append(row)
    return groups
