"""The table of measured numbers, and `docs/calibration.md` around it."""

from __future__ import annotations

from collections.abc import Sequence

from tests.truth.empirical_null import Found
from tests.truth.measure import Measured
from tests.truth.rates import Estimate, Reach


def reach_text(reach: Reach) -> str:
    """Return the reach in words."""
    if reach.low is None and reach.high is None:
        return "as it comes"
    if reach.low is None:
        return f"at most {reach.high:g}"
    if reach.high is None:
        return f"at least {reach.low:g}"
    return f"{reach.low:g} to {reach.high:g}"


def _value(estimate: Estimate | None) -> str:
    return "–" if estimate is None else f"{estimate.value:.3f}"


def table(measured: Sequence[Measured], before: Sequence[Measured] | None = None) -> str:
    """Return a Markdown table, a row a judge; `before`: the same judges' numbers of other SQL, a column more."""
    old = {(m.world.name, m.judge.name): m.estimate for m in before or ()}
    columns = [
        "world",
        "asked",
        *(["before"] if before else []),
        "measured",
        "95 % interval",
        "reach",
        "draws",
        "reached",
    ]
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    for m in measured:
        e = m.estimate
        cells = [m.world.name, m.judge.name]
        if before:
            cells.append(_value(old.get((m.world.name, m.judge.name))))
        cells += [_value(e), "–" if e is None else f"{e.low:.3f} to {e.high:.3f}", reach_text(m.judge.reach)]
        cells += ["–", f"not asked: needs {', '.join(m.judge.needs)}"] if e is None else [str(e.n_draws), _verdict(m)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _verdict(m: Measured) -> str:
    if m.judge.reach == Reach():
        return ""
    return "yes" if m.passes else "**no**"


def calibration(
    measured: Sequence[Measured], before: Sequence[Measured] | None, null: Sequence[Found], command: str
) -> str:
    """Return the text of docs/calibration.md."""
    worlds = dict.fromkeys(m.world for m in measured)
    listed = "".join(f"| {world.name} | {world.sentence} |\n" for world in worlds)
    reached = [m for m in measured if m.passes and m.judge.reach != Reach()]
    asked = [m for m in measured if m.judge.reach != Reach()]
    earlier = (
        "The column *before* has the same draws judged by the SQL that preceded the definitions of today.\n\n"
        if before
        else ""
    )
    return f"""# Calibration: what the marts say where the truth is known

Studies are drawn whose truth is planted, their item scores written as raw rows, the marts built from them by dbt as for
any study, and the marts asked. Every estimate has a truth that it must recover and one that it must not find.
NULL never counts as right. Written by

    {command}

which keeps what it has measured and goes on after an interruption. A number reaches its goal where its 95 % interval
includes or betters it: Clopper and Pearson's for rates, with Korn and Graubard's effective number of trials where one
study has many (its cells share a baseline and runs); Student's for means. A few draws of every world are part of
`make test`.

**{len(reached)} of {len(asked)} numbers reach their goal.**

## The worlds

| world | planted |
|---|---|
{listed}
An item has an ability, shared in part by its translations and by the models; a run shifts it by what is planted, by
its luck (one half of whose variance all targets of the run share) and by noise at every item. "Luck 3.6 pp" is the
standard deviation of a run's score at an accuracy of one half. Baselines lie between .35 and .75 unless said otherwise.
`tests/truth/population.py` has the equations, `tests/truth/worlds.py` the sizes. Grids of predictions are drawn at the
level of cells (`tests/truth/planted_grid.py`) and ask no mart: `transfer predict` fits in Python.

## Measured

{earlier}{table(measured, before)}
{_null_text(null)}"""


def _null_text(null: Sequence[Found]) -> str:
    if not null:
        return ""
    lines = "".join(
        f"| {found.seeds} | {found.asked} | {found.estimate.value:.3f} | {found.estimate.n_draws} |\n" for found in null
    )
    return f"""
## An empirical null: real runs, arms that differ in nothing

The sources of the quickstart's world tuned with twelve seeds each (`tests/truth/empirical_null.yml`, one model, 28
targets of 178 to 200 items), their seeds split at random into two pseudo-arms, and the marts built of both. The truth
of every difference between arms is 0. Splits of the same twelve seeds overlap, so that these rates are less certain
than their number of splits suggests, and no interval is given. `python -m tests.truth.empirical_null` measures them.

| seeds an arm | asked | measured | splits |
|---|---|---|---|
{lines}"""
