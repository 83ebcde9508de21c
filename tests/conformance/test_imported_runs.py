"""What lm-evaluation-harness writes with `--log_samples` is imported, built, audited, published and asked, and every
score is the harness's own: plain choices and those whose scoring the items do not show."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
import torch
import yaml

from tests.helpers.families import save_tiny

pytest.importorskip("lm_eval", reason="the extra lm-eval is not installed")

ROOT = Path(__file__).parents[2]
WORDS = ["warm", "kalt", "nass", "Rom", "Paris und der", "es ist"]
GENERATED = {"until": ["\n"], "max_gen_toks": 4, "do_sample": False}
OWN_SCORING = """
import math

def weighted(doc, results):
    p = [math.exp(likelihood) for likelihood, _ in results]
    return {"acc": (p[0] + p[2]) / sum(p)}

def overlap(doc, results):
    answer, right = set(results[0]), set(doc["word"])
    same = len(answer & right)
    return {"f1": (1 + 2 * same) / (1 + len(answer) + len(right))}
"""
ITEMS = ("arc", "mutual", "exact", "lines")
"""Tasks whose items give the harness's scores."""


def settings(name: str) -> dict[str, Any]:
    """What a task's YAML says beyond the usual."""
    generates = {
        "output_type": "generate_until",
        "doc_to_choice": None,
        "doc_to_target": "{{word}}",
        "generation_kwargs": GENERATED,
    }
    return {
        "arc": {"metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}]},
        "lines": {"target_delimiter": "\n", "metric_list": [{"metric": "acc_norm"}, {"metric": "acc_bytes"}]},
        "mutual": {"metric_list": [{"metric": "acc"}, {"metric": "acc_mutual_info"}]},
        "several": {"doc_to_target": "golds", "metric_list": [{"metric": "acc"}]},
        "weighted": {"metric_list": [{"metric": "acc"}], "process_results": "weighted"},
        "exact": generates | {"metric_list": [{"metric": "exact_match"}]},
        "chrf": generates | {"metric_list": [{"metric": "chrf"}]},
        "f1": generates
        | {"metric_list": [{"metric": "f1", "aggregation": "mean", "higher_is_better": True}]}
        | {"process_results": "overlap"},
        "last_word": {
            "output_type": "loglikelihood",
            "doc_to_choice": None,
            "doc_to_target": " {{word}}",
            "metric_list": [{"metric": "acc"}],
        },
        "text": {
            "output_type": "loglikelihood_rolling",
            "doc_to_choice": None,
            "doc_to_text": "",
            "doc_to_target": "{{text}}",
            "metric_list": [{"metric": "byte_perplexity"}],
        },
    }[name]


TASKS = ("arc", "lines", "mutual", "several", "weighted", "exact", "chrf", "f1", "last_word", "text")


def write_task(folder: Path, name: str, language: str) -> None:
    whole = {
        "task": f"{name}_{language}",
        "dataset_path": "json",
        "dataset_kwargs": {
            "data_files": {"test": str(folder / f"{language}.jsonl")},
            "cache_dir": str(folder / "cache"),
        },
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "{{context}}",
        "doc_to_choice": "choices",
        "doc_to_target": "gold",
    }
    whole |= settings(name)
    own = whole.pop("process_results", None)
    text = yaml.safe_dump({key: value for key, value in whole.items() if value is not None})
    if own:
        text += f"process_results: !function scoring.{own}\n"
    (folder / f"{name}_{language}.yaml").write_text(text)


def write_tasks(folder: Path) -> list[str]:
    """A group, and the names of the other tasks, in two languages of twelve items each."""
    folder.mkdir()
    (folder / "scoring.py").write_text(OWN_SCORING)
    for language in ("de", "en"):
        documents = [
            {
                "context": f"{language} {i}: Heute ist es",
                "choices": [WORDS[(i + j) % 6] for j in range(3)],
                "gold": i % 3,
                "golds": [i % 3, (i + 1) % 3],
                "word": WORDS[i % 6],
                "text": f"{i} Heute ist es {WORDS[i % 6]}.",
            }
            for i in range(12)
        ]
        (folder / f"{language}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in documents))
        for name in TASKS:
            write_task(folder, name, language)
    group = {
        "group": "arcs",
        "task": ["arc_de", "arc_en"],
        "aggregate_metric_list": [{"metric": "acc", "weight_by_size": True}],
    }
    (folder / "arcs.yaml").write_text(yaml.safe_dump(group))
    return ["arcs", *(f"{name}_{language}" for name in TASKS[1:] for language in ("de", "en"))]


def evaluate(place: Path, tasks: list[str], out: Path, **arguments: str) -> dict[str, Any]:
    """A run of the harness, and its files, as its command line makes them."""
    from lm_eval import simple_evaluate
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.tasks import TaskManager

    tracker = EvaluationTracker(output_path=str(out))
    found = simple_evaluate(
        "hf",
        model_args={"pretrained": str(place / "model"), "dtype": "float32", **arguments},
        tasks=tasks,
        device="cpu",
        batch_size=1,
        log_samples=True,
        bootstrap_iters=10,
        task_manager=TaskManager(include_path=str(place / "tasks"), include_defaults=False),
        evaluation_tracker=tracker,
    )
    samples = found.pop("samples")
    tracker.save_results_aggregated(results=found, samples=samples)
    for name in found["configs"]:
        tracker.save_results_samples(task_name=name, samples=samples[name])
    results: dict[str, Any] = found["results"]
    return results


@dataclass(frozen=True)
class Imported:
    """The harness's own results by seed (None: the base model), and a folder with the warehouse that has them."""

    results: Mapping[int | None, Mapping[str, Any]]
    folder: Path
    said: str

    def transfer(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return transfer(self.folder, *arguments)

    def ask(self, sql: str, path: str = "w.duckdb") -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.folder / path), read_only=True) as connection:
            return connection.execute(sql).fetchall()


def transfer(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "compute.cli", *arguments, "--warehouse", "w.duckdb"],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Imported:
    """A base model and two adapters: run, imported, built."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    place = tmp_path_factory.mktemp("harness")
    save_tiny("llama", place / "model")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("datasets.config.HF_HUB_OFFLINE", True)
        patch.setenv("DISABLE_MULTIPROC", "1")  # the harness would fork for its bootstrap, from among our threads
        tasks = write_tasks(place / "tasks")
        results: dict[int | None, Any] = {None: evaluate(place, tasks, place / "results/base.json")}
        for seed in (1, 2):
            torch.manual_seed(seed)
            lora = LoraConfig(r=4, target_modules=["q_proj", "v_proj", "o_proj"], init_lora_weights=False)
            model = get_peft_model(AutoModelForCausalLM.from_pretrained(place / "model"), lora)
            model.save_pretrained(place / f"adapter-{seed}")
            results[seed] = evaluate(place, tasks, place / "results", peft=str(place / f"adapter-{seed}"))
    lines = [f"  {place}/adapter-{seed}: {{source: arc/de, seed: {seed}}}\n" for seed in (1, 2)]
    lines += ["parallel: [arc]\n", f"models: {{{place}/model: m@1}}\n"]
    (place / "map.yml").write_text("adapters:\n" + "".join(lines))
    said = transfer(place, "import", "lm-eval", "results", "--map", "map.yml", "--study", "mine")
    assert said.returncode == 0, said.stderr
    dbt = str(Path(sys.executable).with_name("dbt"))
    built = subprocess.run(
        [dbt, "build", "--quiet", "--target-path", str(place / "target"), "--log-path", str(place / "logs")],
        cwd=ROOT, env=os.environ | {"WAREHOUSE": str(place / "w.duckdb")}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stdout + built.stderr
    return Imported(results, place, said.stderr)


def test_every_score_is_the_harness_s(imported: Imported) -> None:
    expected = {
        (seed, *name.rsplit("_", 1), key.partition(",")[0]): value
        for seed, results in imported.results.items()
        for name, found in results.items()
        for key, value in found.items()
        if name != "arcs" and "," in key and "_stderr" not in key
    }
    rows = imported.ask("select seed, target_task, target_language, metric, score from marts.fct_scores")
    scores = {(seed, *rest[:3]): rest[3] for seed, *rest in rows}
    assert len(expected) == 3 * 2 * 13
    assert {key: scores[key] for key in expected} == pytest.approx(expected, abs=1e-9)
    assert len({value for (_, task, *_), value in expected.items() if task == "arc"}) > 1, "scores that say something"


def test_items_are_taken_where_they_give_the_scores_and_elsewhere_it_is_said(imported: Imported) -> None:
    rows = imported.ask("select target_task, count(*) from raw.item_scores group by 1")
    assert dict(rows) == dict.fromkeys(ITEMS, 3 * 2 * 12)
    for name in set(TASKS) - set(ITEMS):
        assert f"{name}_de is imported by its scores, not item by item: " in imported.said
    assert imported.ask("select distinct n_items, n_seeds from marts.fct_transfer") == [(12, 2)]
    assert imported.ask("select count(*) from raw.items") == [(len(ITEMS) * 2 * 12,)], "once, not once a run"


def test_differences_have_the_unit_and_the_direction_of_their_metric(imported: Imported) -> None:
    rows = imported.ask(
        "select target_task, metric, delta_unit, higher_is_better, delta_pp is null, "
        "abs(delta - case when delta_unit = 'pp' then 100 else 1 end * (score - baseline_score)) < 1e-9 "
        "from marts.fct_transfer where target_language = 'en'"
    )
    found = {task: rest for task, *rest in rows}
    assert found.pop("text") == ["byte_perplexity", "byte_perplexity", False, True, True]
    assert found.pop("chrf") == ["chrf", "chrf", True, True, True]
    assert found.pop("f1") == ["f1", "pp", True, False, True]
    assert found.pop("exact") == ["exact_match", "pp", True, False, True]
    assert found.pop("lines") == ["acc_norm", "pp", True, False, True]
    assert set(map(tuple, found.values())) == {("acc", "pp", True, False, True)}


def test_it_is_audited_published_and_asked(imported: Imported) -> None:
    checked = imported.transfer("check", "--study", "mine")
    assert checked.returncode == 0, checked.stderr
    assert imported.ask("select count(*) > 0 from marts.fct_transfer", "published/warehouse.duckdb") == [(True,)]
    advice = imported.transfer("advise", "--study", "mine", "--target", "arc/en")
    assert advice.returncode == 0 and "arc/de" in advice.stdout, advice.stderr
