"""Small warehouses for tests: raw rows put together in Python, written through the raw schema's own DDL.

    raw = RawRows()
    raw.study("s", harm_threshold_pp=2.0)
    raw.task("parity", chance=0.5)
    raw.scores("s", model="m@1", target=("parity", "en"), correct=[True, False], parallel_ids=["1", "2"])
    raw.scores("s", model="m@1", source=("parity", "de"), seed=1, target=("parity", "en"), correct=[True, True])
    raw.write(path)

A grid of study "s" is then ready for `WAREHOUSE=path dbt build`.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import jinja2

from compute.store.raw_schema import TABLES

Cell = tuple[str, str]
"""(task, language)"""

_ROOT = Path(__file__).resolve().parents[2]


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class RawRows:
    """Rows of raw tables, collected and then written to a DuckDB file."""

    def __init__(self) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
        self._jobs: set[str] = set()
        self._asked: set[tuple[str, str]] = set()
        self._items: set[tuple[Any, ...]] = set()

    def add(self, table: str, **row: Any) -> None:
        """One row; columns left out are NULL, unknown ones are an error."""
        unknown = row.keys() - set(TABLES[table].column_names)
        if unknown:
            raise KeyError(f"raw.{table} has no column {sorted(unknown)}")
        self.rows[table].append(row)

    def study(self, study: str, origin: str = "computed", **config: Any) -> None:
        """A study; `config` is what its file says."""
        self.add("studies", study=study, config={"study": study, **config}, origin=origin)

    def task(self, task: str, kind: str = "choice", primary_metric: str = "acc", chance: float = 0.5) -> None:
        """A task."""
        self.add("tasks", task=task, kind=kind, primary_metric=primary_metric, chance=chance)

    def model(self, model: str, family: str, parameters: int = 1_000) -> None:
        """A language model."""
        self.add("models", model=model, family=family, parameters=parameters)

    def job(self, study: str, plugin: str, ran: bool = True, state: str = "landed", **config: Any) -> str:
        """A job that `study` asks for, landed unless it failed or has not run; returns its key. Same configuration,
        same job."""
        key = _digest(plugin, config)
        if (study, key) not in self._asked:
            self._asked.add((study, key))
            self.add("study_jobs", study=study, job_key=key, plugin=plugin, config=config, label=f"{plugin} job")
        if ran and key not in self._jobs:
            self._jobs.add(key)
            self.add("jobs", job_key=key, plugin=plugin, config=config, state=state, attempts=1)
        return key

    def scores(
        self,
        study: str,
        *,
        model: str,
        target: Cell,
        source: Cell | None = None,
        seed: int | None = None,
        control: str | None = None,
        variant: str = "default",
        prompt: str = "plain@1",
        correct: Sequence[bool] = (),
        logprobs: Sequence[Sequence[float]] | None = None,
        golds: Sequence[int] | None = None,
        lengths: Sequence[Sequence[int]] | None = None,
        item_ids: Sequence[str] | None = None,
        parallel_ids: Sequence[str | None] | None = None,
        ran: bool = True,
        source_name: str | None = None,
        fraction: float | None = None,
    ) -> str:
        """A scoring job and its items: either `correct` alone (two choices, gold the first) or log-probabilities of the
        choices with `golds` and `lengths` (characters; a byte more each). `ran=False`: planned only. `source_name`: of
        a mixture (see `mixture`); `fraction`: of its training, where it is an adapter on the way."""
        keys = {
            "model": model,
            "variant": variant,
            "source_task": source[0] if source else None,
            "source_language": source[1] if source else None,
            "control": control,
            "seed": seed,
            "target_task": target[0],
            "target_language": target[1],
            "prompt": prompt,
            **({"source_name": source_name} if source_name else {}),
            **({"fraction": fraction} if fraction else {}),
        }
        known_jobs = len(self._jobs)
        job_key = self.job(study, "transfer" if source else "baseline", ran, **keys)
        if len(self._jobs) == known_jobs:  # planned only, or another study's too
            return job_key
        if logprobs is None:
            logprobs = [[-1.0, -2.0] if right else [-2.0, -1.0] for right in correct]
            golds = [0] * len(logprobs)
        for i, values in enumerate(logprobs):
            item_id = item_ids[i] if item_ids else f"i{i}"
            gold = golds[i] if golds else 0
            counts = list(lengths[i]) if lengths else [1] * len(values)
            self.add(
                "item_scores", job_key=job_key, **keys, item_id=item_id, gold=gold, logprobs=list(values),
                token_counts=counts, char_counts=counts, byte_counts=[count + 1 for count in counts],
            )  # fmt: skip
            if parallel_ids is not None:
                self._item(study, target, prompt, item_id, parallel_ids[i], gold, len(values))
        return job_key

    def mixture(self, study: str, name: str, parts: Mapping[Cell, float]) -> None:
        """A mixture that a job of the study tuned on: each part's items over the 600 that it is tuned on alone."""
        key = self.job(study, "transfer", step="train", source_name=name, variant=study)
        for (task, language), dose in parts.items():
            self.add(
                "source_parts", job_key=key, source_name=name, task=task, language=language,
                weight=dose / sum(parts.values()), items=round(600 * dose), items_alone=600,
            )  # fmt: skip

    def _item(
        self, study: str, target: Cell, prompt: str, item_id: str, parallel_id: str | None, gold: int, n: int
    ) -> None:
        known = (*target, prompt, item_id)
        key = self.job(study, "items", task=target[0], language=target[1], prompt=prompt)
        if known not in self._items:
            self._items.add(known)
            self.add(
                "items", task=target[0], language=target[1], item_id=item_id, parallel_id=parallel_id, split="test",
                gold=gold, choices=[str(choice) for choice in range(n)], prompt=prompt, job_key=key,
            )  # fmt: skip

    def write(self, path: Path) -> Path:
        """Creates the warehouse at `path` (which must not exist) with every raw table, empty ones too."""
        with duckdb.connect(str(path)) as connection, tempfile.TemporaryDirectory() as folder:
            connection.execute("create schema raw")
            for name, table in TABLES.items():
                connection.execute(table.create_statement())
                if not self.rows[name]:
                    continue
                lines = Path(folder, f"{name}.jsonl")
                lines.write_text("".join(json.dumps(row) + "\n" for row in self.rows[name]), encoding="utf-8")
                columns = "{" + ", ".join(f"'{column.name}': '{column.type}'" for column in table.columns) + "}"
                connection.execute(
                    f"insert into raw.{name} select * from"
                    f" read_json('{lines}', format = 'newline_delimited', columns = {columns})"
                )
        return path

    def read(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Creates every raw table in `connection`, as `write` does in a file."""
        with tempfile.TemporaryDirectory() as folder:
            path = self.write(Path(folder, "warehouse.duckdb"))
            connection.execute(f"attach '{path}' as written (read_only)")
            connection.execute("create schema raw")
            for name in TABLES:
                connection.execute(f"create table raw.{name} as from written.raw.{name}")
            connection.execute("detach written")


def insert_answers(connection: duckdb.DuckDBPyConnection, jobs: Path, answered: Path) -> None:
    """Adds right and wrong answers to `raw.item_scores`, by the million: Parquet files of (job, job_key) and of (job,
    item, correct, probability); a job's keys are those of its configuration, an item's id is i<item>. Where there is a
    probability, it is that of the right one of two choices; else NaN."""
    connection.execute(
        f"""
        create temp table keyed as
        select
            job, job_key, config ->> '$.model' as model, config ->> '$.variant' as variant,
            config ->> '$.source_task' as source_task, config ->> '$.source_language' as source_language,
            config ->> '$.control' as control, cast(config ->> '$.seed' as bigint) as seed,
            config ->> '$.target_task' as target_task, config ->> '$.target_language' as target_language,
            config ->> '$.prompt' as prompt, config ->> '$.source_name' as source_name,
            cast(config ->> '$.fraction' as double) as fraction
        from '{jobs}' inner join raw.jobs using (job_key)
        """
    )
    connection.execute(
        f"""
        insert into raw.item_scores by name
        select
            keyed.* exclude (job), 'i' || item as item_id, case when isnan(probability) then correct end as correct,
            case when not isnan(probability) then 0 end as gold,
            case when not isnan(probability) then [
                ln(greatest(cast(probability as double), 1e-30)), ln(greatest(1 - cast(probability as double), 1e-30))
            ] end as logprobs,
            case when not isnan(probability) then [1, 1] end as token_counts, token_counts as char_counts,
            token_counts as byte_counts
        from '{answered}' inner join keyed using (job)
        """
    )


def derive(connection: duckdb.DuckDBPyConnection, *models: str) -> None:
    """Builds these dbt models and all they read, each as a table of its own name. Without dbt, and in a fraction of its
    time: for tests that build many small warehouses."""
    for model in models:
        if connection.execute("select 1 from duckdb_tables() where table_name = ?", [model]).fetchone():
            continue
        (path,) = (_ROOT / "models").glob(f"**/{model}.sql")
        source = path.read_text(encoding="utf-8")
        derive(connection, *re.findall(r"ref\('(\w+)'\)", source))
        connection.execute(f"create table {model} as {rendered(source)}")


@functools.cache
def rendered(source: str) -> str:
    """A model's SQL, or any that calls the project's macros, with models and raw tables under their own names."""
    macros = [path.read_text(encoding="utf-8") for path in sorted((_ROOT / "dbt_project" / "macros").glob("*.sql"))]
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, extensions=["jinja2.ext.do"])
    dbt = {"ref": str, "source": "{}.{}".format, "config": lambda **_: ""}
    return environment.from_string("".join(text for text in macros if "{% test" not in text) + source).render(dbt)
