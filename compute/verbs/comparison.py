"""Two arms of a study on the same items: what `transfer compare` answers, by the models behind `rpt_contrasts`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from compute.errors import UserError
from compute.names import UnknownName
from compute.store.rendering import create_models
from compute.store.warehouse import Warehouse
from compute.study.contrasts import Arm, Contrast
from compute.verbs.asked import built_warehouse, count, known_names

_MODELS = ("int_contrast_pairs", "int_contrast_rows", "int_contrast_errors", "rpt_contrasts")
"""What is derived anew for a contrast that is asked, from stg_contrasts on."""

_KNOWN = """
select
    list_distinct(list(variant)) as variant,
    list_distinct(list(coalesce(control, 'tuned'))) as control,
    list_distinct(list(model) || list(regexp_replace(model, '@[^@]*$', ''))) as model,
    list_distinct(list(source) || list(source_task || '/' || source_language)) as source,
    list_distinct(list(prompt) || list(split_part(prompt, '@', 1))) as prompt,
    list_distinct(list(target_task || '/' || target_language)) as target
from marts.fct_transfer where study = ?
"""

_ROWS = """
select
    coalesce(target_task || '/' || target_language, 'all targets')
    || case when is_trained_cell then ' (own cell)' else '' end as target,
    case when count(*) over (partition by target_task, target_language, is_trained_cell) > 1
        then concat_ws(', ', variant, prompt) end as held,
    n_pairs, difference_pp, ci_low, ci_high, q_value, verdict, error_of, arm_a, arm_b, target_task is null as is_all
from temp.rpt_contrasts
order by is_all, is_trained_cell, difference_pp, target, held
"""

_THRESHOLD = "select harm_threshold_pp from staging.stg_studies where study = ?"


@dataclass(frozen=True)
class Row:
    """One target of a contrast, or all of them: percentage points, arm a less arm b."""

    target: str
    held: str | None
    n_pairs: int
    difference_pp: float
    ci_low: float | None
    ci_high: float | None
    q_value: float | None
    verdict: str | None
    error_of: str | None
    arm_a: str
    arm_b: str
    is_all: bool


def compare(warehouse: Warehouse, study: str, arm_a: str, arm_b: str, targets: Sequence[str] = ()) -> str:
    """Return the difference of two arms in words, a line a target.

    Args:
        arm_a: as `parsed_arm` takes it; so `arm_b`.
        targets: each `task/language`; none: all that both arms have. They are the family of q.

    Raises:
        UserError: the warehouse has no such study, arm or target, or nothing of the two arms can be paired.
    """
    rows, threshold = contrast_rows(warehouse, study, arm_a, arm_b, targets)
    return "\n".join(_told(study, threshold, rows)) + "\n"


def contrast_rows(
    warehouse: Warehouse, study: str, arm_a: str, arm_b: str, targets: Sequence[str] = ()
) -> tuple[list[Row], float]:
    """Return the rows of `rpt_contrasts` for two arms that no study declares, and the study's harm threshold."""
    with built_warehouse(warehouse, study, ("fct_transfer", "rpt_contrasts")) as connection:
        cursor = connection.execute(_KNOWN, [study])
        names = [column[0] for column in cursor.description]
        found = cursor.fetchall()[0]
        known = {name: [text for text in values or [] if text] for name, values in zip(names, found, strict=True)}
        on = known_names("target", study, targets, known.pop("target"))
        contrast = Contrast.model_construct(
            a=parsed_arm(study, arm_a, known), b=parsed_arm(study, arm_b, known), targets=tuple(on)
        )
        try:
            contrast.checked()
        except ValueError as error:
            raise UserError(f"{arm_a!r} against {arm_b!r}: {error}") from None
        _declare(connection, study, contrast)
        create_models(connection, _MODELS, given=("stg_contrasts",))
        rows = [Row(*row) for row in connection.execute(_ROWS).fetchall()]
        threshold = connection.execute(_THRESHOLD, [study]).fetchall()[0][0]
    if not rows:
        raise UserError(
            f"study {study!r}: {arm_a!r} against {arm_b!r}: no cell of one has its like, on one target, in the other"
        )
    return rows, threshold


def parsed_arm(study: str, text: str, known: dict[str, list[str]]) -> Arm:
    """Return the arm that a text names: words with commas between, each `key=name`, or a name that one key alone has.

    Args:
        known: names by key, of those that the study has.

    Raises:
        UserError: an unknown key or name, or a name that several keys have.
    """
    said: dict[str, Any] = {}
    for word in text.split(","):
        key, _, name = word.partition("=") if word.partition("=")[0] in known else ("", "", word)
        keys = [key] if key else [one for one, names in known.items() if name in names]
        if keys == ["variant", "source"]:  # a given source's name, which is its variant too
            keys = ["source"]
        if len(keys) > 1:
            raise UserError(f"study {study!r}: {name!r} is a {' and a '.join(keys)}; write {keys[0]}={name}")
        if not keys or name not in known[keys[0]]:
            of = known[keys[0]] if keys else [one for names in known.values() for one in names]
            raise UserError(f"study {study!r}: {UnknownName(keys[0] if keys else 'arm', name, of)}")
        if keys[0] in said:
            raise UserError(f"{text!r} says its {keys[0]} twice")
        # One name for one thing: with its revision or digest, where there is one of that name.
        whole = [one for one in known[keys[0]] if one.rpartition("@")[0] == name]
        said[keys[0]] = whole[0] if len(whole) == 1 else name
    return Arm.model_construct(**said)


def _declare(connection: duckdb.DuckDBPyConnection, study: str, contrast: Contrast) -> None:
    """Make stg_contrasts of this one contrast."""
    by_variant = contrast.a.variant is not None or contrast.b.variant is not None
    values: dict[str, object] = {"study": study, "contrast": "asked"}
    for name, arm in (("a", contrast.a), ("b", contrast.b)):
        values |= {f"{name}_{key}": getattr(arm, key) for key in Arm.model_fields}
        values[f"{name}_variant"] = arm.variant or ("default" if by_variant else None)
    columns = ", ".join(f"cast(${name} as varchar) as {name}" for name in values)
    connection.execute(
        f"create temp table stg_contrasts as select {columns}, cast($targets as varchar[]) as targets",
        values | {"targets": list(contrast.targets)},
    )


def _told(study: str, threshold: float, rows: Sequence[Row]) -> Iterator[str]:
    n_targets = sum(not row.is_all for row in rows)
    yield f"study {study}: {rows[0].arm_a} less {rows[0].arm_b}: what tuning changed, percentage points, 95 % interval"
    names = [row.target + (f" ({row.held})" if row.held else "") for row in rows]
    width = max(map(len, names))
    for name, row in zip(names, rows, strict=True):
        bounds = "no interval" if row.ci_low is None else f"{row.ci_low:+.2f} to {row.ci_high:+.2f}"
        q = "" if row.q_value is None else f"q {row.q_value:.3f}"
        yield (
            f"  {name:<{width}}  {row.difference_pp:+7.2f}  {bounds:>18}  {q:<8}  {row.verdict or '-':<9}"
            f"  {count(row.n_pairs, 'pair')}"
        )
    yield f"q is over {count(n_targets, 'row')} of targets; all targets together are a test of their own"
    if any(row.error_of == "this run" for row in rows):
        yield "no source was tuned with two seeds: intervals are of these runs, not of tuning again"
    yield (
        f"verdicts are at the study's threshold of {threshold:g} pp: 'gain', the first is better; 'harm', it is worse; "
        "'none', neither by more than that; 'undecided' is none of these"
    )
