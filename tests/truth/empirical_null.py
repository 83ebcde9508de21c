"""`python -m tests.truth.empirical_null --warehouse FILE --work DIR`: real runs whose arms differ in nothing.

FILE is what `transfer compute --study tests/truth/empirical_null.yml --warehouse FILE` made: six sources tuned with
twelve seeds each. A split draws, for every source, two disjoint sets of S seeds; they are pseudo-arms A and B, and the
truth of every difference between them is 0, over runs and items. Each split becomes three studies:

* `A` and `B`: the base model and one arm each, over disjoint halves of the items (of each task, the same half in every
  language). An interval of a cell is of items and runs; with no item and no run in common the two are independent, and
  their difference has the half-width sqrt(h_A^2 + h_B^2) (Zou and Donner 2008). It must hold 0 in 95 % of the cells.
  The cell's p is that of (A - B) / sqrt(se_A^2 + se_B^2), with Satterthwaite's degrees of freedom of the two, each of
  which half-width and standard error tell; q by Benjamini and Hochberg over the split's transfer cells, as in a study.
* `AB`: A tuned and B its placebo, over all items, as in a study. The interval of a donor's effect over its placebo's
  must hold 0; nothing is a hub, or brittle.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from scipy import optimize, stats

from tests.helpers.warehouse_fixture import Cell
from tests.truth import rates
from tests.truth.measure import digest_of_sql
from tests.truth.warehouse import ManyStudies, dbt_run

SEEDS_OF_AN_ARM = (2, 4)
SPLITS_OF_A_WAREHOUSE = 25
FILE = "empirical_null.json"


@dataclass(frozen=True)
class Found:
    """A number over splits."""

    seeds: int
    asked: str
    estimate: rates.Estimate


@dataclass(frozen=True)
class Answers:
    """What was computed: right answers, [item] by parallel id."""

    base: dict[Cell, np.ndarray]
    runs: dict[tuple[Cell, int, Cell], np.ndarray]
    """By source, seed and target."""


def read(warehouse: Path, folder: Path) -> Answers:
    """Return the answers of the study in `warehouse`, as the project's SQL judges them; the file is left alone."""
    copy = folder / "computed.duckdb"
    copy.write_bytes(warehouse.read_bytes())
    dbt_run(copy, ["int_item_correctness"], folder)
    with duckdb.connect(str(copy), read_only=True) as connection:
        rows = connection.execute(
            """
            select source_task, source_language, seed, target_task, target_language, list(acc order by item_id)
            from intermediate.int_item_correctness
            inner join intermediate.int_scoring_jobs using (job_number)
            group by all
            """
        ).fetchall()
    base, runs = {}, {}
    for source_task, source_language, seed, target_task, target_language, right in rows:
        target = (target_task, target_language)
        if source_task is None:
            base[target] = np.array(right, dtype=bool)
        else:
            runs[(source_task, source_language), seed, target] = np.array(right, dtype=bool)
    copy.unlink()
    return Answers(base, runs)


