"""A model card of an adapter: what the warehouse knows of it, and what it does not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import yaml

from compute import __version__
from compute.store.database import named_rows
from compute.store.warehouse import Warehouse

_NO_LANGUAGE = ("mul", "und")

_CELL = "study = $study and model = $model and variant = $variant and source = $source"

_CELLS = f"""
select
    target_task || '/' || target_language as target,
    coalesce(regime = 'MT-ML', false) as is_own,
    metric, baseline_score, score, delta, delta_unit, ci_low, ci_high, verdict, n_seeds, n_items, harm_threshold_pp
from marts.fct_transfer
inner join (
    select study, coalesce(cast(config ->> '$.harm_threshold_pp' as double), 1.0) as harm_threshold_pp
    from raw.studies
) using (study)
where {_CELL} and control is null
order by delta desc nulls last, target
"""

_PLACEBO = f"select avg(delta_pp), count(delta_pp) from marts.fct_transfer where {_CELL} and control = 'placebo'"

_CHECKS = """
select expectation, severity, success, checked_at
from checks.results
where
    study = $study
    and run_id = (select arg_max(run_id, checked_at) from checks.results where study = $study)
order by success, severity, expectation
"""

_JOB = """
select
    jobs.finished_at, jobs.seconds, jobs.device, jobs.versions,
    list_sort(list(distinct tasks.licence)) as licence, list_sort(list(distinct tasks.source_url)) as source_url,
    list_sort(list(distinct tasks.sha256)) as sha256
from raw.jobs
left join raw.tasks on list_contains($tasks, tasks.task)
where jobs.job_key = $key
group by all
"""


@dataclass(frozen=True)
class Card:
    """What a card says.

    Attributes:
        study: that tuned it.
        job_key: of the training.
        config: of the training, as the warehouse has it.
        job: of the training, by column: when, where, with what, on which data.
        cells: rows of `fct_transfer`, by column; None without marts.
        placebo: mean change and number of targets of the same source on permuted labels; None if there is none.
        checks: rows of the last run, by column; None if there was none.
    """

    study: str
    job_key: str
    config: Mapping[str, Any]
    job: Mapping[str, Any]
    cells: Sequence[Mapping[str, Any]] | None
    placebo: tuple[float, int] | None
    checks: Sequence[Mapping[str, Any]] | None

    @property
    def missing(self) -> list[str]:
        """What is not known yet, and which verb finds it out."""
        found = []
        if not self.cells:
            found.append("what it gains and harms: there are no marts of it; run `transfer build` and export again")
        if not self.checks:
            found.append("whether checks passed: none were run; run `transfer check` and export again")
        return found


def read_card(warehouse: Warehouse, study: str, job_key: str, config: Mapping[str, Any]) -> Card:
    """Return what the warehouse knows of an adapter, by its training job and that job's configuration."""
    keys = {
        "study": study,
        "model": config["model"],
        "variant": config["variant"],
        "source": source_of(config),
    }
    tasks = [part["task"] for part in _parts(config)]
    with warehouse.connect(read_only=True) as connection:
        (job,) = _rows(connection, _JOB, {"tasks": tasks, "key": job_key}) or ({},)
        cells = _rows(connection, _CELLS, keys)
        placebo = _rows(connection, _PLACEBO, keys)
        checks = _rows(connection, _CHECKS, {"study": study})
    mean, number = tuple(placebo[0].values()) if placebo else (None, 0)
    return Card(study, job_key, config, job, cells, (mean, number) if number else None, checks)


def source_of(config: Mapping[str, Any]) -> str:
    """Return what a training was of: a mixture's name, or task/language."""
    return str(config.get("source_name") or f"{config['source_task']}/{config['source_language']}")


