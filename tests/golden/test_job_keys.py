"""The keys of all jobs of all studies are those they had: what has landed is computed once.

Where numbers change, raise the plugin's version, and write the digests anew:
`python -m tests.golden.test_job_keys > tests/golden/job_keys.json`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from contextlib import chdir
from pathlib import Path

import pytest

from compute.engine.plan import study_jobs
from compute.importers.bli import read as read_ranks
from compute.importers.donors_recipients import read as read_cells
from compute.plugin import Job
from compute.study.file import read_study

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).with_name("job_keys.json")
STUDIES = sorted([*(ROOT / "studies").glob("*.yml"), *(ROOT / "tests" / "studies").glob("*.yml")])
RELEASED = ROOT.parent / "shared" / "examples" / "donors_recipients_rows.csv"

Digests = dict[str, list[int | str]]
"""By plugin: number of jobs, and SHA-256 over their sorted keys."""


def digests(jobs: Iterable[Job]) -> Digests:
    keys: dict[str, list[str]] = defaultdict(list)
    for job in jobs:
        keys[job.plugin].append(job.key)
    return {
        plugin: [len(found), hashlib.sha256("".join(sorted(found)).encode()).hexdigest()]
        for plugin, found in sorted(keys.items())
    }


def of_study(path: Path) -> Digests:
    return digests(study_jobs(read_study(path)).values())


def lines(path: Path, *records: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def write_world(folder: Path) -> Path:
    """Write the files of `every_part.yml` into `folder`, and return its place there."""
    for part, n in (("train", 12), ("dev", 4), ("test", 6)):
        for language in ("de", "fr") if part == "test" else ("de",):
            rows = [
                {"item_id": f"{part}{i}", "context": f"{part} {i} + 1 =", "choices": ["0", str(i + 1)], "gold": 1}
                for i in range(n)
            ]
            lines(folder / "data" / "mine" / language / f"{part}.jsonl", *rows)
    lines(folder / "checkpoint" / "config.json", {"model_type": "llama"})
    for language in ("de", "fr"):
        vectors = "".join(f"{language}{i} {i}.5 {i * i % 7}.25 1.0\n" for i in range(40))
        (folder / f"v.{language}.vec").write_text(f"40 3\n{vectors}")
        (folder / f"text.{language}.txt").write_text(
            "".join(f"{language}{i} ist {language}{i + 1}\n" for i in range(40))
        )
    for part, numbers in (("train", range(20)), ("test", range(20, 30))):
        (folder / f"de-fr.{part}.tsv").write_text("".join(f"de{i}\tfr{i}\n" for i in numbers))
    for language, part in (("de", "train"), ("fr", "test")):
        texts = [{"item_id": i, "text": f"{language}{i} {language}{i + 1}", "label": f"l{i % 2}"} for i in range(8)]
        lines(folder / "documents" / language / f"{part}.jsonl", *texts)
        pairs = [
            {"item_id": i, "premise": f"{language}{i}", "hypothesis": f"{language}{i}", "label": f"l{i % 2}"}
            for i in range(8)
        ]
        lines(folder / "pairs" / language / f"{part}.jsonl", *pairs)
    lines(folder / "search" / "fr" / "documents.jsonl", *({"item_id": f"d{i}", "text": f"fr{i}"} for i in range(5)))
    lines(folder / "search" / "de" / "queries.jsonl", {"item_id": "q", "text": "de1", "relevant": ["d1"]})
    return Path(shutil.copy(Path(__file__).with_name("every_part.yml"), folder / "every_part.yml"))


def of_every_part() -> Digests:
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        return of_study(write_world(Path(folder)))


def of_imports() -> Digests:
    with tempfile.TemporaryDirectory() as folder:
        ranks = Path(folder, "ranks.csv")
        ranks.write_text(
            "method,pair,size,query,gold,rank\nproc,en-de,5,a,b,1\nproc,en-de,5,c,d,\nproc,en-fr,5,a,b,2\n"
        )
        found = [one.job for one in read_ranks([ranks], None, lambda text: None).jobs]
    if RELEASED.exists():
        found += [one.job for one in read_cells([RELEASED], None, lambda text: None).jobs]
    return digests(found)


def golden(name: str) -> Digests:
    found: Digests = json.loads(GOLDEN.read_text())[name]
    return found


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_studys_keys_are_those_it_had(path: Path) -> None:
    assert of_study(path) == golden(path.stem)


def test_keys_of_what_our_studies_leave_alone_are_those_they_had() -> None:
    assert of_every_part() == golden("every_part")


@pytest.mark.skipif(not RELEASED.exists(), reason="../shared/examples is not there")
def test_keys_of_imports_are_those_they_had() -> None:
    assert of_imports() == golden("imports")


if __name__ == "__main__":
    os.environ.pop("TRANSFER_MIRROR", None)
    everything = {path.stem: of_study(path) for path in STUDIES}
    json.dump(everything | {"every_part": of_every_part(), "imports": of_imports()}, sys.stdout, indent=1)
    print()