def add_split(studies: ManyStudies, name: str, answers: Answers, n_seeds: int, rng: np.random.Generator) -> None:
    """Add the three studies of one random split."""
    sources = sorted({source for source, _, _ in answers.runs})
    seeds = sorted({seed for _, seed, _ in answers.runs})
    drawn = {source: rng.permutation(seeds)[: 2 * n_seeds] for source in sources}
    arms = {"A": lambda source: drawn[source][:n_seeds], "B": lambda source: drawn[source][n_seeds:]}
    everything = {task: np.arange(len(right)) for (task, _), right in answers.base.items()}
    shuffled = {task: rng.permutation(items) for task, items in sorted(everything.items())}
    halves = (
        {task: items[: len(items) // 2] for task, items in shuffled.items()},
        {task: items[len(items) // 2 :] for task, items in shuffled.items()},
    )
    for study, items, tuned in (
        (f"{name} A", halves[0], {None: "A"}),
        (f"{name} B", halves[1], {None: "B"}),
        (f"{name} AB", everything, {None: "A", "placebo": "B"}),
    ):
        studies.study(study)
        for target, right in answers.base.items():
            chosen = items[target[0]]
            studies.score(study, right[chosen], model="llama-64@1", target=target)
            for control, arm in tuned.items():
                for source in sources:
                    for number, seed in enumerate(arms[arm](source)):
                        studies.score(
                            study, answers.runs[source, seed, target][chosen],
                            model="llama-64@1", target=target, source=source, seed=number, control=control,
                        )  # fmt: skip


def degrees_of_freedom(half_width: float, standard_error: float) -> float:
    """Return the degrees of freedom whose t quantile at .975 is half_width / standard_error."""
    ratio = half_width / standard_error
    if ratio <= stats.norm.ppf(0.975) + 1e-6:
        return float("inf")
    return float(np.exp(optimize.brentq(lambda log_degrees: stats.t.ppf(0.975, np.exp(log_degrees)) - ratio, -1, 16)))


def p_value(difference: float, errors: Sequence[float], half_widths: Sequence[float]) -> float:
    """Return the two-sided p of a difference of two independent estimates."""
    squares = np.square(errors)
    degrees = np.array([degrees_of_freedom(h, e) for h, e in zip(half_widths, errors, strict=True)])
    pooled = squares.sum() ** 2 / np.maximum((squares**2 / degrees).sum(), 1e-12)
    return float(2 * stats.t.sf(abs(difference) / np.sqrt(squares.sum()), pooled))


def judge(path: Path, names: Iterable[str]) -> dict[str, list[tuple[float, float]]]:
    """Return by question (successes, trials) of each split."""
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    with duckdb.connect(str(path), read_only=True) as connection:
        for name in names:
            _judge_cells(connection, name, found)
            _judge_roles(connection, name, found)
    return found


def _judge_cells(connection: duckdb.DuckDBPyConnection, name: str, found: dict[str, list[tuple[float, float]]]) -> None:
    pairs = connection.execute(
        """
        select
            a.delta_pp - b.delta_pp, [a.delta_se, b.delta_se],
            [(a.ci_high - a.ci_low) / 2, (b.ci_high - b.ci_low) / 2]
        from marts.fct_transfer as a
        inner join marts.fct_transfer as b using (source_task, source_language, target_task, target_language)
        where a.study = $a and b.study = $b and a.regime != 'MT-ML'
        """,
        {"a": f"{name} A", "b": f"{name} B"},
    ).fetchall()
    told = [(d, errors, halves) for d, errors, halves in pairs if None not in (*errors, *halves) and all(errors)]
    inside = sum(abs(d) <= np.hypot(*halves) for d, _, halves in told)
    found["difference of arms, cells: coverage of 0"].append((inside, len(pairs)))
    q_values = stats.false_discovery_control([p_value(*one) for one in told])
    found["difference of arms: splits with a cell of q ≤ .05"].append((float((q_values <= 0.05).any()), 1))
    widths = [float(np.hypot(*halves)) for _, _, halves in told]
    found["difference of arms, cells: median half-width, pp"].append((float(np.median(widths)), 1))


def _judge_roles(connection: duckdb.DuckDBPyConnection, name: str, found: dict[str, list[tuple[float, float]]]) -> None:
    known = {row[0] for row in connection.execute("describe marts.rpt_roles").fetchall()}
    roles = "from marts.rpt_roles where study = $study and scope = 'all' and axis = 'language'"

    def one(question: str, sql: str, *needs: str) -> None:
        if known.issuperset(needs):
            (row,) = connection.execute(f"select {sql} {roles}", {"study": f"{name} AB"}).fetchall()
            found[question].append((float(row[0] or 0), float(row[1])))

    one(
        "an arm as the other's placebo, donors: coverage of 0",
        "count_if(coalesce(gain_over_placebo_low <= 0 and gain_over_placebo_high >= 0, false)),"
        " count_if(donor_pp is not null)",
        "gain_over_placebo_low",
    )
    one("an arm as the other's placebo: splits with a brittle target",
        "cast(bool_or(coalesce(is_brittle, true)) filter (where recipient_pp is not null) as integer), 1")  # fmt: skip


def measure(warehouse: Path, folder: Path, splits: int) -> list[Found]:
    """Return the numbers over all splits, and keep them in `folder`."""
    by_question: dict[tuple[int, str], list[tuple[float, float]]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as scratch:
        answers = read(warehouse, Path(scratch))
    for n_seeds in SEEDS_OF_AN_ARM:
        for first in range(0, splits, SPLITS_OF_A_WAREHOUSE):
            names = [f"{n_seeds} seeds, split {i}" for i in range(first, min(splits, first + SPLITS_OF_A_WAREHOUSE))]
            with tempfile.TemporaryDirectory(dir=folder) as building:
                studies = ManyStudies()
                for i, name in enumerate(names, first):
                    add_split(studies, name, answers, n_seeds, np.random.default_rng([n_seeds, i]))
                path = Path(building, "warehouse.duckdb")
                studies.write(path)
                dbt_run(path, ["fct_transfer", "rpt_roles"], path.parent)
                for question, rows in judge(path, names).items():
                    by_question[n_seeds, question].extend(rows)
            print(f"{n_seeds} seeds an arm: {first + len(names)} of {splits} splits", flush=True)
    found = [
        Found(
            seeds, question,
            rates.median([value for value, _ in rows]) if "median" in question
            else rates.rate([row[0] for row in rows], [row[1] for row in rows]),
        )
        for (seeds, question), rows in by_question.items()
    ]  # fmt: skip
    (folder / FILE).write_text(json.dumps([asdict(one) for one in found]))
    return found


def kept(folder: Path) -> list[Found]:
    """Return the numbers that `folder` holds; none if it has not been measured there."""
    if not (folder / FILE).exists():
        return []
    rows: list[dict[str, Any]] = json.loads((folder / FILE).read_text())
    return [Found(row["seeds"], row["asked"], rates.Estimate(**row["estimate"])) for row in rows]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.truth.empirical_null", description="arms that are the same")
    parser.add_argument("--warehouse", type=Path, required=True, help="what transfer compute made of the study")
    parser.add_argument("--work", type=Path, required=True, help="folder where results are kept")
    parser.add_argument("--splits", type=int, default=200, help="random splits for each size of an arm (default: 200)")
    asked = parser.parse_args()
    folder = asked.work.resolve() / digest_of_sql()
    folder.mkdir(parents=True, exist_ok=True)
    for found in measure(asked.warehouse, folder, asked.splits):
        print(
            f"{found.seeds} seeds an arm, {found.asked}: {found.estimate.value:.3f} of {found.estimate.n_draws} splits"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
