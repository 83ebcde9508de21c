"""Which source to tune on for a target: what `transfer advise` answers, from the marts of a built warehouse.

One target is asked of `rpt_advice`: its shrunk gain and its two intervals, of these models over items and runs and of
one more model. Several targets are one goal, their mean, model by model; for them, and where the model to be tuned is
left out of what is asked, gains are means over the models of the complete sub-grid, and the interval predicts one more
model (Student's t). Trained cells (MT-ML) are no gain, but they are harm where they lose: harm counts everywhere that
an adapter was asked, whether or not the complete sub-grid has the cell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import sqrt
from typing import Any

from compute.errors import UserError
from compute.store.warehouse import Warehouse
from compute.verbs.asked import built_warehouse, checked_limit, count, full_model_name, known_names, loses_more

_SHOWN = 10
"""Sources listed; whoever wants them all asks `rpt_advice`."""

_MARTS = ("rpt_advice", "fct_transfer", "rpt_advice_eval")
"""What is asked."""

_ONE_TARGET = """
select
    variant,
    prompt,
    source_task || '/' || source_language as source,
    expected_gain_pp,
    ci_low,
    ci_high,
    new_model_low,
    new_model_high,
    n_models,
    cast(null as double) as standard_deviation_pp,
    cast(null as double) as measured_gain_pp
from marts.rpt_advice
where study = $study and target_task || '/' || target_language = $targets[1] and $model is null
order by variant != 'default', variant, prompt, rank, source
"""

_ONE_GOAL = """
with grid as (
    select variant, prompt, source_task, source_language, target_task, target_language
    from marts.rpt_advice
    where study = $study
),

cells as (
    select
        grid.*,
        transfer.model,
        transfer.delta_pp,
        list_contains($targets, grid.target_task || '/' || grid.target_language) as is_wanted
    from grid
    inner join marts.fct_transfer as transfer
        on grid.variant = transfer.variant
        and (grid.prompt = 'per target' or grid.prompt is not distinct from transfer.prompt)
        and grid.source_task = transfer.source_task
        and grid.source_language = transfer.source_language
        and grid.target_task = transfer.target_task
        and grid.target_language = transfer.target_language
    where transfer.study = $study and transfer.control is null and isfinite(transfer.delta_pp)
    -- A model that lacks a cell is not part of the complete sub-grid.
    qualify
        count(*) over (partition by grid.variant, grid.prompt, transfer.model)
        = count(distinct row(grid.source_task, grid.source_language, grid.target_task, grid.target_language)) over (
            partition by grid.variant, grid.prompt
        )
),

gain_of_model as (
    select variant, prompt, source_task || '/' || source_language as source, model, avg(delta_pp) as gain_pp
    from cells
    where is_wanted
    group by all
)

select
    variant,
    prompt,
    source,
    avg(gain_pp) filter (where model is distinct from $model) as expected_gain_pp,
    cast(null as double) as ci_low,
    cast(null as double) as ci_high,
    cast(null as double) as new_model_low,
    cast(null as double) as new_model_high,
    count(*) filter (where model is distinct from $model) as n_models,
    stddev_samp(gain_pp) filter (where model is distinct from $model) as standard_deviation_pp,
    avg(gain_pp) filter (where model = $model) as measured_gain_pp
from gain_of_model
group by variant, prompt, source
having n_models > 0
order by variant != 'default', variant, prompt, round(expected_gain_pp, 9) desc, source
"""

_LOSSES = """
with sources as (
    select distinct variant, prompt, source_task, source_language
    from marts.rpt_advice
    where study = $study
),

asked as (
    select
        sources.variant,
        sources.prompt,
        sources.source_task || '/' || sources.source_language as source,
        transfer.target_task || '/' || transfer.target_language as target,
        avg(transfer.delta_pp) as delta_pp,
        count_if(transfer.is_harm) as n_harms,
        count(*) as n_cells
    from sources
    inner join marts.fct_transfer as transfer
        on sources.variant = transfer.variant
        and (sources.prompt = 'per target' or sources.prompt is not distinct from transfer.prompt)
        and sources.source_task = transfer.source_task
        and sources.source_language = transfer.source_language
    where
        transfer.study = $study and transfer.control is null and isfinite(transfer.delta_pp)
        and transfer.model is distinct from $model
    group by all
)

select
    variant,
    prompt,
    source,
    first(target order by delta_pp, target) filter (where not list_contains($targets, target)) as worst_target,
    min(delta_pp) filter (where not list_contains($targets, target)) as worst_pp,
    first(target order by delta_pp, target) filter (where list_contains($targets, target)) as least_wanted_target,
    min(delta_pp) filter (where list_contains($targets, target)) as least_wanted_pp,
    sum(n_harms) filter (where not list_contains($targets, target))
    / sum(n_cells) filter (where not list_contains($targets, target)) as p_harm
from asked
group by variant, prompt, source
"""

_TRUST = """
select recommender, avg(regret)
from marts.rpt_advice_eval
where
    study = $study and variant = $variant and prompt is not distinct from $prompt
    and held_out_kind = 'model' and k = 1 and regret is not null
