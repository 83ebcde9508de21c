"""Which source to tune on for a target: what `transfer advise` answers, from the marts of a built warehouse.

The definitions are those of `rpt_advice`: the expected gain is the mean over models of a source's delta_pp on the
target, over the complete sub-grid, and its interval is Student's t over models, so it speaks of a model not yet tried.
Several targets are one goal: their mean, model by model. A source that is itself one of the targets is judged on the
others, since its trained cell is no transfer. A model to be tuned is left out of what is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import duckdb

from compute.errors import UserError
from compute.names import UnknownName
from compute.warehouse import Warehouse

_SHOWN = 10
"""Sources listed; whoever wants them all asks `rpt_advice`."""

_MARTS = ("rpt_advice", "fct_transfer", "rpt_advice_eval")
"""What is asked."""

_ADVICE = """
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
        transfer.is_harm,
        list_contains($targets, grid.target_task || '/' || grid.target_language) as is_wanted
    from grid
    inner join marts.fct_transfer as transfer
        on grid.variant = transfer.variant
        and (grid.prompt = 'per target' or grid.prompt is not distinct from transfer.prompt)
        and grid.source_task = transfer.source_task
        and grid.source_language = transfer.source_language
        and grid.target_task = transfer.target_task
        and grid.target_language = transfer.target_language
    where transfer.study = $study and transfer.control is null and transfer.delta_pp is not null
    -- A model that lacks a cell is not part of the complete sub-grid.
    qualify
        count(*) over (partition by grid.variant, grid.prompt, transfer.model)
        = count(distinct row(grid.source_task, grid.source_language, grid.target_task, grid.target_language)) over (
            partition by grid.variant, grid.prompt
        )
),

others as (
    select * from cells where model is distinct from $model
),

gain_of_model as (
    select variant, prompt, source_task, source_language, model, avg(delta_pp) as gain_pp
    from others
    where is_wanted
    group by all
),

gains as (
    select
        variant,
        prompt,
        source_task,
        source_language,
        avg(gain_pp) as expected_gain_pp,
        stddev_samp(gain_pp) / sqrt(count(*)) as standard_error_pp,
        count(*) as n_models
    from gain_of_model
    group by all
),

elsewhere_by_target as (
    select
        variant,
        prompt,
        source_task,
        source_language,
        target_task || '/' || target_language as target,
        avg(delta_pp) as delta_pp,
        count_if(is_harm) as n_harms,
        count(*) as n_cells
    from others
    where not is_wanted
    group by all
),

elsewhere as (
    select
        variant,
        prompt,
        source_task,
        source_language,
        min(delta_pp) as worst_harm_pp,
        min_by(target, delta_pp) as worst_target,
        sum(n_harms) / sum(n_cells) as p_harm
    from elsewhere_by_target
    group by all
),

measured as (
    select variant, prompt, source_task, source_language, avg(delta_pp) as measured_gain_pp
    from cells
    where is_wanted and model = $model
    group by all
)

select
    gains.variant,
    gains.prompt,
    gains.source_task || '/' || gains.source_language as source,
    gains.expected_gain_pp,
    gains.standard_error_pp,
    gains.n_models,
    elsewhere.worst_harm_pp,
    elsewhere.worst_target,
    elsewhere.p_harm,
    measured.measured_gain_pp
from gains
left join elsewhere
    on gains.variant = elsewhere.variant
    and gains.prompt is not distinct from elsewhere.prompt
    and gains.source_task = elsewhere.source_task
    and gains.source_language = elsewhere.source_language
left join measured
    on gains.variant = measured.variant
    and gains.prompt is not distinct from measured.prompt
    and gains.source_task = measured.source_task
    and gains.source_language = measured.source_language
