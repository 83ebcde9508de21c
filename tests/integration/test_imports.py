"""Results of others become studies: whole, once, and refused with a line where they are damaged."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from compute.errors import UserError
from compute.importers import import_results
from compute.warehouse import Warehouse

ERRORS = ("score_norm_se", "score_norm_base_se", "delta_score_norm_se")


class Place:
    """A folder with a warehouse, and what was said."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[str] = []
        self.warehouse = Warehouse(folder / "w.duckdb", wait=0.0)

    def take(self, name: str, *files: Path, names: Path | None = None, study: str | None = None) -> None:
        import_results(name, files, names, study, self.warehouse, self.folder / "landing", self.said.append)

    def ask(self, sql: str) -> list[tuple[object, ...]]:
        with duckdb.connect(str(self.folder / "w.duckdb"), read_only=True) as connection:
            return connection.execute(sql).fetchall()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


# ---- donors-recipients ----


def published(model: str = "Qwen2.5-3B-Instruct", **changes: str) -> dict[str, str]:
    row = dict.fromkeys(ERRORS, "0.01") | {
        "model_name": model, "model_size": "3.09", "fine_tuned_dataset": "arc_challenge", "fine_tuned_language": "ar",
        "eval_dataset": "arc_challenge", "eval_language": "bn", "regime": "MT-CL", "score_norm_mean": "0.3075",
        "score_norm_base_mean": "0.3125", "delta_score_norm_mean": "-0.5", "n_seeds": "3",
    }  # fmt: skip
    return row | changes


def table(folder: Path, rows: list[dict[str, str]], name: str = "results.csv") -> Path:
    path = folder / name
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return path


ON_TASK = {"eval_language": "ar", "regime": "MT-ML", "score_norm_mean": "0.3425", "delta_score_norm_mean": "3.0"}


def test_published_deltas_are_taken_as_they_stand(place: Place) -> None:
    file = table(place.folder, [published(), published(**ON_TASK)])
    place.take("donors-recipients", file)
    place.take("donors-recipients", file)  # once more: nothing counts twice
    assert place.ask(
        "select target_language, delta_pp, delta_stderr, n_seeds from raw.aggregate_scores order by 1"
    ) == [
        ("ar", 3.0, 0.01, 3),
        ("bn", -0.5, 0.01, 3),
    ]
    assert place.ask("select study, origin from raw.studies") == [("donors-recipients", "donors-recipients")]
    assert place.ask("select model, family, parameters from raw.models") == [
        ("Qwen2.5-3B-Instruct@published", "qwen2", 3_090_000_000)
    ]
    assert any("1 models x 1 sources x 2 targets, 2 of 2 cells" in line for line in place.said)


def test_one_seed_has_no_error(place: Place) -> None:
    place.take("donors-recipients", table(place.folder, [published(n_seeds="1") | dict.fromkeys(ERRORS, "")]))
    assert place.ask("select delta_pp, delta_stderr, n_seeds from raw.aggregate_scores") == [(-0.5, None, 1)]