group by recommender
order by recommender != 'advice', avg(regret), recommender
"""

_RECOMMENDERS = {
    "advice": "this advice",
    "same_task": "a source of the same task",
    "same_language": "a source of the same language",
    "english": "an English source",
    "random": "a random source",
}
"""What rpt_advice_eval calls a way of picking, in words."""


@dataclass(frozen=True)
class Advice:
    """One source for the asked targets, under one variant and prompt.

    Attributes:
        variant, prompt: as in `rpt_advice`.
        source: `task/language`.
        expected_gain_pp: of one target that of `rpt_advice`; else the mean over the asked models of the mean delta_pp
            on the targets.
        ci_low, ci_high: 95 % interval for these models, over items and runs; None but for one target.
        new_model_low, new_model_high: 95 % interval of what one more model gains; None for one model.
        worst_harm_pp: the largest mean loss over models on a target that was not asked for, the own cell too; 0 if
            none loses, None if there is no other. `worst_target` is that target, None if none loses.
        least_wanted_pp: the lowest mean delta_pp of the targets asked for, the own cell too, and `least_wanted_target`
            that target.
        p_harm: share of harms among the cells on targets not asked for, the own cell too.
        measured_gain_pp: the same gain as measured on the model that was left out; None if none was.
        n_models: models asked.
    """

    variant: str
    prompt: str | None
    source: str
    expected_gain_pp: float
    ci_low: float | None
    ci_high: float | None
    new_model_low: float | None
    new_model_high: float | None
    worst_harm_pp: float | None
    worst_target: str | None
    least_wanted_pp: float
    least_wanted_target: str
    p_harm: float | None
    measured_gain_pp: float | None
    n_models: int

    def within(self, max_harm: float) -> bool:
        """Whether no target, asked for or not, is expected to lose more than `max_harm` percentage points."""
        return not loses_more(min(self.worst_harm_pp or 0.0, self.least_wanted_pp), max_harm)

    @property
    def loss(self) -> str:
        """The largest loss elsewhere, in words."""
        if self.worst_harm_pp is None:
            return "nothing else was asked"
        if self.worst_target is None:
            return "none lost"
        return self._on(self.worst_harm_pp, self.worst_target)

    @property
    def wanted_loss(self) -> str:
        """The largest loss on what was asked for, in words; empty if nothing of it loses."""
        return self._on(self.least_wanted_pp, self.least_wanted_target) if self.least_wanted_pp < 0 else ""

    def _on(self, delta_pp: float, target: str) -> str:
        own = " (own cell)" if target == self.source else ""
        return f"{delta_pp:+.2f} on {target}{own}"


@dataclass(frozen=True)
class Advised:
    """The answer in words, and whether any source keeps within the limit of harm."""

    text: str
    is_within: bool


def advice(warehouse: Warehouse, study: str, targets: Sequence[str], model: str | None = None) -> list[Advice]:
    """Every source that has been measured on the targets, best first within variant and prompt.

    Args:
        targets: each `task/language`; several are one goal.
        model: to be left out of what is asked, by its name with or without revision.

    Raises:
        UserError: the warehouse has no such study, target or model, no marts, or no other model to ask.
    """
    if not targets:
        raise UserError("no target is asked for; expected --target task/language")
    with built_warehouse(warehouse, study, _MARTS) as connection:
        known = connection.execute(
            "select distinct target_task || '/' || target_language from marts.rpt_advice where study = ?", [study]
        ).fetchall()
        wanted = known_names("target", study, targets, (row[0] for row in known))
        left_out = None if model is None else full_model_name(connection, study, model)
        asked = {"study": study, "targets": wanted, "model": left_out}
        question = _ONE_TARGET if len(wanted) == 1 and left_out is None else _ONE_GOAL
        rows = connection.execute(question, asked).fetchall()
        losses = {row[:3]: row[3:] for row in connection.execute(_LOSSES, asked).fetchall()}
    if not rows:
        besides = f" besides {left_out}" if left_out else ""
        raise UserError(f"study {study!r}: no model{besides} was measured from any source on {', '.join(wanted)}")
    return [_advice(*row, *losses[row[:3]]) for row in rows]


def advise(
    warehouse: Warehouse, study: str, targets: Sequence[str], model: str | None = None, max_harm: float | None = None
) -> Advised:
    """The answer in words and a table: sources best first, those that would do too much harm apart.

    Args:
        max_harm: the most that any target may be expected to lose, in percentage points; None: any amount.

    Raises:
        UserError: as `advice`, or `max_harm` is below 0.
    """
    checked_limit(max_harm)
    found = advice(warehouse, study, targets, model)
    with built_warehouse(warehouse, study, _MARTS) as connection:
        text = "\n".join(
            line
            for (variant, prompt), rows in groupby(found, lambda row: (row.variant, row.prompt))
            for line in _section(
                study, targets, model, max_harm, list(rows),
                connection.execute(_TRUST, {"study": study, "variant": variant, "prompt": prompt}).fetchall(),
            )
        )  # fmt: skip
    return Advised(text, max_harm is None or any(row.within(max_harm) for row in found))


def _advice(*row: Any) -> Advice:
    from scipy.stats import t

    variant, prompt, source, gain, ci_low, ci_high, new_low, new_high, n_models, deviation, measured, *losses = row
    worst_target, worst, least_wanted_target, least_wanted, p_harm = losses
    if deviation is not None:
        reach = float(t.ppf(0.975, n_models - 1)) * deviation * sqrt(1 + 1 / n_models)
        new_low, new_high = gain - reach, gain + reach
    return Advice(
        variant, prompt, source, gain, ci_low, ci_high, new_low, new_high,
        worst_harm_pp=None if worst is None else min(0.0, worst),
        worst_target=worst_target if worst is not None and worst < 0 else None,
        least_wanted_pp=least_wanted, least_wanted_target=least_wanted_target, p_harm=p_harm,
        measured_gain_pp=measured, n_models=n_models,
    )  # fmt: skip


def _section(
    study: str,
    targets: Sequence[str],
    model: str | None,
    max_harm: float | None,
    rows: Sequence[Advice],
    trust: Sequence[tuple[str, float]],
) -> Iterator[str]:
    kept = [row for row in rows if max_harm is None or row.within(max_harm)]
    first = rows[0]
    is_mart = len(set(targets)) == 1 and model is None
    prompt = f", prompt {first.prompt}" if first.prompt else ""
    besides = f" besides {model}" if model else ""
    yield f"{', '.join(dict.fromkeys(targets))}: study {study}, variant {first.variant}{prompt}"
    yield f"as measured on {count(first.n_models, 'model')}{besides}"
    yield ""
    if kept:
        yield from _table(kept[:_SHOWN], is_mart, measured=model is not None)
    else:
        yield "no source keeps within that limit"
    if len(kept) > _SHOWN:
        yield f"and {len(kept) - _SHOWN} more in marts.rpt_advice"
    if len(kept) < len(rows):
        best = next(row for row in rows if row not in kept)
        wanted = f"; of what is asked for: {best.wanted_loss}" if best.wanted_loss else ""
        yield (
            f"left out: {count(len(rows) - len(kept), 'source')} expected to cost some target more than "
            f"{max_harm:g} pp; the best of them:"
        )
        yield f"  {best.source} {best.expected_gain_pp:+.2f} pp; largest loss elsewhere: {best.loss}{wanted}"
    if kept:
        yield from _explained(is_mart, first.n_models)
    if len(trust) > 1:
        yield "each model left out in turn: how far the first pick is behind the source that is best on half of the"
        yield "items, both measured on the other half (pp, mean over targets; below 0: ahead of it):"
        yield "  " + ", ".join(f"{_RECOMMENDERS.get(name, name)} {regret:.2f}" for name, regret in trust)
    yield ""


def _table(rows: Sequence[Advice], is_mart: bool, measured: bool) -> Iterator[str]:
    width = max(6, *(len(row.source) for row in rows))
    cells = [
        (
            f"{row.expected_gain_pp:+.2f}",
            *(["" if row.measured_gain_pp is None else f"{row.measured_gain_pp:+.2f}"] if measured else []),
            *([_interval(row.ci_low, row.ci_high)] if is_mart else []),
            _interval(row.new_model_low, row.new_model_high),
            "" if row.p_harm is None else f"{100 * row.p_harm:.0f} %",
        )
        for row in rows
    ]
    headings = ["gain pp", *(["measured"] if measured else []), *(["these models"] if is_mart else [])]
    headings += ["a new model", "P(harm)"]
    widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]

    def line(rank: str, source: str, values: Sequence[str], loss: str) -> str:
        numbers = "  ".join(value.rjust(one) for value, one in zip(values, widths, strict=True))
        return f"{rank:>4}  {source:<{width}}  {numbers}  {loss}"

    yield line("", "source", headings, "largest loss elsewhere")
    for rank, (row, values) in enumerate(zip(rows, cells, strict=True), start=1):
        wanted = f"; of what is asked for: {row.wanted_loss}" if row.wanted_loss and not is_mart else ""
        yield line(str(rank), row.source, values, row.loss + wanted)


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{low:+.2f} to {high:+.2f}"


def _explained(is_mart: bool, n_models: int) -> Iterator[str]:
    if is_mart:
        yield "gain: mean over models, drawn towards the mean of the target's sources as far as chance parts them;"
        yield "these models: its 95 % interval, were other items drawn and other runs made;"
        if n_models > 1:
            yield "a new model: where one more model of this population would be, 95 %, moderated over cells"
    else:
        yield "gain: mean over models of what the targets asked for gain, nothing drawn together;"
        if n_models > 1:
            yield "a new model: 95 % prediction for one more model, Student's t over these: s * sqrt(1 + 1/M)"
    if n_models == 1:
        yield "one model tells nothing of how models differ: no interval for a new one"
    yield "P(harm): share of harms on all other targets asked, the own cell too"
