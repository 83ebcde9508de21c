"""Where to stop the training of the adapters that are advised, from `rpt_stops` of a built warehouse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

_SHOWN = 10
"""Adapters listed; whoever wants them all asks the mart."""

_STOPS = """
select source, model, stop_fraction, kept_pct, whole_gain_pp, spared_pp, spared_low, spared_high
from marts.rpt_stops
where study = $study and variant = $variant and prompt is not distinct from $prompt
order by source, model
"""


@dataclass(frozen=True)
class Stop:
    """Where to stop the training of one adapter: its row of `rpt_stops`."""

    source: str
    model: str
    fraction: float
    kept_pct: float
    whole_gain_pp: float
    spared_pp: float | None
    spared_low: float | None
    spared_high: float | None

    @property
    def told(self) -> str:
        """The stop, what it keeps and what it spares, in words."""
        if self.fraction == 1:
            return "train to the end"
        kept = f"stop at {100 * self.fraction:g} %: keeps {self.kept_pct:.0f} % of {self.whole_gain_pp:+.2f} pp"
        if self.spared_pp is None:
            return f"{kept}; nothing off its task was asked"
        known = self.spared_low is not None and self.spared_high is not None
        bounds = f" ({self.spared_low:+.2f} to {self.spared_high:+.2f})" if known else ""
        return f"{kept}, spares {self.spared_pp:+.2f} pp off its task{bounds}"


def stops_of(connection: duckdb.DuckDBPyConnection, pool: Mapping[str, Any], left_out: str | None) -> list[Stop]:
    """Return the stops of a study under one variant and prompt (`pool`), less those of the model left out."""
    stops = [Stop(*row) for row in connection.execute(_STOPS, dict(pool)).fetchall()]
    return [stop for stop in stops if stop.model != left_out]


def told_of_stops(stops: Sequence[Stop], sources: Sequence[str]) -> Iterator[str]:
    """Yield lines about the stops of these sources; none where no adapter was scored on the way."""
    of_sources = [stop for stop in stops if stop.source in sources]
    if not of_sources:
        return
    yield "where to stop training: 90 % of the gain on its own task kept, least harm off it:"
    yield from (f"  {stop.source}, {stop.model}: {stop.told}" for stop in of_sources[:_SHOWN])
    if len(of_sources) > _SHOWN:
        yield f"  and {len(of_sources) - _SHOWN} more in marts.rpt_stops"
