"""Draws worlds, builds their warehouses, asks the marts and keeps what they say; nothing that is kept is done again."""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import tempfile
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.truth import rates
from tests.truth.judges import Judge
from tests.truth.judging import VIEWS, Rows, judged
from tests.truth.prediction_worlds import GRID_WORLDS, ask
from tests.truth.warehouse import ROOT, PlantedWarehouse, dbt_run
from tests.truth.world import Told
from tests.truth.worlds import WORLDS

ROWS_OF_A_WAREHOUSE = 16_000_000
"""Item rows built at a time: DuckDB stays within its 4 GB, and dbt's start is paid rarely."""


@dataclass(frozen=True)
class Part:
    """Draws [first, end) of a world."""

    world: str
    first: int
    end: int

    def file(self, folder: Path, seed: int) -> Path:
        """Where what the marts said of it is kept."""
        name = self.world.replace(" ", "_").replace(",", "")
        return folder / f"{name}-{_digest_of_world(self.world, seed)}-seed{seed}-{self.first}-{self.end}.json"


@dataclass(frozen=True)
class Measured:
    """A judge's number."""

    world: Told
    judge: Judge
    estimate: rates.Estimate | None
    """None: it could not be asked, for lack of a column that it needs."""

    @property
    def passes(self) -> bool | None:
        """Whether the reach is held; None: not asked."""
        return None if self.estimate is None else self.judge.reach.holds(self.estimate)


