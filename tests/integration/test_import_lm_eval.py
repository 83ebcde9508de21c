"""Results of lm-evaluation-harness: every layout, and what decides between items and scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from compute.errors import UserError
from tests.helpers.importing import Place
from tests.helpers.lm_eval_files import SOURCES, STAMP, answers, choices, run, said


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


# ---- what is read ----


def test_samples_become_items_once_and_scores_of_every_run(place: Place) -> None:
    base = run(place.folder / "r/base", choices([True, False]))
    tuned = run(place.folder / "r/tuned", choices([True, True]), adapter="out/a")
    place.take("lm-eval", base, tuned, names=place.write("map.yml", SOURCES), study="mine")
    assert place.ask(
        "select model, source_task, source_language, seed, item_id, gold, logprobs[2], char_counts, byte_counts "
        "from raw.item_scores order by source_task nulls first, item_id"
    ) == [
        ("small@abcdef01", None, None, None, "0", 1, -1.0, [2, 2], [2, 3]),
        ("small@abcdef01", None, None, None, "1", 1, -3.0, [2, 2], [2, 3]),
        ("small@abcdef01", "toy", "en", 7, "0", 1, -1.0, [2, 2], [2, 3]),
        ("small@abcdef01", "toy", "en", 7, "1", 1, -1.0, [2, 2], [2, 3]),
    ]
    assert place.ask("select item_id, parallel_id from raw.items order by 1") == [("0", "0"), ("1", "1")]
    assert place.ask("select kind, chance, primary_metric from raw.tasks where task = 'toy'") == [
        ("choice", 0.5, "acc")
    ]
    assert place.ask("select score, score_stderr from raw.aggregate_scores order by 1") == [(0.5, 0.1), (1.0, 0.1)]
    later = run(place.folder / "later", choices([False]), task="toy_it")
    place.take("lm-eval", later, study="mine")
    scored = "select count(*) from raw.study_jobs where study = 'mine' and (config ->> '$.target_task') is not null"
    assert place.ask(scored) == [(3,)], "earlier imports stay"


def test_results_without_samples_become_aggregates_beside_their_baseline(place: Place) -> None:
    base = run(place.folder / "r/base", None, {"acc,none": 0.5, "acc_norm,none": 0.25})
    tuned = run(place.folder / "r/tuned", None, {"acc,none": 1.0, "acc_norm,none": 0.5}, adapter="out/a")
    place.take("lm-eval", base, tuned, names=place.write("map.yml", SOURCES))
    assert place.ask(
        "select metric, baseline_score, score, delta_pp, delta, delta_unit, n_items from raw.aggregate_scores "
        "order by source_task nulls last, metric"
    ) == [
        ("acc", 0.5, 1.0, 50.0, 50.0, "pp", 4),
        ("acc_norm", 0.25, 0.5, 25.0, 25.0, "pp", 4),
        ("acc", None, 0.5, None, None, "pp", 4),
        ("acc_norm", None, 0.25, None, None, "pp", 4),
    ]


OLD = "pretrained=org/small,dtype=float32"
LAYOUTS: dict[str, dict[str, Any]] = {
    "folder": {},
    "output path x.json": {"file": f"x_{STAMP}.json"},
    "before 0.4.3": {
        "file": "results.json", "arguments": OLD,
        "samples_file": "pretrained__org__small,dtype__float32_toy_de.jsonl",
    },
    "before 0.4.3, output path x.json": {
        "file": "x.json", "arguments": OLD, "samples_file": "pretrained__org__small,dtype__float32_toy_de.jsonl",
    },
    "0.4.0, output path x.jsonl": {
        "file": "x.jsonl", "arguments": OLD, "samples_file": "pretrained__org__small,dtype__float32_toy_de.jsonl",
    },
}  # fmt: skip


@pytest.mark.parametrize("by_name", [False, True], ids=["folder given", "file given"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_since_0_4_0(layout: str, by_name: bool, place: Place) -> None:
    given = LAYOUTS[layout]
    folder = run(place.folder / "r", choices([True, False, True]), **given)
    if "arguments" in given:  # then samples were one list, filters had no name, and tasks no size
        path = folder / given["samples_file"]
        samples = [json.loads(line) for line in path.read_text().splitlines()]
        for sample in samples:
            sample["arguments"] = [list(request.values()) for request in sample["arguments"].values()]
            sample["filtered_resps"] = [[float(value), False] for value, _ in sample["filtered_resps"]]
            sample["target"] = 1
            del sample["filter"], sample["metrics"]
        second_filter = [sample | {"filtered_resps": [[-9.0, False], [-8.0, False]]} for sample in samples]
        path.write_text(json.dumps(samples + second_filter, indent=2))
        content = json.loads((folder / given["file"]).read_text())
        del content["n-samples"]
        (folder / given["file"]).write_text(json.dumps(content, indent=2))
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    place.take("lm-eval", folder / given.get("file", f"results_{STAMP}.json") if by_name else folder)
    assert place.ask("select item_id, logprobs from raw.item_scores order by 1") == [
        ("0", [-2.0, -1.0]),
        ("1", [-2.0, -3.0]),
        ("2", [-2.0, -1.0]),
    ]
    assert place.ask("select n_items from raw.aggregate_scores") == [(3,)]


def test_samples_may_lie_in_another_folder(place: Place) -> None:
    results, samples = place.folder / "r", place.folder / "s"
    for folder, right in (("base", [True, False]), ("tuned", [True, True])):
        run(results / folder, choices(right), adapter="out/a" if folder == "tuned" else None, samples_file="moved")
        stamp = STAMP.replace("01T", "02T" if folder == "tuned" else "01T")
        (results / folder / f"results_{STAMP}.json").rename(results / folder / f"results_{stamp}.json")
        samples.mkdir(exist_ok=True)
        (results / folder / "moved").rename(samples / f"samples_toy_de_{stamp}.jsonl")
    names = place.write("map.yml", SOURCES)
    place.take("lm-eval", results, samples, names=names)
    assert place.ask("select count(*) from raw.item_scores") == [(4,)] and "belong to none" not in said(place)
    other = samples / "copy" / f"samples_toy_de_{STAMP}.jsonl"
    other.parent.mkdir()
    other.write_bytes((samples / other.name).read_bytes())
    place.take("lm-eval", results, samples, names=names, study="twice")
    assert "no samples beside it, and several files elsewhere are called samples_toy_de_" in said(place)
    assert "samples files that belong to none of these results: 2, the first " in said(place)
    place.take(
        "lm-eval", *sorted(results.rglob("*.json")), *sorted(samples.glob("*.jsonl")), names=names, study="named"
    )
    assert place.ask(
        "select count(*) from raw.study_jobs where study = 'named' and (config ->> '$.items') is not null"
    ) == [(1,)]


def test_groups_are_means_of_tasks_and_not_imported(place: Place) -> None:
    folder = run(place.folder / "r", None, {"acc,none": 0.5})
    path = next(folder.glob("results_*"))
    content = json.loads(path.read_text())
    content["results"] |= {"all_de": {"acc,none": 0.7}, "old_de": {"acc,none": 0.8}, "heading": {"alias": "heading"}}
    content |= {"groups": {"old_de": {"acc,none": 0.8}}, "group_subtasks": {"all_de": ["toy_de"], "toy_de": []}}
    path.write_text(json.dumps(content))
    place.take("lm-eval", folder)
    assert place.ask("select target_task, score from raw.aggregate_scores") == [("toy", 0.5)]


@pytest.mark.parametrize(
    ("damage", "message"),
    [("{", "not a sample"), ('{"doc_id": 1}\n', "not a sample .*KeyError"), ("[]\n", "not a sample")],
)
def test_damaged_samples_name_their_line(damage: str, message: str, place: Place) -> None:
    folder = run(place.folder / "r", choices([True]))
    samples = next(folder.glob("samples_*"))
    samples.write_text(samples.read_text() + damage)
    with pytest.raises(UserError, match=rf"samples_toy_de_.*:2: {message}"):
        place.take("lm-eval", folder)


def test_a_damaged_results_file_is_told_and_other_json_is_let_be(place: Place) -> None:
    folder = run(place.folder / "r", choices([True]))
    (folder / "trainer_state.json").write_text("{")
    place.take("lm-eval", folder)
    (folder / "results_2027-01-01T00-00-00.json").write_text('{"results": {')
    with pytest.raises(UserError, match=r"results_2027-01-01T00-00-00.json: not JSON"):
        place.take("lm-eval", folder)
    (place.folder / "empty").mkdir()
    with pytest.raises(UserError, match=r"no results_\*.json"):
        place.take("lm-eval", place.folder / "empty")


# ---- items or scores ----


def mutual(words: tuple[str, str] = (" ja", " nö")) -> list[dict[str, Any]]:
    """Choices asked again without the context."""
    samples = choices([True, False], words, acc_mutual_info=1.0)
    for sample in samples:
        sample["arguments"] |= {f"gen_args_{i + 2}": {"arg_0": "", "arg_1": word} for i, word in enumerate(words)}
        sample["filtered_resps"] += [["-0.5", "False"], ["-0.1", "False"]]
    return samples


def test_unconditional_requests_are_no_choices(place: Place) -> None:
    place.take("lm-eval", run(place.folder / "r", mutual(), {"acc,none": 0.5, "acc_mutual_info,none": 1.0}))
    assert place.ask("select distinct len(logprobs) from raw.item_scores") == [(2,)]
    assert place.ask("select score from raw.aggregate_scores where metric = 'acc_mutual_info'") == [(1.0,)]


@pytest.mark.parametrize(
    ("words", "delimiter", "target", "lengths"),
    [
        ((" ja", " nein"), None, "1", [2, 4]),
        (("\nja", "\nnein"), "\n", "1", [2, 4]),
        ((" ja", " nein"), "", "1", [3, 5]),
        ((" ja", " nein"), "", " nein", [3, 5]),
        (("ja", "nein"), None, "nein", [2, 4]),  # a chat: no delimiter, whatever the task says
        ((" 1", " 0"), None, "1", [1, 1]),  # an index, not the choice "1"
    ],
)
def test_lengths_are_without_the_task_s_delimiter(
    words: tuple[str, str], delimiter: str | None, target: str, lengths: list[int], place: Place
) -> None:
    settings = {} if delimiter is None else {"target_delimiter": delimiter}
    place.take("lm-eval", run(place.folder / "r", choices([True], words, target=target), settings=settings))
    assert place.ask("select gold, char_counts from raw.item_scores") == [(1, lengths)]


def test_a_reading_that_gives_other_numbers_is_not_taken(place: Place) -> None:
    """A target "1" is the choice of that text here, as the sample's own accuracy tells."""
    samples = choices([False], (" 1", " 0"), target="1", acc=1.0)
    place.take("lm-eval", run(place.folder / "r", samples))
    assert place.ask("select gold from raw.item_scores") == [(0,)]