def _parts(config: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the parts of a mixture; of one source that alone."""
    alone = {"task": config["source_task"], "language": config["source_language"], "prompt": config.get("prompt")}
    return config.get("parts") or [alone]


def _rows(connection: duckdb.DuckDBPyConnection, query: str, values: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """Return rows by column; None where a table is not there, or is of another version."""
    try:
        return named_rows(connection.execute(query, dict(values)))
    except (duckdb.CatalogException, duckdb.BinderException):
        return None


def card(known: Card, base: str, commit: str | None) -> str:
    """Return the card as Markdown, with the metadata that the hub reads before it.

    Args:
        known: what it says.
        base: what PEFT loads the base by: a name on the hub, or a folder.
        commit: of the base on the hub.
    """
    from report.paper.markdown import escape  # seconds to import

    config = known.config
    source = source_of(config)
    model = str(config["model"]).rpartition("@")[0]
    sections = [
        _metadata(config, base if commit else None),
        f"# {escape(f'{model} tuned on {source}')}",
        f"A LoRA adapter of {escape(base)}{escape(f' at {commit}') if commit else ''}, seed {config['seed']}, variant "
        f"{escape(config['variant'])}, tuned by study {escape(known.study)} of Transfer Warehouse {__version__}.",
        "## Use",
        "```python\nfrom peft import AutoPeftModelForCausalLM\nfrom transformers import AutoTokenizer\n\n"
        'model = AutoPeftModelForCausalLM.from_pretrained("PATH_OF_THIS_FOLDER")\n'
        f"tokenizer = AutoTokenizer.from_pretrained({_quoted(base)}"
        f"{f', revision={_quoted(commit)}' if commit else ''})\n```",
        "## Gains and harms",
        *_effects(known, escape),
        "## Data",
        *_data(known, source, escape),
        "## Settings",
        _table(("setting", "value"), [(key, _shown(value)) for key, value in config["lora"].items()], escape),
        "## Checks",
        *_checks(known, escape),
        "## Provenance",
        f"Job `{known.job_key}`, finished {_shown(known.job.get('finished_at'))} UTC on "
        f"{escape(_shown(known.job.get('device')))} after {float(known.job.get('seconds') or 0):.0f} s, with "
        f"{escape(_versions(known.job.get('versions')))}.",
    ]
    return "\n\n".join(sections) + "\n"


def _metadata(config: Mapping[str, Any], base: str | None) -> str:
    languages = [part["language"] for part in _parts(config)]
    named = [language for language in dict.fromkeys(languages) if language not in _NO_LANGUAGE]
    values = {
        **({"base_model": base} if base else {}),
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        **({"language": named} if named else {}),
        "tags": ["lora", "cross-lingual-transfer"],
    }
    return f"---\n{yaml.safe_dump(values, allow_unicode=True, sort_keys=False)}---"


def _effects(known: Card, escape: Any) -> Iterator[str]:
    if not known.cells:
        yield f"Not known: {known.missing[0]}."
        return
    others = [cell for cell in known.cells if not cell["is_own"]]
    told = {verdict: sum(cell["verdict"] == verdict for cell in others) for verdict in ("gain", "harm", "none")}
    left = len(others) - sum(told.values())
    first = known.cells[0]
    seeds = f"means over {first['n_seeds']} seeds, of which this adapter is one" if first["n_seeds"] > 1 else "one seed"
    yield (
        f"Of {len(others)} targets besides its own cell {told['gain']} have a verdict of gain, {told['harm']} of harm, "
        f"{told['none']} of no change beyond {first['harm_threshold_pp']:g} points; {left} are undecided, which is not "
        f"the same as no harm. Numbers are {seeds}; intervals are of 95 %."
    )
    if known.placebo is not None:
        mean, number = known.placebo
        yield f"Tuned on permuted labels, the same source changes {number} targets by {mean:+.2f} points on average."
    heads = ("target", "metric", "base", "tuned", "change", "interval", "items", "verdict")
    yield _table(heads, [_line(cell) for cell in known.cells], escape)


def _line(cell: Mapping[str, Any]) -> tuple[str, ...]:
    own = " (own cell)" if cell["is_own"] else ""
    low, high, change = cell["ci_low"], cell["ci_high"], cell["delta"]
    return (
        cell["target"] + own,
        _shown(cell["metric"]),
        *("–" if cell[key] is None else f"{cell[key]:.3f}" for key in ("baseline_score", "score")),
        "–" if change is None else f"{change:+.2f} {cell['delta_unit']}",
        "–" if low is None or high is None else f"{low:+.2f} to {high:+.2f}",
        _shown(cell["n_items"]),
        _shown(cell["verdict"]),
    )


def _data(known: Card, source: str, escape: Any) -> Iterator[str]:
    config, job = known.config, known.job
    items = config.get("items", config.get("train_items"))
    parts = [f"{part['task']}/{part['language']}" for part in _parts(config)]
    facts = [
        ("tuned on", source if parts == [source] else f"{source}: {' + '.join(parts)}"),
        *([("shares", ", ".join(f"{part['share']:.3g}" for part in config["parts"]))] if config.get("parts") else []),
        ("training items", "all" if items is None else str(items)),
        ("prompt", ", ".join(dict.fromkeys(str(part["prompt"]) for part in _parts(config)))),
        ("licence of the data", _shown(job.get("licence"))),
        ("from", _shown(job.get("source_url"))),
        ("SHA-256 of the task's data", _shown(job.get("sha256"))),
    ]
    yield _table(("what", "value"), facts, escape)


def _checks(known: Card, escape: Any) -> Iterator[str]:
    if not known.checks:
        yield f"Not known: {known.missing[-1]}."
        return
    failed = [check for check in known.checks if not check["success"]]
    yield f"{len(known.checks)} checks of the study on {_shown(known.checks[0]['checked_at'])}: {len(failed)} failed."
    if failed:
        yield _table(("check", "severity"), [(check["expectation"], check["severity"]) for check in failed], escape)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], escape: Any) -> str:
    lines = [heads, ["---"] * len(heads)]
    text = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([*text, *("| " + " | ".join(map(escape, row)) + " |" for row in rows)])


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "–"
    return "–" if value is None else str(value)


def _quoted(text: str) -> str:
    """Return a text as Python writes it."""
    return json.dumps(text)


def _versions(text: Any) -> str:
    versions = json.loads(text) if isinstance(text, str) else {}
    return ", ".join(f"{name} {version}" for name, version in versions.items()) or "versions that are not known"
