"""XNLI's way from a study to its rows, over vectors of real text: a generated set in the user's own files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from compute.embeddings.dictionary import covered_rows
from compute.embeddings.downstream.xnli import LABELS
from compute.engine.plan import study_jobs
from compute.errors import JobError
from compute.plugin import Context, load_plugin
from compute.store.artifacts import ArtifactStore
from compute.study.file import read_study
from tests.helpers.golden import DICTIONARIES, GOLDEN, both, dictionary, needs_golden

pytestmark = needs_golden

PAIR, WORDS = ("it", "fr"), 40
ESIM = {"hidden": 32, "epochs": 8, "learning_rate": 0.005, "dropout": 0}


def sentence_pairs(rng: np.random.Generator, words: list[str], n: int) -> list[dict[str, Any]]:
    """Premises of three words and a hypothesis of one: it is among them, or of the first half of `words`, or of the
    second. Which half is a matter of where the word is, and is not to be known by a wrong map."""
    found = []
    for number in range(n):
        premise = rng.permutation(len(words))[:3]
        others = np.setdiff1d(np.arange(len(words)), premise)
        label = int(rng.integers(3))
        among = (premise, others[others < len(words) // 2], others[others >= len(words) // 2])[label]
        found.append(
            {
                "item_id": str(number),
                "premise": " ".join(words[one] for one in premise),
                "hypothesis": words[rng.choice(among)],
                "label": LABELS[label],
            }
        )
    return found


def test_what_is_learnt_in_italian_holds_in_french(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = dictionary("-".join(PAIR), "train.freq.5k")
    covered, _ = covered_rows(*both("-".join(PAIR)), rows, "the training dictionary")
    plain = [rows[i] for i in covered if rows[i].source.isalpha() and rows[i].target.isalpha()]
    known = {row.source: row.target for row in plain}  # the frequent words that the map is learnt from
    lexicon = [list(words)[:WORDS] for words in (known.keys(), known.values())]
    rng = np.random.default_rng(0)
    for language, words, part, n in (("it", lexicon[0], "train", 1_500), ("fr", lexicon[1], "test", 300)):
        path = tmp_path / "nli" / language / f"{part}.jsonl"
        path.parent.mkdir(parents=True)
        path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in sentence_pairs(rng, words, n)))
    published = str(DICTIONARIES / "{source}-{target}" / "yacle.PART.{source}-{target}.tsv")
    embeddings = {
        "vectors": {"bible": {"path": str(GOLDEN / "vectors" / "bible.{language}.100d.vec.gz"), "fold_case": True}},
        "languages": list(PAIR),
        "pairs": "once",
        "methods": ["proc"],
        "dictionaries": {
            "train": published.replace("PART", "train.freq.5k"),
            "test": published.replace("PART", "test.freq.2k"),
        },
        "dictionary_sizes": [5_000],
        "downstream": [
            {
                "task": "xnli",
                "collection": "folder",
                "folder": "nli",
                "classifiers": [{"name": "esim", "settings": ESIM}],
            }
        ],
    }
    (tmp_path / "study.yml").write_text(yaml.safe_dump({"study": "test", "embeddings": embeddings}))
    jobs = list(study_jobs(read_study(tmp_path / "study.yml")).values())
    context = Context("cpu", ArtifactStore(tmp_path / "artifacts"))
    landed: dict[str, Any] = {}
    for plugin in ("vectors", "mapping", "xnli"):
        for job, outcome in load_plugin(plugin).run([job for job in jobs if job.plugin == plugin], context):
            assert not isinstance(outcome, JobError), outcome
            landed |= {job.plugin: outcome}
    answers = landed["xnli"]["downstream_items"]
    assert len(answers) == 300 and all(row["known_words"] == row["words"] == 4 for row in answers)
    of_a_half = [row["gold"] == row["prediction"] for row in answers if row["gold"] != LABELS[0]]
    assert np.mean(of_a_half) > 0.75  # about .5 by a map of no sense