def digest_of_sql() -> str:
    """Return a digest of all SQL that makes the marts."""
    digest = hashlib.sha256()
    for file in sorted([*(ROOT / "models").rglob("*.sql"), *(ROOT / "dbt_project" / "macros").rglob("*.sql")]):
        digest.update(str(file.relative_to(ROOT)).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


@functools.cache
def _digest_of_world(world: str, seed: int) -> str:
    """A digest of what a world draws and what its judges ask: other worlds may change."""
    warehouse = PlantedWarehouse()
    for draw in range(2):
        rng = _generator(seed, world, draw)
        warehouse.add(f"draw {draw}", world, WORLDS[world].draw(rng), rng)
    asked = [(judge.name, judge.sql, judge.needs) for judge in WORLDS[world].judges]
    views = [view for view in VIEWS.items() if any(judge.view == view[0] for judge in WORLDS[world].judges)]
    return hashlib.sha256(f"{warehouse.digest()}{asked}{views}".encode()).hexdigest()[:8]


def _generator(seed: int, world: str, draw: int) -> np.random.Generator:
    """A draw's randomness depends on nothing but its own name."""
    return np.random.default_rng([seed, zlib.crc32(world.encode()), draw])


def marts_of(world: str) -> tuple[str, ...]:
    """Return the marts that a world's judges ask."""
    return tuple(sorted({VIEWS[judge.view][0] for judge in WORLDS[world].judges}))


def _parts(worlds: Sequence[str], draws: int, seed: int) -> Iterator[Part]:
    for world in worlds:
        size = WORLDS[world].draw(_generator(seed, world, 0)).design.n_rows
        step = max(1, min(draws, ROWS_OF_A_WAREHOUSE // size))
        n_parts = -(-draws // step)
        edges = [round(i * draws / n_parts) for i in range(n_parts + 1)]
        yield from (Part(world, a, b) for a, b in itertools.pairwise(edges))


def _batches(parts: Sequence[Part], seed: int) -> Iterator[list[Part]]:
    """Parts that go into one warehouse: those of the same marts, as many as fit."""
    by_marts: dict[tuple[str, ...], list[Part]] = defaultdict(list)
    for part in parts:
        by_marts[marts_of(part.world)].append(part)
    for group in by_marts.values():
        batch: list[Part] = []
        rows = 0
        for part in group:
            more = (part.end - part.first) * WORLDS[part.world].draw(_generator(seed, part.world, 0)).design.n_rows
            if batch and rows + more > ROWS_OF_A_WAREHOUSE:
                yield batch
                batch, rows = [], 0
            batch.append(part)
            rows += more
        if batch:
            yield batch


def build(parts: Sequence[Part], seed: int, path: Path) -> None:
    """Draw these parts into a warehouse at `path` and build the marts that their judges read."""
    warehouse = PlantedWarehouse()
    for part in parts:
        for draw in range(part.first, part.end):
            rng = _generator(seed, part.world, draw)
            warehouse.add(f"{part.world}, draw {draw}", part.world, WORLDS[part.world].draw(rng), rng)
    warehouse.write(path)
    dbt_run(path, sorted({mart for part in parts for mart in marts_of(part.world)}), path.parent)


def measure(worlds: Sequence[str], draws: int, seed: int, folder: Path, say: Callable[[str], None]) -> list[Measured]:
    """Return what the marts say of these worlds. Parts that `folder` holds under the same digest are not done again."""
    folder = folder / digest_of_sql()
    folder.mkdir(parents=True, exist_ok=True)
    parts = list(_parts(worlds, draws, seed))
    waiting = [part for part in parts if not part.file(folder, seed).exists()]
    say(
        f"{draws} draws a world, seed {seed}, SQL {folder.name}: {len(parts) - len(waiting)} of {len(parts)} parts kept"
    )
    for batch in _batches(waiting, seed):
        began = time.monotonic()
        with tempfile.TemporaryDirectory(dir=folder, prefix="building-") as building:
            path = Path(building, "warehouse.duckdb")
            build(batch, seed, path)
            for part in batch:
                found = judged(path, part.world, [f"{part.world}, draw {n}" for n in range(part.first, part.end)])
                file = part.file(folder, seed)
                file.with_suffix(".partial").write_text(json.dumps(found))
                file.with_suffix(".partial").rename(file)
        names = ", ".join(f"{part.world} {part.first}–{part.end - 1}" for part in batch)
        say(f"{time.monotonic() - began:5.0f} s  {names}")
    return kept(worlds, draws, seed, folder)


def measure_grids(
    worlds: Sequence[str], draws: int, seed: int, folder: Path, say: Callable[[str], None]
) -> list[Measured]:
    """Return the numbers of worlds of predictions, which ask no mart. Draws that `folder` holds are not done again."""
    answers = ask(worlds, draws, seed, folder, say)
    return [
        Measured(
            GRID_WORLDS[world], judge, _estimate(judge, [["", *said[judge.name]] for said in answers[world]])
        )
        for world in worlds
        for judge in GRID_WORLDS[world].judges
    ]  # fmt: skip


def kept(worlds: Sequence[str], draws: int, seed: int, folder: Path) -> list[Measured]:
    """Return the numbers whose parts `folder` holds, that of one SQL; a world that lacks a part is not asked."""
    rows: dict[str, dict[str, Rows]] = {world: defaultdict(list) for world in worlds}
    parts = list(_parts(worlds, draws, seed))
    lacking = {part.world for part in parts if not part.file(folder, seed).exists()}
    for part in parts:
        if part.world not in lacking:
            for judge, found in json.loads(part.file(folder, seed).read_text()).items():
                rows[part.world][judge].extend(found)
    return summarise(rows)


def summarise(rows: dict[str, dict[str, Rows]]) -> list[Measured]:
    """Return each judge's number from its rows by world and judge."""
    return [
        Measured(WORLDS[world], judge, _estimate(judge, by_judge[judge.name]) if judge.name in by_judge else None)
        for world, by_judge in rows.items()
        for judge in WORLDS[world].judges
    ]


def _estimate(judge: Judge, rows: Rows) -> rates.Estimate:
    if not rows:
        return rates.Estimate(np.nan, np.nan, np.nan, 0, 0)
    if judge.kind == "rate":
        return rates.rate([row[1] for row in rows], [row[2] for row in rows])
    values = [np.nan if row[1] is None else float(row[1]) for row in rows]
    return rates.mean(values) if judge.kind == "mean" else rates.median(values)
