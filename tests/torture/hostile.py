"""Inputs as a fuzzer makes them: read to the end, or refused with an error that names the file."""

from __future__ import annotations

import copy
import csv
import io
import json
import random
import resource
import shutil
import traceback
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import yaml

from compute.embeddings.dictionary_files import read_dictionary
from compute.embeddings.reading import read_vectors
from compute.engine.plan import study_jobs
from compute.errors import JobError, UserError
from compute.importers import import_results
from compute.store.warehouse import Warehouse
from compute.study.file import read_study
from tests.golden.test_job_keys import write_world
from tests.torture.project import STUDY

MEMORY_MIB = 1024
"""More than this is a blow-up: no input here has more than some kilobytes."""

VALUES: tuple[Any, ...] = (
    None, True, "", " ", "\0", "nan", "-0", "x" * 5000, "../../etc", "null", "2020-99-99", "1e999", "ünï\u2028\ud7ff",
    0, -1, 2, 0.5, 1e308, 5e-324, 10**9, 10**20, 10**400, -(2**63), float("nan"), float("inf"), -float("inf"), [], {},
    [[]], [None], {"": ""}, [0] * 50, {"a": {"b": {"c": []}}}, ["a", "a"], {"name": "x"}, "{{x}}", "[", "de",
    ["de"], "1.0",
)  # fmt: skip
BYTES = (
    b"", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\x1f\x8b", b"PK\x03\x04", b"\r", b"\n\n", b"\t", b" ", b'"', b"'", b",",
    b"nan", b"-inf", b"1e999", b"99999999999999999999", b"-1", b"5000000", b"{", b"[" * 2000, b"&a *a",
    b"!!python/name:os", b"\xe2\x80\xa8", b"\xed\xa0\x80", b"x" * 70_000,
)  # fmt: skip


# ---- how an input is damaged ----
def with_a_value(tree: Any, draw: random.Random) -> Any:
    """Return a copy of a tree of mappings and lists in which one place has another value, or none, or twice one."""
    tree = copy.deepcopy(tree)
    places = list(_places(tree))
    within, key = draw.choice(places)
    how = draw.randrange(6)
    if how == 0:
        del within[key]
    elif how == 1 and isinstance(within, dict):
        within[draw.choice(["", "x", f"{key}s", f"{key}"[:-1], "study", "0"])] = within.pop(key)
    elif how == 2 and isinstance(within, list):
        within.insert(key, copy.deepcopy(within[key]))
    elif how == 3:
        other, other_key = draw.choice(places)
        within[key] = copy.deepcopy(other[other_key])
    else:
        within[key] = draw.choice(VALUES)
    return tree


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    for key, value in list(tree.items() if isinstance(tree, dict) else enumerate(tree)):
        yield tree, key
        if isinstance(value, dict | list):
            yield from _places(value)


def with_other_bytes(content: bytes, draw: random.Random) -> bytes:
    """Return a file's content with some of it lost, doubled, flipped, or replaced by what readers stumble over."""
    for _ in range(draw.choice([1, 1, 1, 2, 5])):
        begin, end = sorted(draw.randrange(len(content) + 1) for _ in range(2))
        end = min(end, begin + draw.choice([0, 1, 4, 40]))
        how = draw.randrange(5)
        if how == 0:
            content = content[:begin]
        elif how == 1:
            content = content[:end] + content[begin:]
        elif how == 2 and begin < len(content):
            content = content[:begin] + bytes([content[begin] ^ 1 << draw.randrange(8)]) + content[begin + 1 :]
        else:
            content = content[:begin] + draw.choice(BYTES) + content[end:]
    return content


def _text(tree: Any, draw: random.Random, write: Callable[[Any], str]) -> bytes:
    """Write a tree, damaged by value or by byte."""
    if draw.random() < 0.75:
        for _ in range(draw.choice([1, 1, 2])):
            if tree:
                tree = with_a_value(tree, draw)
        return write(tree).encode("utf-8", "surrogatepass")
    return with_other_bytes(write(tree).encode(), draw)


