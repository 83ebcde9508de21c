"""Results of lm-evaluation-harness: units of metrics, which run is which, and the map."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from compute.errors import UserError
from tests.helpers.importing import Place
from tests.helpers.lm_eval_files import SOURCES, answers, choices, run, said


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


# ---- scales and directions ----


@pytest.mark.parametrize(
    ("metric", "before", "after", "file", "unit", "better", "delta_pp"),
    [
        ("word_perplexity", 30.0, 20.0, {}, "word_perplexity", False, None),
        ("bits_per_byte", 0.9, 0.8, {}, "bits_per_byte", False, None),
        ("chrf", 0.5, 0.9, {}, "chrf", True, None),
        ("f1", 0.5, 0.6, {}, "pp", True, 10.0),
        ("f1", 0.9, 62.0, {}, "f1", True, None),  # SQuAD's goes to 100
        ("rougeL", 0.5, 0.6, {}, "rougeL", True, None),  # some tasks' goes to 1, some to 100
        ("rougeL", 0.5, 0.6, {"map": "shares: [rougeL]\n"}, "pp", True, 10.0),
        ("rougeL", 0.5, 0.6, {"samples": True}, "pp", True, 10.0),
        ("rougeL", 0.5, 50.0, {"samples": True}, "rougeL", True, None),
        ("my_score", 0.5, 0.6, {}, "my_score", None, None),
        ("my_score", 0.5, 0.6, {"higher_is_better": True}, "my_score", True, None),
        ("acc", 0.5, 0.6, {"higher_is_better": False}, "pp", False, None),  # a share, of which less is better
        ("mcc", 0.1, 0.2, {"metric_list": [{"metric": "mcc", "higher_is_better": True}]}, "mcc", True, None),
    ],
)
def test_a_metric_has_a_unit_and_a_direction(
    metric: str, before: float, after: float, file: dict[str, Any], unit: str, better: bool | None,
    delta_pp: float | None, place: Place,
) -> None:  # fmt: skip
    content: dict[str, Any] = {}
    if "higher_is_better" in file:
        content["higher_is_better"] = {"toy_de": {metric: file["higher_is_better"]}}
    settings = {key: value for key, value in file.items() if key == "metric_list"}
    for name, score, adapter in (("base", before, None), ("tuned", after, "out/a")):
        samples = answers(metric, [0.5 * score, 1.5 * score]) if "samples" in file else None
        scores = {f"{metric},none": score}
        run(place.folder / "r" / name, samples, scores, adapter=adapter, settings=settings, **content)
    place.take("lm-eval", place.folder / "r", names=place.write("map.yml", SOURCES + file.get("map", "")))
    ((*row, delta),) = place.ask(
        "select delta_unit, higher_is_better, delta_pp, delta from raw.aggregate_scores where source_task = 'toy'"
    )
    assert row == [unit, better, pytest.approx(delta_pp) if delta_pp is not None else None]
    assert delta == pytest.approx((100 if unit == "pp" else 1) * (after - before))


def test_what_is_no_number_is_left_out_aloud(place: Place) -> None:
    place.take("lm-eval", run(place.folder / "r", None, {"acc,none": 0.5, "perplexity,none": float("inf")}))
    assert "its perplexity is no finite number" in said(place)
    assert place.ask("select metric from raw.aggregate_scores") == [("acc",)]


def test_the_map_names_the_metric_of_verdicts(place: Place) -> None:
    scores = {"acc,none": 1.0, "f1,none": 0.4}
    folder = run(place.folder / "r", choices([True]), scores)
    place.take("lm-eval", folder, names=place.write("map.yml", "metrics: {toy: f1}"))
    assert place.ask("select primary_metric from raw.tasks where task = 'toy'") == [("f1",)]
    assert place.ask("select count(*) from raw.item_scores") == [(0,)], "its items do not tell f1"
    with pytest.raises(UserError, match=r"metrics.toy in the map: unknown metric 'f2'; known: acc, f1"):
        place.take("lm-eval", folder, names=place.write("map.yml", "metrics: {toy: f2}"))


# ---- which run is which ----


@pytest.mark.parametrize(
    "tuned",
    [
        "pretrained=org/small,peft=out/a",
        "pretrained=org/small,lora_local_path=./out/a/,enable_lora=True,max_lora_rank=16,lora_dtype=auto",
        {"pretrained": "org/small", "delta": "out/a"},
        {"pretrained": "org/small", "lora_modules": "out/a"},  # no key of ours, but the map's adapter
        {"pretrained": "out/merged", "peft": None},
    ],
)
def test_a_tuned_run_is_told_by_whatever_names_it(tuned: Any, place: Place) -> None:
    base = run(place.folder / "r/base", choices([True, False]), arguments={"pretrained": "org/small"})
    run(place.folder / "r/tuned", choices([True, True]), arguments=tuned)
    checkpoints = "checkpoints: {out/merged: {base: org/small, source: toy/en, seed: 7}}\n"
    place.take("lm-eval", base.parent, names=place.write("map.yml", SOURCES + checkpoints))
    rows = place.ask("select distinct model, source_task, source_language, seed from raw.item_scores order by seed")
    assert rows == [("small@abcdef01", "toy", "en", 7), ("small@abcdef01", None, None, None)]
    assert "no base model" not in said(place)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("pretrained=org/small,enable_lora=True", "model_args has enable_lora=True: unclear which adapter that is"),
        ("pretrained=org/small,lora_modules=x", "model_args has lora_modules=x: unclear which adapter that is"),
        ("pretrained=org/small,peft=out/a,delta=out/c", "peft=out/a, delta=out/c: unclear which adapter"),
        (
            "pretrained=org/small,peft=out/b",
            r"unknown adapter 'out/b'; did you mean 'out/a'\?; .*map.yml add the line "
            r"`out/b: \{source: toy/en, seed: 7\}`",
        ),
        ("pretrained=out/merged", "the base 'org/other' of checkpoint 'out/merged' is not among these results"),
    ],
)
def test_a_run_that_leaves_it_unclear_is_refused(arguments: str, message: str, place: Place) -> None:
    folder = run(place.folder / "r", choices([True]), arguments=arguments)
    checkpoints = "checkpoints: {out/merged: {base: org/other, source: toy/en}}\n"
    with pytest.raises(UserError, match=message):
        place.take("lm-eval", folder, names=place.write("map.yml", SOURCES + checkpoints))


def test_an_adapter_in_the_place_of_a_model_is_no_base(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.write("out/c/adapter_config.json", "{}")
    monkeypatch.chdir(place.folder)
    folder = run(place.folder / "r", choices([True]), arguments="pretrained=out/c")
    with pytest.raises(UserError, match=r"its model 'out/c' is an adapter's folder; under `checkpoints:`"):
        place.take("lm-eval", folder)


def test_sources_of_any_mix(place: Place) -> None:
    base = run(place.folder / "r/base", choices([True, False]))
    run(place.folder / "r/tuned", choices([True, True]), adapter="out/a")
    place.take("lm-eval", base.parent, names=place.write("map.yml", "adapters: {out/a: {source: mul/und}}"))
    assert place.ask("select distinct source_task, source_language from raw.item_scores order by 1") == [
        ("mul", "und"),
        (None, None),
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<function ask at 0x7f01>", "<function ask at 0x7f02>"),
        ("functools.partial(<function ask at 0x7f01>, PosixPath('/tmp/tmpa/p.txt'))",
         "functools.partial(<function ask at 0xaa02>, PosixPath('/tmp/tmpb/p.txt'))"),
        ("<scoring.Asker object at 0x7f01>", "<scoring.Asker object at 0x7f02>"),
    ],
)  # fmt: skip
def test_a_prompt_is_the_same_in_every_process(before: str, after: str, place: Place) -> None:
    run(place.folder / "r/base", choices([True]), settings={"doc_to_text": before})
    run(place.folder / "r/tuned", choices([True]), adapter="out/a", settings={"doc_to_text": after})
    place.take("lm-eval", place.folder / "r", names=place.write("map.yml", SOURCES))
    assert len(place.ask("select distinct prompt from raw.item_scores")) == 1
    assert "no base model" not in said(place)


def test_prompts_that_differ_stay_apart_and_it_is_said(place: Place) -> None:
    run(place.folder / "r/base", choices([True]))
    run(place.folder / "r/tuned", choices([True]), adapter="out/a", system_instruction_sha="1f")
    place.take("lm-eval", place.folder / "r", names=place.write("map.yml", SOURCES))
    assert len(place.ask("select distinct prompt from raw.item_scores")) == 2
    assert "small@abcdef01: no base model beside 1 of its tuned scores" in said(place)
    assert "its base was asked with another prompt" in said(place)


def test_an_import_without_a_base_model_warns_until_there_is_one(place: Place) -> None:
    sources = place.write("map.yml", SOURCES)
    tuned = run(place.folder / "r/tuned", choices([True]), adapter="out/a")
    place.take("lm-eval", tuned, names=sources, study="mine")
    assert "import the results of the base model too" in said(place)
    other = run(place.folder / "r/other", choices([True]), config={"model_args": "pretrained=org/small"})
    place.take("lm-eval", other, study="mine")
    assert "the base models are called small@main: give both one name under `models:`" in said(place)
    place.said.clear()
    place.take("lm-eval", run(place.folder / "r/base", choices([False])), study="mine")
    assert "no base model" not in said(place)


def test_scores_that_are_imported_again_replace_the_earlier_ones(place: Place) -> None:
    place.take("lm-eval", run(place.folder / "one", choices([True])), study="mine")
    place.take("lm-eval", run(place.folder / "two", choices([False])), study="mine")
    assert "1 scores of earlier imports are replaced" in said(place)
    rows = "select score from raw.aggregate_scores join raw.study_jobs using (job_key) where study = 'mine'"
    assert place.ask(rows) == [(0.0,)]


def test_the_map_sets_the_threshold_of_harm(place: Place) -> None:
    folder = run(place.folder / "r", choices([True]))
    place.take("lm-eval", folder, names=place.write("map.yml", "harm_threshold_pp: 2.5"))
    place.take("lm-eval", folder)
    assert place.ask("select config ->> '$.harm_threshold_pp' from raw.studies") == [("2.5",)], "it lasts"
    place.take("lm-eval", folder, harm=4.0)
    assert place.ask("select config ->> '$.harm_threshold_pp' from raw.studies") == [("4.0",)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("adapters: {out/a: {source: toy/en, seed: x}}", r"map.yml:1: adapters.out/a.seed: .*found 'x'"),
        ("adapters:\n  out/a: {source: toy}", r"map.yml:2: adapters.out/a.source: expected task/language such as arc/"),
        ("adapter: {out/a: {source: toy/en}}", r"map.yml:1: adapter: unknown key 'adapter'; did you mean 'adapters'\?"),
        ("leave_out: [other]", r"task 'qa_engl': .*; add `qa_engl: qa_engl/LANGUAGE`; `toy_deu_Latn: "),
    ],
)
def test_a_mistake_in_the_map_has_its_line(text: str, message: str, place: Place) -> None:
    run(place.folder / "r", choices([True]), task="toy_deu_Latn")
    run(place.folder / "r/2", choices([True]), task="qa_engl")
    with pytest.raises(UserError, match=message):
        place.take("lm-eval", place.folder / "r", names=place.write("map.yml", text))


def test_a_suffix_is_a_language_only_if_it_is_one(place: Place) -> None:
    folder = run(place.folder / "r", choices([True]), task="commonsense_qa")
    with pytest.raises(UserError, match=r"task 'commonsense_qa': its language is not known"):
        place.take("lm-eval", folder)
    run(place.folder / "r/2", choices([True]), task="toy_de")
    place.take("lm-eval", folder, names=place.write("map.yml", "leave_out: [commonsense_qa]"))
    assert place.ask("select distinct target_task from raw.item_scores") == [("toy",)]


def test_a_name_of_the_map_that_is_nobody_s_is_told(place: Place) -> None:
    folder = run(place.folder / "r", choices([True]))
    place.take("lm-eval", folder, names=place.write("map.yml", "models: {org/smal: m@1}\ntasks: {toy_den: toy/de}"))
    assert "models: no results are of 'org/smal'; they have 'org/small'" in said(place)
    assert "tasks: no results are of 'toy_den'; they have 'toy_de'" in said(place)
