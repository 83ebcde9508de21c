"""Which source to tune on for a target: what `transfer advise` answers, from `rpt_source_effects` of a built warehouse.

Where a model is to be left out of what is asked, from `rpt_source_effects_held_out`. Several targets are one goal: the
mean of their rows, whose interval is the mean of theirs, as wide as if all of them erred together. Trained cells
(MT-ML) are no gain, but they are harm where they lose: harm counts everywhere that an adapter was asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import duckdb

from compute.errors import UserError
from compute.store.warehouse import Warehouse
from compute.verbs.asked import Told, built_warehouse, checked_limit, count, full_model_name, known_names, loses_more
from compute.verbs.stops import Stop, stops_of, told_of_stops

_SHOWN = 10
"""Sources listed; whoever wants them all asks the mart."""

_EFFECTS = "marts.rpt_source_effects"
_BESIDES = "marts.rpt_source_effects_held_out"
_MARTS = ("rpt_source_effects", "rpt_source_effects_held_out", "rpt_advice_worth", "rpt_stops")
"""What is asked."""


def _question(mart: str) -> str:
    """Return SQL of a source's rows of `mart` as one: what is asked for ($targets), and what it costs."""
    return f"""
with effects as (
    select
        *,
        source_task || '/' || source_language as source,
        target_task || '/' || target_language as target,
        list_contains($targets, target) as is_wanted,
        is_wanted and expected_gain_pp is not null as is_gain
    from {mart}
    where study = $study{" and model = $model" if mart == _BESIDES else ""}
)

select
    variant,
    prompt,
    source,
    avg(expected_gain_pp) filter (where is_gain) as gain_pp,
    {_mean_bounds("gain_low", "gain_high", "new_model_low", "new_model_high")},
    min(n_advising) filter (where is_gain) as n_models,
    count_if(is_gain) as n_targets,
    first(target order by mean_pp, target) filter (where not is_wanted) as worst_target,
    min(mean_pp) filter (where not is_wanted) as worst_pp,
    first(target order by mean_pp, target) filter (where is_wanted) as least_wanted_target,
    min(mean_pp) filter (where is_wanted) as least_wanted_pp,
    {_share_of_harms("n_harms")},
    {_share_of_harms("n_null_harms")},
    {_share_of_harms("n_harm_verdicts")},
    case when count(ci_low) = count(*) then count_if(ci_low >= -$limit) end as n_shown_within,
    count(*) as n_asked,
    {"avg(measured_pp) filter (where is_gain)" if mart == _BESIDES else "null"} as measured_pp
from effects
group by variant, prompt, source
having gain_pp is not null
order by variant != 'default', variant, prompt, round(gain_pp, 9) desc, source
"""


def _mean_bounds(*columns: str) -> str:
    return ",\n    ".join(
        f"case when bool_and({column} is not null) filter (where is_gain) then avg({column}) filter (where is_gain) end"
        for column in columns
    )


def _share_of_harms(column: str) -> str:
    elsewhere = "filter (where not is_wanted)"
    return (
        f"case when bool_and({column} is not null) {elsewhere} then sum({column}) {elsewhere}"
        f" / sum(n_models) {elsewhere} end"
    )


_TRUST = """
select recommender, regret
from marts.rpt_advice_worth
where
    study = $study and variant = $variant and prompt is not distinct from $prompt
    and held_out_kind = 'model' and k = 1 and regret is not null
order by recommender != 'advice', regret, recommender
"""

_GIVEN = """
select variant, source_task || '/' || source_language, string_agg(distinct name, ', ' order by name)
from staging.stg_given_sources
where study = ?
group by all
"""

_RECOMMENDERS = {
    "advice": "this advice",
    "same_task": "a source of the same task",
    "same_language": "a source of the same language",
    "english": "an English source",
    "random": "a random source",
}
"""What rpt_advice_worth calls a way of picking, in words."""


@dataclass(frozen=True)
class Advice:
    """One source for the asked targets, under one variant and prompt: its rows of the mart.

    Attributes:
        variant, prompt: as in `rpt_advice`.
        source: `task/language`.
        expected_gain_pp: the shrunk gain of `rpt_advice`, mean over the targets asked for.
        ci_low, ci_high: its 95 % interval of this grid; None without errors.
        new_model_low, new_model_high: its 95 % interval of a model not yet tried; None for one model.
        n_models: models asked.
        n_targets: targets behind the gain: the source's own cell is none.
        worst_harm_pp: the largest mean loss over models on a target that was not asked for, the own cell too; 0 if
            none loses, None if there is no other. `worst_target` is that target, None if none loses.
        least_wanted_pp: the lowest mean change of the targets asked for, the own cell too, and `least_wanted_target`
            that target.
        p_harm: share of harms among the cells on targets not asked for, the own cell too; `p_null_harm` what noise
            alone would show, `p_shown_harm` the share whose verdict is harm; None without errors.
        n_shown_within: of all `n_asked` targets, those whose interval rules out a loss beyond the limit; None without
            errors, or without a limit.
        measured_gain_pp: the gain as measured on the model that was left out; None if none was.
        called: what the study's file calls an adapter or checkpoint that it gives; None for the study's own.
    """

    variant: str
    prompt: str | None
    source: str
    expected_gain_pp: float
    ci_low: float | None
    ci_high: float | None
    new_model_low: float | None
    new_model_high: float | None
    n_models: int
    n_targets: int
    lowest_target: str | None
    lowest_pp: float | None
    least_wanted_target: str
    least_wanted_pp: float
    p_harm: float | None
    p_null_harm: float | None
    p_shown_harm: float | None
    n_shown_within: int | None
    n_asked: int
    measured_gain_pp: float | None
    called: str | None = None

    @property
    def shown(self) -> str:
        """The source, with the name that was given to it."""
        return f"{self.source} ({self.called})" if self.called else self.source

    @property
    def worst_harm_pp(self) -> float | None:
        return None if self.lowest_pp is None else min(0.0, self.lowest_pp)

    @property
    def worst_target(self) -> str | None:
        return self.lowest_target if self.worst_harm_pp else None

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