NOT_BY_ITEM: dict[str, tuple[list[dict[str, Any]], dict[str, Any], dict[str, Any], str]] = {
    "a scoring of its own": (
        choices([True, False], acc=0.75), {"acc,none": 0.75}, {}, "acc of item 0 is 0.75 there, 1 by"
    ),
    "an accuracy of another task": (choices([True, False]), {"acc,none": 0.9}, {}, "acc is 0.9 in the results file"),
    "several right": (choices([True], target="[0, 1]"), {"acc,none": 1.0}, {}, "2 choices of an item are right"),
    "no right choice": (choices([False], target="-1"), {"acc,none": 0.0}, {}, "target '-1' is none of its 2 choices"),
    "one answer": (
        choices([True]), {"acc,none": 1.0}, {"output_type": "loglikelihood"}, "its output_type is loglikelihood"
    ),
    "choices in the context": (
        choices([True], (" ja", " ja")), {"acc,none": 1.0}, {}, "its choices stand in the contexts"
    ),
    "an item twice": (choices([True]) * 2, {"acc,none": 1.0}, {}, "a doc_id stands in its samples twice"),
    "infinite": (
        choices([True], filtered_resps=[["-inf", "False"], ["-1.0", "False"]]), {"acc,none": 1.0}, {}, "finite"
    ),
    "another metric": (choices([True]), {"mcc,none": 0.3}, {}, "its metric is mcc"),
    "graded": (answers("f1", [0.4, 0.5]), {"f1,none": 0.45}, {}, "it is scored by f1, not by exact_match"),
    "graded exact match": (answers("exact_match", [0.5, 1]), {"exact_match,none": 0.75}, {}, "exact_match is graded"),
    "a corpus metric": (answers("chrf", [["a", "b"]]), {"chrf,none": 52.0}, {}, "it is scored by chrf"),
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_BY_ITEM)
def test_scores_are_the_harness_s_where_its_items_would_give_others(name: str, place: Place) -> None:
    samples, scores, settings, reason = NOT_BY_ITEM[name]
    odd = run(place.folder / "r/odd", samples, scores, settings=settings)
    plain = run(place.folder / "r/plain", choices([True]), task="plain_de")
    place.take("lm-eval", odd, plain)
    assert reason in said(place) and "toy_de is imported by its scores, not item by item" in said(place)
    ((metric, value),) = scores.items()
    rows = place.ask("select metric, score, delta_unit from raw.aggregate_scores where target_task = 'toy'")
    unit = {"mcc": "mcc", "chrf": "chrf"}.get(metric.partition(",")[0], "pp")
    assert rows == [(metric.partition(",")[0], value, unit)]
    assert place.ask("select distinct target_task from raw.item_scores") == [("plain",)], "the others are not held up"


