"""`python -m tests.torture --work DIR`: kills, flipped bits and hostile inputs, against a run that nobody disturbed.

Resumable: what DIR holds of the same seed is not done again. Ends with 1 where anything was wrong.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from tests.torture import flips, hostile, kills
from tests.torture.project import ROOT, VERBS, Project, undisturbed

PAGE = ROOT / "docs" / "survival.md"
KILLS_AN_EPISODE = sum(kills.KILLS.values())


def main() -> int:
    """Torture, print, and write the page if asked."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description="kills and damage")
    parser.add_argument("--kills", type=int, default=200, help=f"kill -9, {KILLS_AN_EPISODE} in an episode")
    parser.add_argument("--flips", type=int, default=2000, help="bits flipped at the readers")
    parser.add_argument("--reruns", type=int, default=50, help="bits flipped before whole reruns")
    parser.add_argument("--hostile", type=int, default=20_000, help="damaged inputs at the readers")
    parser.add_argument("--seed", type=int, default=1, help="of all moments and places (default: 1)")
    parser.add_argument("--work", type=Path, required=True, help="folder where results are kept")
    parser.add_argument("--write-docs", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    asked = parser.parse_args()
    folder: Path = asked.work.resolve()
    whole, seconds = _whole(folder)
    episodes = -(-asked.kills // KILLS_AN_EPISODE)
    parts: dict[str, tuple[int, Callable[[int, int, Path], list[str]]]] = {
        "kills": (episodes, lambda number, seed, place: kills.episode(number, seed, place, whole, seconds)),
        "flips": (asked.flips, lambda number, seed, place: flips.at_a_reader(number, seed, place, whole)),
        "reruns": (asked.reruns, lambda number, seed, place: flips.through_a_rerun(number, seed, place, whole)),
        "hostile": (asked.hostile, hostile.at_a_reader),
    }
    wrong: dict[str, list[str]] = {}
    for name, (count, one) in parts.items():
        wrong[name] = _all(folder, name, asked.seed, count, one)
    counts = {name: count for name, (count, _) in parts.items()} | {"kills": episodes * KILLS_AN_EPISODE}
    if asked.write_docs:
        PAGE.write_text(_page(counts, wrong, asked.seed), encoding="utf-8")
    return int(any(wrong.values()))


def _whole(folder: Path) -> tuple[Project, dict[str, float]]:
    """Return the run that nobody disturbed, made once a folder."""
    mark = folder / "seconds.json"
    if not mark.exists():
        _, seconds = undisturbed(folder / "whole")
        mark.write_text(json.dumps(seconds), encoding="utf-8")
    return Project(folder / "whole"), json.loads(mark.read_text(encoding="utf-8"))


def _all(folder: Path, name: str, seed: int, count: int, one: Callable[[int, int, Path], list[str]]) -> list[str]:
    """Do what is left of one part, and return all that was wrong."""
    kept = folder / f"{name}-{seed}.jsonl"
    done = [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()] if kept.exists() else []
    for number in range(len(done), count):
        place = folder / f"{name}-now"
        shutil.rmtree(place, ignore_errors=True)
        done.append(one(number, seed, place))
        with kept.open("a", encoding="utf-8") as file:
            file.write(json.dumps(done[-1]) + "\n")
        for line in done[-1]:
            print(f"{name} {number}: {line}", flush=True)
        if (number + 1) % max(1, count // 10) == 0:
            print(f"{name}: {number + 1} of {count}", flush=True)
    return [line for found in done[:count] for line in found]


def _page(counts: dict[str, int], wrong: dict[str, list[str]], seed: int) -> str:
    texts = {
        "kills": f"kill −9 at random moments of {', '.join(VERBS[:-1])} and {VERBS[-1]}",
        "flips": "bits flipped where landed files, artifacts and the warehouse are read",
        "reruns": "bits flipped in landed files and artifacts, then computed again",
        "hostile": f"files damaged by value or by byte, given to the readers of {', '.join(hostile.READERS)}",
    }
    rows = [f"| {texts[name]} | {counts[name]:,} | {len(found)} |" for name, found in wrong.items()]
    lines = [line for found in wrong.values() for line in found]
    return "\n".join(
        [
            "# What a project survives",
            "",
            f"Written by `python -m tests.torture --seed {seed} --work DIR --write-docs` (`make torture`).",
            "",
            "| | times | wrong |",
            "|---|---|---|",
            *rows,
            "",
            "Wrong is: a row lost, doubled or other than in a run that nobody disturbed; a published file that is",
            "neither the old nor the new one; a file or a process left over; damage that is not found, or not named;",
            "any error but the one line that names the file, or a gigabyte of memory for some kilobytes.",
            *([""] if lines else []),
            *(f"* {line}" for line in lines),
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