def advice(
    warehouse: Warehouse,
    study: str,
    targets: Sequence[str],
    model: str | None = None,
    max_harm: float | None = None,
) -> list[Advice]:
    """Return every source that has been measured on the targets, best first within variant and prompt.

    Args:
        targets: each `task/language`; several are one goal.
        model: to be left out of what is asked, by its name with or without revision.
        max_harm: for which loss `n_shown_within` counts targets, in percentage points.

    Raises:
        UserError: the warehouse has no such study, target or model, no marts, or no other model to ask.
    """
    if not targets:
        raise UserError("no target is asked for; expected --target task/language")
    with built_warehouse(warehouse, study, _MARTS) as connection:
        known = connection.execute(
            f"select distinct target_task || '/' || target_language from {_EFFECTS}"
            " where study = ? and expected_gain_pp is not null",
            [study],
        ).fetchall()
        if not known:
            raise UserError(_nothing_to_advise(connection, study))
        wanted = known_names("target", study, targets, (row[0] for row in known))
        asked = {"study": study, "targets": wanted, "limit": max_harm}
        left_out = None if model is None else full_model_name(connection, study, model)
        mart, further = (_EFFECTS, {}) if left_out is None else (_BESIDES, {"model": left_out})
        rows = connection.execute(_question(mart), asked | further).fetchall()
        called = {(variant, source): name for variant, source, name in connection.execute(_GIVEN, [study]).fetchall()}
    if not rows:
        besides = f" besides {left_out}" if left_out else ""
        raise UserError(f"study {study!r}: no model{besides} was measured from any source on {', '.join(wanted)}")
    found = [Advice(*row) for row in rows]
    return [replace(one, called=called.get((one.variant, one.source))) for one in found]


def _nothing_to_advise(connection: duckdb.DuckDBPyConnection, study: str) -> str:
    """Return why a study with transfer cells has no advice."""
    mixed = connection.execute(
        "select count(*) = count(*) filter (where regime is null), min(source_task || '/' || source_language)"
        " from marts.fct_transfer where study = ?",
        [study],
    ).fetchall()
    is_mixed, example = mixed[0]
    if is_mixed:
        return (
            f"study {study!r}: its sources are of several or unknown tasks or languages, as {example} is, so nothing "
            "of it is transfer from one to another, and no source is advised; marts.fct_transfer has what each gained"
        )
    return f"study {study!r}: no source was measured on a target besides its own cell, so none is advised"


def advise(
    warehouse: Warehouse, study: str, targets: Sequence[str], model: str | None = None, max_harm: float | None = None
) -> Told:
    """Return the answer in words and a table: sources best first, those expected to do too much harm apart.

    Args:
        max_harm: the most that any target may be expected to lose, in percentage points; None: any amount.

    Raises:
        UserError: as `advice`, or `max_harm` is below 0.
    """
    checked_limit(max_harm)
    found = advice(warehouse, study, targets, model, max_harm)
    lines: list[str] = []
    with built_warehouse(warehouse, study, _MARTS) as connection:
        left_out = None if model is None else full_model_name(connection, study, model)
        for rows in _sections(found):
            pool = {"study": study, "variant": rows[0].variant, "prompt": rows[0].prompt}
            trust = connection.execute(_TRUST, pool).fetchall()
            stops = stops_of(connection, pool, left_out)
            lines += _section(study, list(dict.fromkeys(targets)), model, max_harm, rows, trust, stops)
    text = "\n".join(lines)
    return Told(text, 0 if max_harm is None or any(row.within(max_harm) for row in found) else 1)


def _sections(found: Sequence[Advice]) -> list[list[Advice]]:
    """Return the rows by variant and prompt; variants of one source each, as adapters that were given by name, are set
    beside each other, best first."""
    groups = [list(rows) for _, rows in groupby(found, lambda row: (row.variant, row.prompt))]
    several = [rows for rows in groups if len(rows) > 1 or rows[0].variant == "default"]
    single: dict[str | None, list[Advice]] = {}
    for rows in groups:
        if rows not in several:
            single.setdefault(rows[0].prompt, []).extend(rows)
    return several + [sorted(rows, key=lambda row: -row.expected_gain_pp) for rows in single.values()]