order by
    gains.variant != 'default', gains.variant, gains.prompt, round(gains.expected_gain_pp, 9) desc, source
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
        expected_gain_pp: mean over the asked models of the mean delta_pp on the targets.
        ci_low, ci_high: 95 % interval, Student's t over models; None for one model.
        worst_harm_pp: the lowest mean delta_pp on any other target, and `worst_target` that target; None if there is
            no other.
        p_harm: share of harms among the cells on other targets.
        measured_gain_pp: the same gain as measured on the model that was left out; None if none was.
        n_models: models asked.
    """

    variant: str
    prompt: str | None
    source: str
    expected_gain_pp: float
    ci_low: float | None
    ci_high: float | None
    worst_harm_pp: float | None
    worst_target: str | None
    p_harm: float | None
    measured_gain_pp: float | None
    n_models: int

    def within(self, max_harm: float) -> bool:
        """Whether no other target is expected to lose more than `max_harm` percentage points."""
        return self.worst_harm_pp is None or self.worst_harm_pp >= -max_harm


def advice(warehouse: Warehouse, study: str, targets: Sequence[str], model: str | None = None) -> list[Advice]:
    """Every source that has been measured on the targets, best first within variant and prompt.

    Args:
        targets: each `task/language`; several are one goal.
        model: to be left out of what is asked, by its name with or without revision.

    Raises:
        UserError: the warehouse has no such study, target or model, no marts, or no other model to ask.
    """
    targets = list(dict.fromkeys(targets))
    if not targets:
        raise UserError("no target is asked for; expected --target task/language")
    if not warehouse.path.exists():
        raise UserError(f"{warehouse.path}: no such warehouse; run `make compute` and `make build` first")
    with warehouse.connect(read_only=True) as connection:
        _check_targets(connection, warehouse, study, targets)
        left_out = None if model is None else _full_name(connection, study, model)
        rows = connection.execute(_ADVICE, {"study": study, "targets": targets, "model": left_out}).fetchall()
    if not rows:
        besides = f" besides {left_out}" if left_out else ""
        raise UserError(f"study {study!r}: no model{besides} was measured from any source on {', '.join(targets)}")
    return [_advice(*row) for row in rows]


def advise(
    warehouse: Warehouse, study: str, targets: Sequence[str], model: str | None = None, max_harm: float | None = None
) -> str:
    """The answer in words and a table: sources best first, those that would do too much harm elsewhere apart.

    Args:
        max_harm: the most that any other target may be expected to lose, in percentage points; None: any amount.

    Raises:
        UserError: as `advice`, or `max_harm` is below 0.
    """
    if max_harm is not None and not max_harm >= 0:
        raise UserError(f"--max-harm {max_harm}: expected percentage points, 0 or more")
    found = advice(warehouse, study, targets, model)
    with warehouse.connect(read_only=True) as connection:
        return "\n".join(
            line
            for (variant, prompt), rows in groupby(found, lambda row: (row.variant, row.prompt))
            for line in _section(
                study, targets, model, max_harm, list(rows),
                connection.execute(_TRUST, {"study": study, "variant": variant, "prompt": prompt}).fetchall(),
            )
        )  # fmt: skip


def _check_targets(
    connection: duckdb.DuckDBPyConnection, warehouse: Warehouse, study: str, targets: Iterable[str]
) -> None:
    built = connection.execute("select table_name from duckdb_tables() where schema_name = 'marts'").fetchall()
    for mart in _MARTS:
        if (mart,) not in built:
            raise UserError(f"{warehouse.path}: it has no table marts.{mart}; run `make build` first")
    known = connection.execute(
        "select distinct study, target_task || '/' || target_language from marts.rpt_advice"
    ).fetchall()
    studies = {name for name, _ in known}
    if study not in studies:
        raise UserError(str(UnknownName("study with transfer cells", study, studies)))
    cells = [cell for name, cell in known if name == study]
    for target in targets:
        if target not in cells:
            raise UserError(f"study {study!r}: {UnknownName('target', target, cells)}")


def _full_name(connection: duckdb.DuckDBPyConnection, study: str, model: str) -> str:
    rows = connection.execute("select distinct model from marts.fct_transfer where study = ?", [study]).fetchall()
    names = sorted(row[0] for row in rows)
    found = [name for name in names if model in (name, name.rpartition("@")[0])]
    if len(found) > 1:
        raise UserError(f"study {study!r}: model {model!r} has several revisions: {', '.join(found)}")
    if not found:
        known = names if "@" in model else [name.rpartition("@")[0] for name in names]
        raise UserError(f"study {study!r}: {UnknownName('model', model, known)}")
    return str(found[0])


def _advice(*row: Any) -> Advice:
    from scipy.stats import t

    variant, prompt, source, gain, error, n_models, worst, worst_target, p_harm, measured = row
    reach = t.ppf(0.975, n_models - 1) * error if n_models > 1 else None
    low, high = (None, None) if reach is None else (gain - float(reach), gain + float(reach))
    return Advice(variant, prompt, source, gain, low, high, worst, worst_target, p_harm, measured, n_models)


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
    prompt = f", prompt {first.prompt}" if first.prompt else ""
    besides = f" besides {model}" if model else ""
    yield f"{', '.join(dict.fromkeys(targets))}: study {study}, variant {first.variant}{prompt}"
    yield f"as measured on {_count(first.n_models, 'model')}{besides}"
    if first.n_models == 1:
        yield "one model tells nothing of how models differ: no interval"
    yield ""
    yield from _table(kept[:_SHOWN], measured=model is not None) if kept else ["no source keeps within that limit"]
    if len(kept) > _SHOWN:
        yield f"and {len(kept) - _SHOWN} more in marts.rpt_advice"
    if len(kept) < len(rows):
        best = next(row for row in rows if row not in kept)
        yield (
            f"left out: {_count(len(rows) - len(kept), 'source')} expected to cost some other target more than "
            f"{max_harm:g} pp; the best of them:"
        )
        yield f"  {best.source} {best.expected_gain_pp:+.2f} pp, {best.worst_harm_pp:+.2f} pp on {best.worst_target}"
    if len(trust) > 1:
        yield "each model left out in turn: how far the first pick is behind the source that is best on half of the"
        yield "items, both measured on the other half (pp, mean over targets; below 0: ahead of it):"
        yield "  " + ", ".join(f"{_RECOMMENDERS.get(name, name)} {regret:.2f}" for name, regret in trust)
    yield ""


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _table(rows: Sequence[Advice], measured: bool) -> Iterator[str]:
    width = max(6, *(len(row.source) for row in rows))
    header = f"{'':>4}  {'source':<{width}}  {'gain pp':>8}  {'95 % interval':>16}  {'P(harm)':>7}  worst elsewhere"
    yield header.replace("gain pp", "gain pp  measured") if measured else header
    for rank, row in enumerate(rows, start=1):
        interval = "" if row.ci_low is None else f"{row.ci_low:+.2f} to {row.ci_high:+.2f}"
        harm = "" if row.p_harm is None else f"{100 * row.p_harm:.0f} %"
        worst = "" if row.worst_harm_pp is None else f"{row.worst_harm_pp:+.2f} on {row.worst_target}"
        own = "" if row.measured_gain_pp is None else f"{row.measured_gain_pp:+.2f}"
        gain = f"{row.expected_gain_pp:+.2f}".rjust(8) + (f"  {own:>8}" if measured else "")
        yield f"{rank:>4}  {row.source:<{width}}  {gain}  {interval:>16}  {harm:>7}  {worst}"