DAMAGE: dict[str, tuple[Callable[[list[dict[str, str]]], list[dict[str, str]]], str]] = {
    "column": (lambda rows: [{k: v for k, v in row.items() if k != "regime"} for row in rows], ":1: unknown column"),
    "regime": (lambda rows: [rows[0], published(**{**ON_TASK, "regime": "MT-CL"})], r":3: regime 'MT-CL'.*'MT-ML'"),
    "number": (lambda rows: [published(score_norm_se="n/a")], r":2: score_norm_se: expected a number, found 'n/a'"),
    "not finite": (lambda rows: [published(score_norm_se="nan")], r":2: score_norm_se: expected a number"),
    "percent": (lambda rows: [published(score_norm_mean="30.75")], r":2: score_norm_mean: expected a proportion"),
    "delta": (lambda rows: [published(delta_score_norm_mean="0.5")], r":2: delta_score_norm_mean is 0.5, but .* -0.5"),
    "twice": (lambda rows: [rows[0], rows[0]], r":3: the cell .* stands in line 2 already"),
    "empty key": (lambda rows: [published(eval_language=" ")], r":2: eval_language is empty"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_table_names_its_line(name: str, place: Place) -> None:
    damage, message = DAMAGE[name]
    file = table(place.folder, damage([published(), published(**ON_TASK)]))
    with pytest.raises(UserError, match=message):
        place.take("donors-recipients", file)
    assert not (place.folder / "w.duckdb").exists()


def test_the_released_rows(place: Place) -> None:
    shared = Path(__file__).parents[2].parent / "shared/examples/donors_recipients_rows.csv"
    if not shared.exists():
        pytest.skip("the example rows of the published table are not there")
    place.take("donors-recipients", shared)
    with shared.open(encoding="utf-8") as file:
        deltas = sorted(float(row["delta_score_norm_mean"]) for row in csv.DictReader(file))
    assert [row[0] for row in place.ask("select delta_pp from raw.aggregate_scores order by 1")] == deltas


# ---- lm-eval ----


def run_of_lm_eval(
    folder: Path, correct: list[bool], adapter: str | None = None, samples: bool = True, task: str = "toy_de"
) -> Path:
    """A results file, and samples, as lm-evaluation-harness 0.4 writes them; two choices of unequal length."""
    folder.mkdir(parents=True)
    arguments = {"pretrained": "org/small"} | ({"peft": adapter} if adapter else {})
    accuracy = sum(correct) / len(correct)
    results = {
        "results": {task: {"alias": task, "acc,none": accuracy, "acc_stderr,none": 0.1, "acc_norm,none": accuracy}},
        "configs": {task: {"doc_to_text": "{{q}}"}}, "n-samples": {task: {"effective": len(correct)}},
        "n-shot": {task: 0}, "config": {"model": "hf", "model_args": arguments, "model_sha": "abcdef0123"},
    }  # fmt: skip
    (folder / "results_2026-01-01T00-00-00.json").write_text(json.dumps(results))
    if samples:
        lines = [
            {
                "doc_id": number, "doc": {}, "target": "1", "filter": "none", "metrics": ["acc"],
                "arguments": {f"gen_args_{i}": {"arg_0": "q", "arg_1": word} for i, word in enumerate((" ja", " nö"))},
                "filtered_resps": [["-2.0", "False"], ["-1.0" if right else "-3.0", "False"]],
            }
            for number, right in enumerate(correct)
        ]  # fmt: skip
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / f"samples_{task}_2026-01-01T00-00-00.jsonl").write_text(text)
    return folder


def names(place: Place, text: str) -> Path:
    path = place.folder / "map.yml"
    path.write_text(text)
    return path


SOURCES = "adapters: {out/a: {source: toy/en, seed: 7}}\ntasks: {toy_de: toy/de}\nparallel: [toy]\n"


def test_samples_become_item_scores(place: Place) -> None:
    base = run_of_lm_eval(place.folder / "r/base", [True, False])
    tuned = run_of_lm_eval(place.folder / "r/tuned", [True, True], adapter="out/a")
    place.take("lm-eval", base, tuned, names=names(place, SOURCES), study="mine")
    assert place.ask(
        "select model, source_task, source_language, seed, item_id, gold, logprobs[2], char_counts, byte_counts "
        "from raw.item_scores order by source_task nulls first, item_id"
    ) == [
        ("small@abcdef01", None, None, None, "0", 1, -1.0, [2, 2], [2, 3]),
        ("small@abcdef01", None, None, None, "1", 1, -3.0, [2, 2], [2, 3]),
        ("small@abcdef01", "toy", "en", 7, "0", 1, -1.0, [2, 2], [2, 3]),
        ("small@abcdef01", "toy", "en", 7, "1", 1, -1.0, [2, 2], [2, 3]),
    ]
    assert place.ask("select distinct parallel_id from raw.items order by 1") == [("0",), ("1",)]
    assert place.ask("select kind, chance from raw.tasks where task = 'toy'") == [("choice", 0.5)]
    later = run_of_lm_eval(place.folder / "later", [False], task="toy_it")
    place.take("lm-eval", later, study="mine")
    assert place.ask("select count(*) from raw.study_jobs where study = 'mine'") == [(3,)], "earlier imports stay"


def test_results_without_samples_become_aggregates_beside_their_baseline(place: Place) -> None:
    base = run_of_lm_eval(place.folder / "r/base", [True, False], samples=False)
    tuned = run_of_lm_eval(place.folder / "r/tuned", [True, True], adapter="out/a", samples=False)
    place.take("lm-eval", base, tuned, names=names(place, SOURCES))
    assert place.ask(
        "select metric, baseline_score, score, delta_pp, n_items from raw.aggregate_scores order by 1"
    ) == [
        ("acc", 0.5, 1.0, 50.0, 2),
        ("acc_norm", 0.5, 1.0, 50.0, 2),
    ]


def test_what_the_harness_itself_writes_is_read(place: Place) -> None:
    """An answer that is text, arguments as lists, model_args as on the command line: older versions' files."""
    folder = run_of_lm_eval(place.folder / "r", [True])
    samples = next(folder.glob("samples_*"))
    sample = json.loads(samples.read_text())
    sample |= {
        "target": " nö".strip(),
        "arguments": [["q", " ja"], ["q", " nö"]],
        "filtered_resps": [[-2.0, False], [-1, True]],
    }
    samples.write_text(json.dumps(sample) + "\n")
    results = next(folder.glob("results_*"))
    content = json.loads(results.read_text())
    content["config"] = {"model_args": "pretrained=org/small,revision=v2", "model": "hf"}
    results.write_text(json.dumps(content))
    place.take("lm-eval", folder)
    assert place.ask("select model, gold, logprobs from raw.item_scores") == [("small@v2", 1, [-2.0, -1.0])]


def test_generated_answers(place: Place) -> None:
    folder = run_of_lm_eval(place.folder / "r", [True], task="sum_de")
    samples = next(folder.glob("samples_*"))
    line = {
        "doc_id": 0,
        "target": "12",
        "arguments": {},
        "filter": "strict",
        "metrics": ["exact_match"],
        "exact_match": 1.0,
    }
    loose = line | {"filter": "flexible", "filtered_resps": ["13"], "exact_match": 0.0}
    samples.write_text(json.dumps(line | {"filtered_resps": ["12"]}) + "\n" + json.dumps(loose) + "\n")
    place.take("lm-eval", folder)
    assert place.ask("select prediction, correct, logprobs from raw.item_scores") == [("12", True, None)]


def test_what_cannot_be_told_is_asked_for(place: Place) -> None:
    tuned = run_of_lm_eval(place.folder / "r/tuned", [True], adapter="out/b")
    with pytest.raises(UserError, match=r"unknown adapter 'out/b'; did you mean 'out/a'\?.*--map"):
        place.take("lm-eval", tuned, names=names(place, SOURCES))
    other = run_of_lm_eval(place.folder / "r/other", [True], task="toy_deu_Latn")
    with pytest.raises(UserError, match=r"task 'toy_deu_Latn': its language is not known; add `toy_deu_Latn: "):
        place.take("lm-eval", other)
    with pytest.raises(UserError, match=r"map.yml:1: adapters.out/a.seed: .*found 'x'"):
        place.take("lm-eval", tuned, names=names(place, "adapters: {out/a: {source: toy/en, seed: x}}"))
    (place.folder / "empty").mkdir()
    with pytest.raises(UserError, match=r"no results_\*.json"):
        place.take("lm-eval", place.folder / "empty")


@pytest.mark.parametrize(
    ("damage", "message"),
    [("{", "not a sample"), ('{"doc_id": 1}\n', "not a sample .*KeyError"), ("[]\n", "not a sample")],
)
def test_damaged_samples_name_their_line(damage: str, message: str, place: Place) -> None:
    folder = run_of_lm_eval(place.folder / "r", [True])
    samples = next(folder.glob("samples_*"))
    samples.write_text(samples.read_text() + damage)
    with pytest.raises(UserError, match=rf"samples_toy_de_.*:2: {message}"):
        place.take("lm-eval", folder)


def test_a_study_of_another_origin_is_not_touched(place: Place) -> None:
    place.take("donors-recipients", table(place.folder, [published()]), study="mine")
    with pytest.raises(UserError, match=r"'mine' is there already, with origin 'donors-recipients'"):
        place.take("lm-eval", run_of_lm_eval(place.folder / "r", [True]), study="mine")
    with pytest.raises(UserError, match=r"unknown importer 'lmeval'; did you mean 'lm-eval'\?"):
        place.take("lmeval", place.folder)


# ---- bli ----


def test_ranks_of_other_tools(place: Place) -> None:
    row = {"method": "VecMap", "pair": "it-fr", "size": "1000", "query": "cane", "gold": "chien", "rank": "1"}
    rows = [
        row,
        row,
        row | {"query": "la", "gold": "la", "rank": ""},
        row | {"pair": "fr-it", "size": "0", "rank": "2.5"},
    ]
    place.take("bli", table(place.folder, rows))
    assert place.ask(
        "select source_language, dictionary_size, pair_number, rank, is_duplicate, is_identical, retrieval "
        "from raw.bli_ranks order by source_language desc, pair_number"
    ) == [
        ("it", 1000, 0, 1.0, False, False, "cosine"),
        ("it", 1000, 1, 1.0, True, False, "cosine"),
        ("it", 1000, 2, None, False, True, "cosine"),
        ("fr", 0, 0, 2.5, False, False, "cosine"),
    ]


def test_rows_mean_what_they_say_or_their_number(place: Place) -> None:
    row = {"method": "VecMap", "pair": "it-fr", "size": "0", "query": "cane", "gold": "chien", "rank": "1"}
    place.take("bli", table(place.folder, [row | {"concept": concept} for concept in ("dog", " ", "dog")]))
    assert place.ask("select concept_id from raw.bli_ranks order by pair_number") == [("dog",), ("1",), ("dog",)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pair": "itfr"}, r":2: pair: expected two languages"),
        ({"rank": "0"}, r":2: rank: the best is 1"),
        ({"size": "1.5"}, r":2: size: expected a whole number"),
        ({"rank": "first"}, r":2: rank: expected a number"),
        ({"query": ""}, r":2: query is empty"),
    ],
)
def test_a_damaged_rank_names_its_line(change: dict[str, str], message: str, place: Place) -> None:
    row = {"method": "VecMap", "pair": "it-fr", "size": "1000", "query": "cane", "gold": "chien", "rank": "1"}
    with pytest.raises(UserError, match=message):
        place.take("bli", table(place.folder, [row | change]))