def _section(
    study: str,
    targets: Sequence[str],
    model: str | None,
    max_harm: float | None,
    rows: Sequence[Advice],
    trust: Sequence[tuple[str, float]],
    stops: Sequence[Stop],
) -> Iterator[str]:
    kept = [row for row in rows if max_harm is None or row.within(max_harm)]
    first = rows[0]
    prompt = f", prompt {first.prompt}" if first.prompt else ""
    besides = f" besides {model}" if model else ""
    one_each = len({row.variant for row in rows}) > 1
    variant = "variants of one source each" if one_each else f"variant {first.variant}"
    yield f"{', '.join(targets)}: study {study}, {variant}{prompt}"
    yield f"as measured on {count(first.n_models, 'model')}{besides}"
    yield ""
    if kept:
        yield from _table(kept[:_SHOWN], len(targets), max_harm, one_each)
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
        yield f"  {best.shown} {best.expected_gain_pp:+.2f} pp; largest loss elsewhere: {best.loss}{wanted}"
    if kept:
        yield from _explained(len(targets), first.n_models, max_harm)
    yield from told_of_stops(stops, [row.source for row in kept[:_SHOWN]])
    if len(trust) > 1:
        yield "each model left out in turn: how far the first pick is behind the source that is best on half of the"
        yield "items, both measured on the other half (pp, mean over targets; below 0: ahead of it):"
        yield "  " + ", ".join(f"{_RECOMMENDERS.get(name, name)} {regret:.2f}" for name, regret in trust)
    yield ""


def _table(rows: Sequence[Advice], n_targets: int, max_harm: float | None, by_variant: bool) -> Iterator[str]:
    """Return lines: what is missing throughout has no column; `by_variant`: a source is told with its variant."""
    columns = {
        "source": [f"{row.source} ({row.variant})" if by_variant and row.called is None else row.shown for row in rows],
        "gain pp": [_signed(row.expected_gain_pp) for row in rows],
        "measured": [_signed(row.measured_gain_pp) for row in rows],
        "this grid": [_interval(row.ci_low, row.ci_high) for row in rows],
        "a model not yet tried": [_interval(row.new_model_low, row.new_model_high) for row in rows],
        "P(harm)": [_percent(row.p_harm) for row in rows],
        "by noise": [_percent(row.p_null_harm) for row in rows],
        "shown": [_percent(row.p_shown_harm) for row in rows],
    }
    if max_harm is not None:
        columns[f"within {max_harm:g} pp"] = [_shown_within(row) for row in rows]
    columns = {heading: texts for heading, texts in columns.items() if any(texts)}
    columns["largest loss elsewhere"] = [_losses(row, n_targets) for row in rows]
    ranks = ["", *map(str, range(1, len(rows) + 1))]
    for rank, line in zip(ranks, zip(*([head, *texts] for head, texts in columns.items()), strict=True), strict=True):
        source, *numbers, loss = line
        widths = [max(map(len, [head, *texts])) for head, texts in columns.items()]
        texts = [source.ljust(max(6, widths[0])), *(n.rjust(w) for n, w in zip(numbers, widths[1:-1], strict=True))]
        yield f"{rank:>4}  {'  '.join(texts)}  {loss}"


def _losses(row: Advice, n_targets: int) -> str:
    wanted = f"; of what is asked for: {row.wanted_loss}" if row.wanted_loss and n_targets > 1 else ""
    fewer = f"; gain on {row.n_targets} of {n_targets} targets" if row.n_targets < n_targets else ""
    return row.loss + wanted + fewer


def _shown_within(row: Advice) -> str:
    return "not known" if row.n_shown_within is None else f"shown on {row.n_shown_within} of {row.n_asked}"


def _signed(value: float | None) -> str:
    return "" if value is None else f"{value:+.2f}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f} %"


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{low:+.2f} to {high:+.2f}"


def _explained(n_targets: int, n_models: int, max_harm: float | None) -> Iterator[str]:
    yield "gain: mean over models, drawn towards the mean of the target's sources as far as chance parts them;"
    yield "this grid: its 95 % interval for these models, were other items drawn and other runs made;"
    if n_models > 1:
        yield "a model not yet tried: where one more model of this population would be, 95 %, moderated over cells"
    else:
        yield "one model tells nothing of how models differ: no interval of a model not yet tried"
    if n_targets > 1:
        yield "of several targets: means of theirs, and intervals as wide as if all of them erred together"
    yield "P(harm): share of harms on all other targets asked, the own cell too; by noise: what noise alone would make"
    yield "harms; shown: verdict harm"
    if max_harm is not None:
        yield f"within {max_harm:g} pp: on so many of all targets the interval of this grid rules out a larger loss; on"
        yield "the others none is shown, which does not show that there is none"
