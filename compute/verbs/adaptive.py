"""The rounds of an adaptive study: which of its jobs it asks for by now, and the next choice, landed before it runs."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from compute.dbt import run_dbt
from compute.errors import UserError
from compute.plugin import Job
from compute.prediction.choosing import SPENT, Choice, Rules, Unit, choose, within_budget
from compute.prediction.grid import Grid, Model, whole
from compute.prediction.reading import Asked, digest, grids
from compute.store.building import only_builder
from compute.store.warehouse import Warehouse
from compute.study.schema import Adaptive, Study

Named = tuple[str, str, str]
"""A unit by name: model, source task, source language."""


class Rounds:
    """What an adaptive study has decided. Decisions of other jobs, or for another goal, count for nothing."""

    def __init__(self, study: Study, adaptive: Adaptive, jobs: Mapping[str, Job], warehouse: Warehouse) -> None:
        """Read the decisions. `jobs`: of the study with every source tuned."""
        self.study, self.jobs, self.warehouse = study, jobs, warehouse
        self.rules = Rules(adaptive.goal, adaptive.budget, adaptive.enough, study.harm_threshold_pp)
        self.units: dict[Named, list[Job]] = defaultdict(list)
        for job in jobs.values():
            values = job.values
            # Mixtures, and adapters that exist, are no choice: they are always asked for.
            if job.plugin == "transfer" and values.get("source_name") is None:
                self.units[values["model"], values["source_task"], values["source_language"]].append(job)
        self.costs = {name: sum(job.cost for job in members) for name, members in self.units.items()}
        keys = json.dumps([adaptive.goal, sorted(job.key for members in self.units.values() for job in members)])
        self.asked = hashlib.sha256(keys.encode()).hexdigest()
        rows = warehouse.study_rows("decisions", study.study)
        self.rows = [row for row in rows if row["asked"] == self.asked and row["model"] is not None]

    @property
    def done(self) -> list[Named]:
        """Units chosen so far, in order."""
        return [(row["model"], row["source_task"], row["source_language"]) for row in self.rows]

    def declared(self) -> dict[str, Job]:
        """Return the jobs that the study asks for by now: all that tune nothing, and those of the units chosen."""
        waiting = {job.key for unit in self.units.keys() - set(self.done) for job in self.units[unit]}
        return {key: job for key, job in self.jobs.items() if key not in waiting}

    def decide(self) -> str | None:
        """Choose the next round from what is in the warehouse and land it; return what was chosen, None: nothing more.

        Raises:
            UserError: the marts that it is chosen from cannot be built.
        """
        if not within_budget(self.costs, self.done, self.rules.budget):
            self._land(SPENT, [], None, None)
            return None
        grid, known = self._known() if self.rows else (self._blank(), None)
        units = sorted(set(zip(grid.model.tolist(), grid.source.tolist(), strict=True)))
        numbers = {self._name(grid, unit): unit for unit in units}
        costs = {unit: self.costs[name] for name, unit in numbers.items()}
        choice = choose(grid, costs, [numbers[name] for name in self.done], self.rules)
        names = [self._name(grid, unit) for unit in choice.units]
        self._land(choice, names, int(grid.is_measured.sum()), known)
        if not names:
            return None
        chosen = ", ".join(f"{model.rpartition('@')[0]} {task}/{language}" for model, task, language in names)
        short = "" if choice.remaining is None else f" ({self.rules.goal}: {choice.remaining:.3g} left to learn)"
        return f"round {self.rows[-1]['round']}{short}: {chosen}"

    def _blank(self) -> Grid:
        """Return the grid before anything is tuned."""
        models = sorted({model for model, _, _ in self.units})
        sources = sorted({(task, language) for _, task, language in self.units})
        targets = self.study.targets.cells if self.study.targets is not None else []
        grid = whole([Model(model) for model in models], sources, sorted(targets), {}, {}, {})
        return grid.part(~grid.is_own)

    def _known(self) -> tuple[Grid, str]:
        """Return the transfer cells as measured so far, of the first variant and prompt; and their digest."""
        place = self.warehouse.path
        with only_builder(place, self.warehouse.wait, self.warehouse.say):
            failed = run_dbt("run", "--quiet", "--select", "+int_prediction_digests", warehouse=place)
        if failed:
            raise UserError(f"{place}: the marts that sources are chosen by cannot be built")
        asked = Asked(models=tuple(Model(model) for model in sorted({model for model, _, _ in self.units})))
        with self.warehouse.connect(read_only=True) as connection:
            known = digest(connection, self.study.study)
            found = list(grids(connection, self.study.study, asked))
        if not found:
            return self._blank(), known
        grid = min(found, key=lambda one: (one.variant != "default", one.variant, one.prompt or "")).grid
        chosen = np.array([self._name(grid, unit) in self.units for unit in zip(grid.model, grid.source, strict=True)])
        return grid.part(chosen & ~grid.is_own), known

    @staticmethod
    def _name(grid: Grid, unit: Unit) -> Named:
        return (grid.models[unit[0]].name, *grid.sources[unit[1]])

    def _land(self, choice: Choice, names: Sequence[Named], n_known: int | None, known: str | None) -> None:
        total = sum(self.costs.values())
        about: dict[str, Any] = {
            "study": self.study.study,
            "round": 1 + max((row["round"] for row in self.rows), default=0),
            "goal": self.rules.goal,
            "spent": sum(row["cost"] for row in self.rows),
            "remaining": choice.remaining,
            "n_known": n_known,
            "known": known,
            "why": choice.why,
            "asked": self.asked,
            "decided_at": datetime.now(UTC).replace(tzinfo=None),
        }
        for place, name in enumerate(names, 1):
            worth = choice.worth[place - 1] if choice.worth else None
            chosen = dict(zip(("model", "source_task", "source_language"), name, strict=True))
            self.rows.append(about | chosen | {"place": place, "cost": self.costs[name] / total, "worth": worth})
        end = [] if names else [about | {"place": 1}]
        self.warehouse.replace_rows(self.study.study, {"decisions": [*self.rows, *end]})