def test_a_task_is_taken_by_items_in_all_runs_or_in_none(place: Place) -> None:
    base = run(place.folder / "r/base", choices([True, False]))
    tuned = run(place.folder / "r/tuned", None, {"acc,none": 1.0}, adapter="out/a")
    place.take("lm-eval", base, tuned, names=place.write("map.yml", SOURCES))
    assert "toy_de is imported by its scores, not item by item: there are no samples beside it" in said(place)
    assert place.ask("select count(*) from raw.item_scores") == [(0,)]
    assert place.ask("select delta_pp from raw.aggregate_scores where source_task = 'toy'") == [(50.0,)]


def test_choices_that_are_shuffled_in_every_run_are_no_common_items(place: Place) -> None:
    base = run(place.folder / "r/base", choices([True]))
    tuned = run(place.folder / "r/tuned", choices([True], (" nö", " ja")), adapter="out/a")
    place.take("lm-eval", base, tuned, names=place.write("map.yml", SOURCES))
    assert "its item 0 has other choices, or another right one" in said(place)
    assert place.ask("select count(*) from raw.item_scores") == [(0,)]


def test_missing_samples_are_told(place: Place) -> None:
    folder = run(place.folder / "r", choices([True, False, False]), {"acc,none": 0.9})
    path = next(folder.glob("samples_*"))
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))
    place.take("lm-eval", folder)
    assert "holds 2 of 3 items" in said(place)
    assert place.ask("select count(*) from raw.item_scores") == [(2,)]


def test_generated_answers_of_the_first_filter(place: Place) -> None:
    strict = [sample | {"filter": "strict"} for sample in answers("exact_match", [1.0, 0.0])]
    loose = [sample | {"filter": "loose"} for sample in answers("exact_match", [0.0, 0.0])]
    scores = {"exact_match,strict": 0.5, "exact_match,loose": 0.0}
    place.take("lm-eval", run(place.folder / "r", strict + loose, scores, n_samples={}))
    assert place.ask("select prediction, correct from raw.item_scores order by item_id") == [
        ("12", True),
        ("12", False),
    ]
    assert place.ask("select metric, score from raw.aggregate_scores order by 1") == [
        ("exact_match", 0.5),
        ("exact_match:loose", 0.0),
    ]