def _yaml(tree: Any) -> str:
    return yaml.safe_dump(tree, allow_unicode=True, sort_keys=False)


def _json_lines(records: list[Any]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def _csv(rows: list[Any]) -> str:
    written = io.StringIO()
    csv.writer(written).writerows(row if isinstance(row, list) else [row] for row in rows)
    return written.getvalue()


# ---- what reads them ----
def a_study(draw: random.Random, folder: Path) -> None:
    """Read and plan a study file."""
    file = write_world(folder) if draw.random() < 0.6 else Path(shutil.copy(STUDY, folder / "tiny.yml"))
    tree = yaml.safe_load(file.read_text())
    tree.pop("seeds", None) if draw.random() < 0.1 else None
    file.write_bytes(_text(tree, draw, _yaml))
    study_jobs(read_study(file))


def a_task_folder(draw: random.Random, folder: Path) -> None:
    """Plan a study over a task's own items."""
    study = write_world(folder)
    file = draw.choice(sorted((folder / "data").rglob("*.jsonl")))
    records = [json.loads(line) for line in file.read_text().splitlines()]
    file.write_bytes(_text(records, draw, _json_lines))
    study_jobs(read_study(study))


def vectors(draw: random.Random, folder: Path) -> None:
    """Read word vectors in text or binary."""
    words = [f"w{i}" for i in range(draw.choice([1, 20, 200]))]
    if draw.random() < 0.5:
        head = f"{len(words)} 3\n" if draw.random() < 0.5 else ""
        content = (head + "".join(f"{word} 0.5 -1.25 {i}\n" for i, word in enumerate(words))).encode()
    else:
        content = f"{len(words)} 3\n".encode() + b"".join(word.encode() + b" " + bytes(12) + b"\n" for word in words)
    file = folder / "v.vec"
    file.write_bytes(with_other_bytes(content, draw))
    read_vectors(file, draw.choice(["auto", "auto", "text", "binary", "fasttext"]), draw.choice([None, 10]))


def a_dictionary(draw: random.Random, folder: Path) -> None:
    """Read a bilingual dictionary."""
    separator = draw.choice(["tab", "space"])
    between = "\t" if separator == "tab" else " "
    file = folder / "d.tsv"
    file.write_bytes(with_other_bytes("".join(f"a{i}{between}b{i}\n" for i in range(20)).encode(), draw))
    read_dictionary(file, ("en", "de"), draw.random() < 0.5, separator=separator)


def ranks(draw: random.Random, folder: Path) -> None:
    """Import ranks of another mapping tool."""
    rows = [["method", "pair", "size", "query", "gold", "rank", "retrieval", "seed", "is_leaked", "concept"]]
    rows += [["proc", "en-de", "5", f"q{i}", f"g{i}", str(i + 1), "csls", "1", "false", f"c{i}"] for i in range(5)]
    file = folder / "ranks.csv"
    file.write_bytes(_text(rows, draw, _csv))
    _import("bli", [file], None, folder)


def published_cells(draw: random.Random, folder: Path) -> None:
    """Import cells in the layout of the published table."""
    file = folder / "cells.csv"
    file.write_bytes(_text([list(PUBLISHED), list(PUBLISHED.values())], draw, _csv))
    _import("donors-recipients", [file], None, folder)


def harness_results(draw: random.Random, folder: Path) -> None:
    """Import what lm-evaluation-harness wrote of a base and an adapter, with samples, and a map."""
    results = {
        "results": {"toy_de": {"alias": "toy_de", "acc,none": 0.5, "acc_stderr,none": 0.2}},
        "configs": {"toy_de": {"doc_to_text": "{{q}}", "output_type": "multiple_choice", "metric_list": [
            {"metric": "acc", "aggregation": "mean", "higher_is_better": True}]}},
        "n-shot": {"toy_de": 0}, "n-samples": {"toy_de": {"original": 9, "effective": 4}},
        "higher_is_better": {"toy_de": {"acc": True}}, "versions": {"toy_de": 1}, "group_subtasks": {},
        "config": {"model": "hf", "model_args": {"pretrained": "org/small"}, "model_sha": "abcdef0123"},
    }  # fmt: skip
    samples = [
        {
            "doc_id": i, "doc": {"q": "x"}, "target": "1", "filter": "none", "metrics": ["acc"], "acc": float(i % 2),
            "arguments": {f"gen_args_{k}": {"arg_0": "q", "arg_1": word} for k, word in enumerate([" ja", " no"])},
            "filtered_resps": [["-2.0", "False"], ["-1.0" if i % 2 else "-3.0", "False"]],
        }
        for i in range(4)
    ]  # fmt: skip
    names: Any = {"adapters": {"out/a": {"source": "toy/en", "seed": 7}}, "tasks": {"toy_de": "toy/de"}}
    damaged = draw.randrange(3)
    stamp = "2026-01-01T00-00-00.000001"
    for name, adapter in (("base", None), ("tuned", "out/a")):
        place = folder / name
        place.mkdir()
        whole = copy.deepcopy(results)
        if adapter:
            whole["config"]["model_args"]["peft"] = adapter
        hit = adapter is not None or draw.random() < 0.3
        content = _text(whole, draw, json.dumps) if damaged == 0 and hit else json.dumps(whole).encode()
        (place / f"results_{stamp}.json").write_bytes(content)
        content = _text(samples, draw, _json_lines) if damaged == 1 and hit else _json_lines(samples).encode()
        if draw.random() < 0.8:
            (place / f"samples_toy_de_{stamp}.jsonl").write_bytes(content)
    map_file = folder / "map.yml"
    map_file.write_bytes(_text(names, draw, _yaml) if damaged == 2 else _yaml(names).encode())
    _import("lm-eval", [folder / "base", folder / "tuned"], map_file, folder)


PUBLISHED = {
    "model_name": "Qwen2.5-3B-Instruct", "model_size": "3.09", "fine_tuned_dataset": "arc_challenge",
    "fine_tuned_language": "ar", "eval_dataset": "arc_challenge", "eval_language": "bn", "regime": "MT-CL",
    "score_norm_mean": "0.3075", "score_norm_std": "0.01", "score_norm_base_mean": "0.3125",
    "score_norm_base_std": "0.01", "delta_score_norm_mean": "-0.5", "delta_score_norm_std": "0.66", "n_seeds": "3",
    "score_norm_se": "0.0066", "score_norm_base_se": "0.0087", "delta_score_norm_se": "0.38",
}  # fmt: skip


def _import(importer: str, files: list[Path], map_file: Path | None, folder: Path) -> None:
    warehouse = Warehouse(folder / "w.duckdb", wait=0.0)
    import_results(importer, files, map_file, None, warehouse, folder / "landing", lambda line: None)


READERS: dict[str, tuple[Callable[[random.Random, Path], None], tuple[type[Exception], ...]]] = {
    "study": (a_study, (UserError,)),
    "task folder": (a_task_folder, (UserError,)),
    "vectors": (vectors, (ValueError, OSError)),
    "dictionary": (a_dictionary, (ValueError,)),
    "ranks": (ranks, (UserError,)),
    "published cells": (published_cells, (UserError,)),
    "harness results": (harness_results, (UserError,)),
}
"""What reads, and the errors by which it may refuse."""


def at_a_reader(number: int, seed: int, folder: Path) -> list[str]:
    """Give one reader one damaged input; return what was wrong: another error, several lines, or too much memory."""
    name = list(READERS)[number % len(READERS)]
    read, refusals = READERS[name]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    said = f"{name}, input {number} of seed {seed}"
    try:
        with chdir(folder):
            read(random.Random(f"hostile {seed} {number}"), folder)
    except (*refusals, JobError) as error:
        if not str(error).strip() or isinstance(error, UnicodeError):
            return [f"{said}: {type(error).__name__} {error}"]
    except Exception as error:
        return [f"{said}: {type(error).__name__}: {error} | {traceback.format_exc(limit=-7)}"]
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    return [f"{said}: {grown} MiB"] if grown > MEMORY_MIB else []
