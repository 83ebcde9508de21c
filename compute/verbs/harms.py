"""`transfer harms`: what each adapter loses, from `fct_transfer` of a built warehouse.

An adapter is a model tuned on a source, under one variant. Every target that it was asked counts, its own cell too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from compute.store.warehouse import Warehouse
from compute.verbs.asked import Told, built_warehouse, checked_limit, count, full_model_name, known_names, loses_more
from compute.verbs.chosen import study_name
from compute.verbs.options import CELL, Options, Parser, add_study, add_warehouse, number, say

_LIMIT = """
select coalesce(cast(config ->> '$.harm_threshold_pp' as double), 1.0) from raw.studies where study = ?
"""

_SOURCES = """
select distinct unnest([source, source_task || '/' || source_language]) from marts.fct_transfer
where study = ? and control is null
"""

_CELLS = """
select
    variant,
    model,
    source,
    target_task || '/' || target_language as target,
    case
        when count(*) over (
            partition by variant, model, source, target_task, target_language
        ) > 1 then prompt
    end as prompt,
    case when isfinite(delta_pp) then delta_pp end as delta_pp,
    ci_low,
    ci_high,
    verdict,
    coalesce(regime = 'MT-ML', false) as is_own
from marts.fct_transfer
where
    study = $study and control is null
    and (len($sources) = 0 or list_has_any($sources, [source, source_task || '/' || source_language]))
    and (len($models) = 0 or list_contains($models, model))
order by variant != 'default', variant, model, source, delta_pp nulls last, target, fct_transfer.prompt
"""


def add_arguments(parser: Parser) -> None:
    """Add what the verb takes."""
    parser.add_argument(
        "--max-harm",
        type=number,
        metavar="PP",
        help="the most that any target may lose, in percentage points (default: the study's harm_threshold_pp)",
    )
    parser.add_several("--source", "only adapters tuned on it, or of that name; may be repeated", CELL)
    parser.add_several("--model", "only adapters of this model; may be repeated")
    add_study(parser)
    add_warehouse(parser)


def run(options: Options) -> int:
    """Print the adapters; return 1 where none of them keeps within the limit, else 0."""
    warehouse = Warehouse(options.warehouse, options.wait, say)
    told = harms(warehouse, study_name(options), options.max_harm, options.source, options.model)
    print(told.text, end="")
    return told.code


@dataclass(frozen=True)
class Change:
    """One target of an adapter: its delta_pp (None without a score of the base model), interval, verdict, and whether
    it was tuned on it."""

    target: str
    prompt: str | None
    delta_pp: float | None
    ci_low: float | None
    ci_high: float | None
    verdict: str | None
    is_own: bool


@dataclass(frozen=True)
class Adapter:
    """One adapter with every target that it was asked, the largest loss first."""

    variant: str
    model: str
    source: str
    changes: tuple[Change, ...]

    def losses(self, limit: float) -> list[Change]:
        """What it loses more than `limit` percentage points on."""
        return [one for one in self.changes if one.delta_pp is not None and loses_more(one.delta_pp, limit)]

    @property
    def n_known(self) -> int:
        """Targets with a change."""
        return sum(one.delta_pp is not None for one in self.changes)

    @property
    def name(self) -> str:
        """Model, source and, if it is not the default or the source's own name, variant."""
        return f"{self.model} {self.source}" + (
            f" ({self.variant})" if self.variant not in ("default", self.source) else ""
        )


def adapters(
    warehouse: Warehouse, study: str, sources: Sequence[str] = (), models: Sequence[str] = ()
) -> tuple[list[Adapter], float]:
    """The adapters asked for, all of them if none is named, and the study's harm threshold in percentage points.

    Args:
        sources: each `task/language`, or the name of a mixture or of a given tuning.
        models: each by its name with or without revision.

    Raises:
        UserError: the warehouse has no such study, source or model, or no marts.
    """
    with built_warehouse(warehouse, study, ("fct_transfer",)) as connection:
        known = connection.execute(_SOURCES, [study]).fetchall()
        asked = {
            "study": study,
            "sources": known_names("source", study, sources, (row[0] for row in known)),
            "models": [full_model_name(connection, study, model) for model in models],
        }
        rows = connection.execute(_CELLS, asked).fetchall()
        threshold = connection.execute(_LIMIT, [study]).fetchone()
    found = [
        Adapter(variant, model, source, tuple(Change(*row[3:]) for row in members))
        for (variant, model, source), members in groupby(rows, lambda row: row[:3])
    ]
    return found, threshold[0] if threshold else 1.0


def harms(
    warehouse: Warehouse,
    study: str,
    max_harm: float | None = None,
    sources: Sequence[str] = (),
    models: Sequence[str] = (),
) -> Told:
    """What each adapter loses more than `max_harm` on, in words; then those that keep within it, a line each.

    Args:
        max_harm: percentage points; None: the study's harm threshold.

    Raises:
        UserError: as `adapters`, or `max_harm` is below 0.
    """
    checked_limit(max_harm)
    found, threshold = adapters(warehouse, study, sources, models)
    limit = threshold if max_harm is None else max_harm
    judged = [adapter for adapter in found if adapter.n_known]
    losing = [adapter for adapter in judged if adapter.losses(limit)]
    keeping = [adapter for adapter in judged if not adapter.losses(limit)]
    text = "\n".join(_told(study, limit, threshold, found, losing, keeping))
    return Told(text + "\n", 0 if keeping else 1)


def _told(
    study: str,
    limit: float,
    threshold: float,
    found: Sequence[Adapter],
    losing: Sequence[Adapter],
    keeping: Sequence[Adapter],
) -> Iterator[str]:
    yield f"study {study}: targets on which an adapter loses more than {limit:g} pp, its own cell too"
    for adapter in losing:
        losses = adapter.losses(limit)
        yield ""
        yield f"{adapter.name}: loses on {len(losses)} of {count(adapter.n_known, 'target')}{_unknown(adapter)}"
        width = max(len(_target(one)) for one in losses)
        for one in losses:
            bounds = "no interval" if one.ci_low is None else f"{one.ci_low:+.2f} to {one.ci_high:+.2f}"
            yield f"  {_target(one):<{width}}  {one.delta_pp:+7.2f}  {bounds:>18}  {one.verdict or '-'}"
    yield ""
    for adapter in keeping:
        worst = adapter.changes[0]
        # The changes stand in order, so that the first is the lowest.
        loss = (
            "none lost"
            if worst.delta_pp is None or worst.delta_pp >= 0
            else f"largest loss {worst.delta_pp:+.2f} on {_target(worst)}"
        )
        yield f"within the limit: {adapter.name}: {count(adapter.n_known, 'target')}, {loss}{_unknown(adapter)}"
    for adapter in found:
        if not adapter.n_known:
            yield f"not known: {adapter.name}: the base model has no score on any of its targets"
    yield f"{len(keeping)} of {count(len(found), 'adapter')} within the limit"
    yield (
        f"verdicts are at the study's threshold of {threshold:g} pp; 'undecided' is not 'no harm': "
        "only 'none' says that harm is ruled out"
    )


def _target(change: Change) -> str:
    prompt = f" ({change.prompt})" if change.prompt else ""
    return change.target + prompt + (" (own cell)" if change.is_own else "")


def _unknown(adapter: Adapter) -> str:
    unknown = len(adapter.changes) - adapter.n_known
    return f"; {count(unknown, 'target')} without a score of the base model" if unknown else ""
