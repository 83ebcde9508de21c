"""Writes a warehouse with a raw grid of the paper's size, made up by DuckDB from row numbers.

    python benchmarks/generate_grid.py big.duckdb                       # 9 x 44 x 3 x 44 x 400: 21 M item_scores
    python benchmarks/generate_grid.py small.duckdb --models 2 --items 50
    python benchmarks/generate_grid.py wide.duckdb --models 1 --sources 2 --seeds 1 --tasks 200 --targets 20000

The same arguments give the same rows. Sources and targets are the same cells: four tasks, in as many languages as it
takes. Every item has four choices. A model answers an item right more often after tuning on the
item's task, and on its language.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import duckdb

from compute.store.raw_schema import TABLES

TASKS = ("reasoning", "commonsense", "knowledge", "inference")
CHOICES = 4

_SETUP = """
create temp table cells as
select
    i as cell, ['{tasks}'][1 + i % {n_tasks}] as task,
    if(i // {n_tasks} < 676, '', chr((97 + (i // {n_tasks}) // 676)::int))
    || chr((97 + (i // {n_tasks}) // 26 % 26)::int) || chr((97 + (i // {n_tasks}) % 26)::int) as language
from range({cells}) t(i);

create temp table scorings as
with tuned as (
    select m, s, seed, e from range({models}) t(m), range({sources}) u(s), range({seeds}) v(seed), range({cells}) w(e)
    union all
    select m, null, null, e from range({models}) t(m), range({cells}) w(e)
)
select
    row_number() over (order by m, s nulls first, seed, e) as n,
    sha256(concat_ws('/', m, s, seed, e)) as job_key,
    case when s is null then 'baseline' else 'transfer' end as plugin,
    'model-' || m || '@1' as model, source.task as source_task, source.language as source_language,
    seed, target.task as target_task, target.language as target_language,
    -- percentage of right answers: base level of the model, more on matched tasks and languages
    35 + 2 * m + case when s is null then 0 else (source.task = target.task)::int * 5
        + (source.language = target.language)::int * 2 - (s * 7 + e * 3) % 5 end as right_pct
from tuned
left join cells as source on source.cell = s
join cells as target on target.cell = e;

insert into raw.studies by name
select 'grid' as study, '{{"study": "grid"}}'::json as config, 'computed' as origin;

insert into raw.models by name
select
    'model-' || m || '@1' as model, 'family-' || m % 3 as family, 1000000 * (m + 1) as parameters
from range({models}) t(m);

insert into raw.tasks by name
select unnest(['{tasks}']) as task, 'choice' as kind, 'acc' as primary_metric, 1 / {choices} as chance;

insert into raw.items by name
select
    task, language, 'item-' || i as item_id, task || '-' || i as parallel_id, 'test' as split,
    (i * 7 % {choices})::int as gold, ['a', 'b', 'c', 'd'] as choices, 'plain@1' as prompt, 'items' as job_key
from cells, range({items}) t(i);

insert into raw.study_jobs by name
select
    'grid' as study, job_key, plugin, n::varchar as label,
    to_json({{
        model: model, variant: 'default', source_task: source_task, source_language: source_language,
        control: null, seed: seed, target_task: target_task, target_language: target_language, prompt: 'plain@1'
    }}) as config
from scorings
union all
select 'grid', 'items', 'items', 'items', '{{}}'::json;

insert into raw.jobs by name
select job_key, plugin, '1' as plugin_version, config, 'landed' as state, 1 as attempts, label from raw.study_jobs;
"""

# Right answers: the gold choice gets the highest log-probability in right_pct % of items, decided by integer
# arithmetic on the item's and the job's number; lengths differ, so that the length-normalized metrics differ too.
_SCORES = """
insert into raw.item_scores by name
with drawn as (
    select
        scorings.*, i, (i * 7 % {choices})::int as gold,
        ((i * 7919 + 104729) * (i + 31) + n * (i % 61 + 17) * 7) % 100 as draw
    from scorings, range({items}) t(i)
    where n > {after} and n <= {until}
),
picked as (
    select *, ((gold + case when draw < right_pct then 0 else 1 + draw % ({choices} - 1) end) % {choices})::int as best
    from drawn
)
select
    job_key, model, 'default' as variant, source_task, source_language, seed, target_task, target_language,
    'plain@1' as prompt, 'item-' || i as item_id, gold,
    [(case when best = 0 then -2 else -3 end - (i * 3 + n) % 17 / 16)::float,
     (case when best = 1 then -2 else -3 end - (i * 5 + n) % 19 / 18)::float,
     (case when best = 2 then -2 else -3 end - (i * 7 + n) % 23 / 22)::float,
     (case when best = 3 then -2 else -3 end - (i * 11 + n) % 29 / 28)::float] as logprobs,
    [1, 2, 1, 2]::int[] as token_counts,
    [3 + i % 5, 3 + i % 7, 3 + i % 4, 3 + i % 3]::int[] as char_counts,
    [4 + i % 5, 4 + i % 7, 5 + i % 4, 4 + i % 3]::int[] as byte_counts
from picked
order by n, i
"""


def generate(path: Path, models: int, sources: int, seeds: int, tasks: int, targets: int, items: int) -> int:
    """Creates the warehouse at `path`; returns the rows of `raw.item_scores`."""
    names = [*TASKS[:tasks], *(f"task-{i}" for i in range(len(TASKS), tasks))]
    numbers = {
        "models": models, "sources": sources, "seeds": seeds, "cells": targets, "items": items,
        "tasks": "', '".join(names), "n_tasks": tasks, "choices": CHOICES,
    }  # fmt: skip
    with duckdb.connect(str(path)) as connection:
        connection.execute("set memory_limit = '4GB'")
        connection.execute(f"set temp_directory = '{path}.tmp'")
        connection.execute("create schema raw")
        for table in TABLES.values():
            connection.execute(table.create_statement())
        connection.execute(_SETUP.format(**numbers))
        jobs = connection.execute("select count(*) from scorings").fetchall()[0][0]
        step = max(1, 2_000_000 // items)
        for after in range(0, jobs, step):
            connection.execute(_SCORES.format(**numbers, after=after, until=after + step))
        return connection.execute("select count(*) from raw.item_scores").fetchall()[0][0]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("warehouse", type=Path, help="file to create; it must not exist")
    sizes = {"models": 9, "sources": 44, "seeds": 3, "tasks": len(TASKS), "targets": 44, "items": 400}
    for name, default in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=default, help=f"number of {name} (default: {default})")
    arguments = parser.parse_args()
    if arguments.warehouse.exists():
        sys.exit(f"{arguments.warehouse}: exists already")
    if arguments.sources > arguments.targets:
        sys.exit("sources are a part of the targets: --sources may not exceed --targets")
    started = time.perf_counter()
    rows = generate(arguments.warehouse, **{name: getattr(arguments, name) for name in sizes})
    print(f"{arguments.warehouse}: {rows:,} item_scores in {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
