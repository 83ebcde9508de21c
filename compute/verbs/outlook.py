"""What `transfer plan` ends with: time, memory, disk and money that the pending jobs will take, by plugin."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from compute.engine.devices import default_workers, planned_device
from compute.engine.durations import Durations
from compute.engine.estimate import Estimate, Share, estimate
from compute.engine.plan import Plan
from compute.errors import UserError
from compute.project import CALIBRATIONS
from compute.store.experience import CalibrationFile, Experience, calibrations, earlier_runs
from compute.store.landing import Landing
from compute.store.warehouse import Warehouse

_HOUR = 3600.0
_TOLD = 0.05
"""Share of the time below which it is not said apart."""
_BUSY = 0.8
"""Share of its time that a job computes where it has a core for itself; the rest waits for the disk."""


@dataclass(frozen=True)
class Outlook:
    """What the pending jobs of a study will take, and how that is known.

    Attributes:
        study: its name.
        device: on which they will run.
        host: the pattern of the hosts whose runs were gone by.
        found: sums; None where nothing has run and nothing is calibrated.
        experience: earlier runs.
        calibrated: calibrations.
        price: of an hour of a GPU; None if it was not asked for.
    """

    study: str
    device: str
    host: str
    found: Estimate | None
    experience: Experience
    calibrated: Sequence[CalibrationFile]
    price: float | None

    def values(self) -> dict[str, Any]:
        """Return it as plain values, for tools: seconds, bytes, and what is not known as None."""
        found = self.found
        values: dict[str, Any] = {
            "study": self.study,
            "device": self.device,
            "host": self.host,
            "earlier_jobs": sum(one.jobs for one in self.experience.measured),
            "calibrated_at": [one.measured_at for one in self.calibrated],
            "price_per_gpu_hour": self.price,
            "workers": None,
            "span_seconds": None,
            "undisturbed_seconds": None,
            "gpu_hours": None,
            "money": None,
            "landed": None,
            "whole": None,
            "plugins": None,
        }
        if found is None:
            return values
        held = found.workers * found.span_seconds
        on_gpu = self.device == "cuda"
        return values | {
            "workers": found.workers,
            "span_seconds": found.span_seconds,
            "undisturbed_seconds": None if on_gpu else found.undisturbed_seconds,
            "gpu_hours": held / _HOUR if on_gpu else 0.0,
            "money": self._money(held),
            "landed": {"jobs": found.landed_jobs, "seconds": found.landed_seconds},
            "whole": self._share(found.whole),
            "plugins": [self._share(share) for share in found.shares],
        }

    def _share(self, share: Share) -> dict[str, Any]:
        money = self._money(share.seconds)
        gpu_hours = share.seconds / _HOUR if self.device == "cuda" else 0.0
        return asdict(share) | {"gpu_hours": gpu_hours, "disk_bytes": self._disk(share), "money": money}

    def _money(self, seconds: float) -> float | None:
        return None if self.price is None else self.price * seconds / _HOUR

    def _disk(self, share: Share) -> float:
        return share.artifact_bytes + share.rows * (self.experience.bytes_a_row or 0.0)

    def lines(self) -> Iterator[str]:
        """Yield it in words: a line a plugin, and what is known for how much of it."""
        found = self.found
        if found is None:
            yield self._nothing_known()
            return
        if not found.shares:
            if found.landed_seconds:
                yield f"landed: {_time(found.landed_seconds)} of work, taken off; nothing is left to do"
            return
        held = found.workers * found.span_seconds
        yield f"what it will take on {found.workers} x {self.device}, by {self._known_from()}:"
        yield from self._table(found)
        name = "GPU-hours" if self.device == "cuda" else "core-hours"
        end = f"from start to end {_hours(found.span_seconds)} hours; {_hours(held)} {name}"
        if self.price is not None:
            end += f", {self._money(held):.2f} at {self.price:g} an hour"
        yield end
        if found.landed_seconds:
            yield f"landed and taken off: {found.landed_jobs:,} jobs, {_time(found.landed_seconds)} of work"
        yield from self._cautions(found)

    def _table(self, found: Estimate) -> Iterator[str]:
        on_cpu = self.device == "cpu"
        heads = ["plugin", "jobs", "core time" if on_cpu else "GPU time", "give or take"]
        heads += ["computing"] * on_cpu + ["peak memory", "disk"] + ["money"] * (self.price is not None)
        idle = Share("idle", seconds=max(0.0, found.workers * found.span_seconds - found.whole.seconds))
        rows = [heads] + [
            self._cells(share) for share in (*found.shares, idle, found.whole) if share is not idle or idle.seconds
        ]
        widths = [max(len(row[place]) for row in rows) for place in range(len(heads))]
        for row in rows:
            first, *others = (f"{cell:{'<' if not place else '>'}{widths[place]}}" for place, cell in enumerate(row))
            yield "  ".join(["", first, *others]).rstrip()

    def _cells(self, share: Share) -> list[str]:
        known = share.jobs > share.unknown or share.plugin == "idle"
        cells = [share.plugin, f"{share.jobs:,}" if share.jobs else ""]
        cells += [_time(share.seconds) if known else "unknown", _give_or_take(share)]
        if self.device == "cpu":
            cells.append("" if share.cpu_seconds is None or not share.jobs or not known else _time(share.cpu_seconds))
        cells += [_size(share.peak_memory_bytes), _size(self._disk(share))]
        return cells + ([] if self.price is None else [f"{self._money(share.seconds):.2f}"])

    def _cautions(self, found: Estimate) -> Iterator[str]:
        """Yield what is not known, and how far what is said can be trusted."""
        whole, alone = found.whole, found.undisturbed_seconds
        if whole.unknown:
            where = "nothing like them has run here"
            how = (_LONGER if self.calibrated else _CALIBRATE).format(self.study)
            yield f"unknown: {whole.unknown:,} jobs, left out above: {where}; {how}"
        if whole.beyond_seconds > _TOLD * whole.seconds:
            yield (
                f"guessed from smaller or larger jobs: {whole.beyond_seconds / whole.seconds:.0%} of the time is of "
                "jobs more than twice as large as any measured, or less than half as small"
            )
        if whole.seconds_without_spread > _TOLD * whole.seconds:
            yield (
                f"too few visits to tell how they differ: {whole.seconds_without_spread / whole.seconds:.0%} of the "
                "time; `give or take` is of the rest"
            )
        if self.device == "cpu" and alone is not None and (whole.cpu_seconds or 0.0) < _BUSY * whole.seconds:
            yield (
                f"jobs computed {(whole.cpu_seconds or 0.0) / whole.seconds:.0%} of their time, as other work had the "
                f"cores: undisturbed it is {_hours(alone)} hours from start to end"
            )
        if self.experience.bytes_a_row is None and whole.rows:
            yield "disk: of artifacts alone; too few rows are in the warehouse to tell what more of them take"

    def _known_from(self) -> str:
        parts = []
        jobs = sum(one.jobs for one in self.experience.measured)
        if jobs:
            parts.append(f"{jobs:,} jobs that ran on {self.device} of {self.host}")
        parts += [f"a calibration of {one.host}, {one.measured_at[:10]}" for one in self.calibrated]
        return " and ".join(parts)

    def _nothing_known(self) -> str:
        others = [f"{host} ({jobs:,} jobs)" for host, jobs in self.experience.hosts.items()][:3]
        elsewhere = f"; on {self.device} of other hosts: {', '.join(others)}, asked for by --host" if others else ""
        return (
            f"what it will take is not known: nothing has run on {self.device} of {self.host} and it is not "
            f"calibrated{elsewhere}; {_CALIBRATE.format(self.study)}"
        )


_CALIBRATE = "`transfer calibrate --study {}` measures a sample in half a minute"
_LONGER = "`transfer calibrate --study {} --seconds 180` gives the sample longer"


def look_ahead(
    plan: Plan,
    warehouse: Warehouse,
    landing: Landing,
    *,
    device: str,
    host: str | None,
    workers: int | None,
    price: float | None,
) -> Outlook:
    """Return what the pending jobs of a plan will take.

    Args:
        plan: of a study.
        warehouse: whose `raw.jobs` says what earlier runs took.
        landing: beside it.
        device: `auto`, `cpu` or `cuda`, which need not be visible here.
        host: a pattern of names; None: this host's.
        workers: processes; None: as many as `transfer compute` starts here.
        price: of an hour of a GPU.

    Raises:
        UserError: a price, and no GPU; or a calibration cannot be read.
    """
    device = planned_device(device)
    if price is not None and device != "cuda":
        raise UserError("--price-per-gpu-hour: no GPU is used on cpu; plan for one with --device cuda")
    host = host or socket.gethostname()
    experience = earlier_runs(warehouse, landing, device, host)
    calibrated = calibrations(CALIBRATIONS, device, host)
    durations = Durations([*experience.measured, *(one for file in calibrated for one in file.measured)])
    found = None
    if durations:
        start = 0.0 if experience.measured else max(one.start_seconds for one in calibrated)
        found = estimate(plan, durations, workers or max(1, default_workers(device)), start)
    return Outlook(plan.study.study, device, host, found, experience, calibrated, price)


def _give_or_take(share: Share) -> str:
    told = share.seconds - share.seconds_without_spread if share.jobs else 0.0
    return f"{share.spread_seconds / told:.0%}" if told > 0 else ""


def _time(seconds: float) -> str:
    """Return a length of time with about two digits."""
    unit, name = (1.0, "s") if seconds < 100 else (60.0, "min") if seconds < 90 * 60 else (_HOUR, "h")
    amount = seconds / unit
    return f"{amount:,.0f} {name}" if amount >= 10 else f"{amount:.1f} {name}"


def _hours(seconds: float) -> str:
    hours = seconds / _HOUR
    return f"{hours:,.0f}" if hours >= 100 else f"{hours:.2g}"


def _size(size: float) -> str:
    if not size:
        return ""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{max(size / 1e6, 0.1):.1f} MB"
