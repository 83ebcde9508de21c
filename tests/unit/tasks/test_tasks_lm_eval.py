"""A task of lm-evaluation-harness is asked exactly as the harness asks it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from compute.errors import UserError
from compute.names import UnknownName

lm_eval = pytest.importorskip("lm_eval", reason="the extra lm-eval is not installed")

from compute.engine.plan import study_jobs  # noqa: E402
from compute.study.file import read_study  # noqa: E402
from compute.study.remarks import remarks  # noqa: E402
from compute.study.schema import Study  # noqa: E402
from compute.tasks import lm_eval as harness  # noqa: E402
from compute.tasks.lm_eval import LmEvalTask, load_lm_eval  # noqa: E402
from compute.tasks.lm_eval_answers import HarnessJudge  # noqa: E402
from compute.tasks.task import Generation  # noqa: E402

DOCUMENTS = [
    {
        "question": f"ما هو {number} + 1؟ ",
        "options": [f"الرقم {number}", f"الرقم {number + 1}", "{لا}"][: 2 + number % 2],
        "gold": 1,
    }
    for number in range(12)
]


def write_task(folder: Path, name: str = "plus_one", **settings: Any) -> Path:
    """A task file over local JSON, which it returns."""
    folder.mkdir(exist_ok=True)
    data = folder / "documents.jsonl"
    data.write_text(
        "".join(json.dumps(document, ensure_ascii=False) + "\n" for document in DOCUMENTS), encoding="utf-8"
    )
    base = {
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(data), "train": str(data)}, "cache_dir": str(folder / "cache")},
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "س: {{question}}\nج:",
        "doc_to_choice": "{{options}}",
        "doc_to_target": "{{options[gold]}}",
    }
    (folder / "_base.yaml").write_text(yaml.safe_dump(base | settings, allow_unicode=True), encoding="utf-8")
    file = folder / f"{name}.yaml"
    file.write_text(f"include: _base.yaml\ntask: {name}\n", encoding="utf-8")
    return file


GENERATION: dict[str, Any] = {
    "output_type": "generate_until",
    "doc_to_choice": None,
    "doc_to_target": "{{question.split()[2]}}",
    "generation_kwargs": {"until": ["\n"], "max_gen_toks": 32},
    "filter_list": [
        {"name": "number", "filter": [{"function": "regex", "regex_pattern": r"(\d+)"}, {"function": "take_first"}]},
        {"name": "whole", "filter": [{"function": "take_first"}]},
    ],
    "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
}
"""A task that asks for the number in the question, and reads the first number of the answer."""


def harness_task(file: Path) -> Any:
    from lm_eval.tasks import TaskManager

    return TaskManager(include_path=file.parent, include_defaults=False).load([file.stem])["tasks"][file.stem]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"target_delimiter": "", "doc_to_target": "{{gold}}", "description": "أجب."},
        {"num_fewshot": 2, "training_split": "train", "gen_prefix": "الجواب هو"},
    ],
    ids=["plain", "no delimiter", "two shots and a prefix"],
)
def test_contexts_choices_and_gold_are_the_harness_s(tmp_path: Path, settings: dict[str, Any]) -> None:
    file = write_task(tmp_path / "tasks", **settings)
    items = {item.item_id: item for item in load_lm_eval(str(file), "ar").items("ar", "test")}
    theirs = harness_task(file)
    theirs.set_fewshot_seed(1234)  # as its `simple_evaluate` does
    theirs.build_all_requests()
    asked: dict[str, list[tuple[str, str]]] = {}
    for request in theirs.instances:
        asked.setdefault(str(request.doc_id), []).append(request.args)
    assert {key: [(item.context, choice) for choice in item.choices] for key, item in items.items()} == asked
    draw = np.random.default_rng(0)
    for number, document in enumerate(theirs.eval_docs):
        item = items[str(number)]
        logprobs = draw.normal(size=len(item.choices))
        scored = theirs.process_results(document, [(value, False) for value in logprobs])
        assert scored["acc"] == float(np.argmax(logprobs) == item.gold)


@pytest.mark.parametrize("settings", [{}, {"doc_to_choice": ["A", "B"], "doc_to_target": 0}, GENERATION])
def test_it_is_known_how_many_questions_local_files_have(tmp_path: Path, settings: dict[str, Any]) -> None:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "some.py").write_text("def but_one(documents):\n    return documents.select(range(1, 12))\n")
    file = write_task(tmp_path / "tasks", **settings)
    file.write_text(file.read_text() + "process_docs: !function some.but_one\n")
    task = load_lm_eval(str(file), "ar")
    assert (task.size("ar", "test"), task.size("ar", "train")) == (len(DOCUMENTS) - 1, 0)


def test_a_generation_task_is_judged_by_the_harness_s_filters_and_metric(tmp_path: Path) -> None:
    file = write_task(tmp_path / "tasks", **GENERATION)
    found = load_lm_eval(str(file), "ar")
    assert found.generation == Generation(("\n",), 32, f"lm_eval:{file}")
    assert (found.kind, found.primary_metric, found.chance) == ("generation", "exact_match", 0.0)
    judge = HarnessJudge.of(f"lm_eval:{file}")
    items = {item.item_id: item for item in found.items("ar", "test")}
    assert items["7"].choices == (" 7",)
    assert judge.judge(items["7"], "it is 7, not 8") == ("7", True)
    assert judge.judge(items["7"], "it is 8, not 7") == ("8", False)
    assert judge.judge(items["7"], "no idea") == ("[invalid]", False)
    theirs = harness_task(file)
    theirs.build_all_requests()
    assert {str(one.doc_id): one.args[0] for one in theirs.instances} == {key: i.context for key, i in items.items()}


def test_any_of_several_right_answers_is_right(tmp_path: Path) -> None:
    several = GENERATION | {"doc_to_target": "{{options}}", "filter_list": None}
    file = write_task(tmp_path / "tasks", **several)
    items = {item.item_id: item for item in load_lm_eval(str(file), "ar").items("ar", "test")}
    judge = HarnessJudge.of(f"lm_eval:{file}")
    assert items["3"].choices == (" الرقم 3",)
    assert [judge.judge(items["3"], text)[1] for text in ("الرقم 4", "الرقم 3", "الرقم 5")] == [True, True, False]


def test_an_answer_that_the_harness_cannot_judge_is_named(tmp_path: Path) -> None:
    file = write_task(tmp_path / "tasks", **GENERATION)
    (file.parent / "failing.py").write_text("def judge(document, results):\n    raise KeyError('answer')\n")
    file.write_text(file.read_text() + "process_results: !function failing.judge\n")
    item = load_lm_eval(str(file), "ar").items("ar", "test")[0]
    with pytest.raises(UserError, match=f"the harness cannot judge the answer to item {item.item_id}: KeyError"):
        HarnessJudge.of(f"lm_eval:{file}").judge(item, "7")


def test_a_generation_task_that_is_silent_gets_the_harness_s_defaults(tmp_path: Path) -> None:
    silent = {key: value for key, value in GENERATION.items() if key != "generation_kwargs"}
    file = write_task(tmp_path / "tasks", **silent)
    found = load_lm_eval(str(file), "ar")
    assert found.generation is not None
    assert list(found.generation.stop) == harness_task(file).config.generation_kwargs["until"]


def test_it_is_a_target_in_the_language_that_the_study_says(tmp_path: Path) -> None:
    file = write_task(tmp_path / "tasks")
    found = load_lm_eval(str(file), "ar")
    assert isinstance(found, LmEvalTask)
    assert (found.name, found.languages, found.splits) == (f"lm_eval:{file}", ("ar",), ("test",))
    assert found.questions("ar", "train") == []
    assert found.chance == pytest.approx((6 / 2 + 6 / 3) / 12)
    ids = [question.item_id for question in found.questions("ar", "test")]
    assert ids != sorted(ids, key=int)  # the first few are a sample, not a beginning
    with pytest.raises(UnknownName, match=r"unknown language 'de' of task 'lm_eval:.*plus_one\.yaml'"):
        found.questions("de", "test")


def test_the_digest_follows_the_task_file_and_local_data(tmp_path: Path) -> None:
    file = write_task(tmp_path / "tasks", doc_to_choice=["A", "B"], doc_to_target=0)
    first = load_lm_eval(str(file), "ar").digest("ar")
    assert load_lm_eval(str(file), "de").digest("de") == first
    data = file.with_name("documents.jsonl")
    data.write_text(data.read_text(encoding="utf-8").replace("+ 1", "+ 2"), encoding="utf-8")
    second = load_lm_eval(str(file), "ar").digest("ar")
    write_task(file.parent, doc_to_choice=["A", "B", "C"], doc_to_target=0)
    assert len({first, second, load_lm_eval(str(file), "ar").digest("ar")}) == 3


def test_the_digest_follows_the_functions_of_what_is_included(tmp_path: Path) -> None:
    file = write_task(tmp_path / "tasks", doc_to_choice=["A", "B"], doc_to_target=0)
    shared = tmp_path / "shared" / "code"
    shared.mkdir(parents=True)
    (shared.parent / "base.yaml").write_text("include: ../tasks/_base.yaml\nprocess_docs: !function code.utils.keep\n")
    file.write_text("include: ../shared/base.yaml\ntask: plus_one\n")
    digests = []
    for place in (shared / "utils.py", shared.parent / "beside.py", shared / "helper.py"):
        place.write_text("def keep(documents):\n    return documents\n")
        digests.append(load_lm_eval(str(file), "ar").digest("ar"))
        place.write_text("def keep(documents):\n    return documents.select(range(3))\n")
        digests.append(load_lm_eval(str(file), "ar").digest("ar"))
    assert len(set(digests)) == 6
    assert len(load_lm_eval(str(file), "ar").questions("ar", "test")) == 3  # it is what the harness runs


@pytest.mark.parametrize(
    "settings",
    [
        {"data_files": "*.jsonl"},
        {"data_files": {"test": ["te*.jsonl"], "train": "**/train*.jsonl"}},
        {"data_files": [{"split": "test", "path": ["te*.jsonl"]}, {"split": "train", "path": "tr*.jsonl"}]},
        {"data_files": {"test": "test.jsonl", "train": ["train.jsonl"]}, "data_dir": "."},
        {"data_dir": "."},
    ],
    ids=["pattern", "mapping", "list", "names", "folder"],
)
def test_the_digest_follows_data_files_however_they_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "test.jsonl").write_text("{}\n")
    (tmp_path / "train.jsonl").write_text("{}\n")
    file = write_task(tmp_path / "tasks", doc_to_choice=["A", "B"], doc_to_target=0, dataset_kwargs=settings)
    digests = {load_lm_eval(str(file), "ar").digest("ar")}
    for name in ("train.jsonl", "test.jsonl"):
        (tmp_path / name).write_text('{"a": 1}\n')
        digests.add(load_lm_eval(str(file), "ar").digest("ar"))
    assert len(digests) == 3
    (tmp_path / "unrelated.txt").write_text("changes nothing" if "data_files" in settings else "is data too")
    digests.add(load_lm_eval(str(file), "ar").digest("ar"))
    assert len(digests) == (3 if "data_files" in settings else 4)


def test_a_file_that_moves_from_one_pattern_to_another_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = ("a_1.jsonl", "a_2.jsonl", "b_3.jsonl")
    for name in names:
        (tmp_path / name).write_text(f'{{"name": "{name}"}}\n')
    kwargs = {"data_files": {"test": "a_*.jsonl", "train": "b_*.jsonl"}}
    file = write_task(tmp_path / "tasks", doc_to_choice=["A", "B"], doc_to_target=0, dataset_kwargs=kwargs)
    before = load_lm_eval(str(file), "ar").digest("ar")
    (tmp_path / "a_2.jsonl").rename(tmp_path / "b_2.jsonl")
    assert load_lm_eval(str(file), "ar").digest("ar") != before


@pytest.mark.parametrize("settings", [{"doc_to_choice": ["A", "B"], "doc_to_target": 0}, GENERATION])
def test_data_on_the_hub_are_read_where_a_number_of_items_is_asked(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("compute.tasks.lm_eval.local_data", lambda config: [])  # as if they were there
    task = write_task(tmp_path / "tasks", **settings)
    path = tmp_path / "study.yml"
    tiny = (Path(__file__).parents[2] / "studies" / "tiny.yml").read_text()
    models = tiny[tiny.index("models:") : tiny.index("sources:")]

    def asking(n: int | None) -> Study:
        path.write_text(
            f"study: s\n{models}targets: {{tasks: ['lm_eval:{task}'], languages: [ar]}}\nitems: "
            + ("{}\n" if n is None else f"{{test: {n}}}\n")
        )
        return read_study(path)

    assert list(remarks(asking(12))) == []
    assert list(remarks(asking(1600))) == [
        f"items.test: 1600 asked for, and there are fewer, which are all used: lm_eval:{task}/ar 12"
    ]
    assert study_jobs(asking(1600)).keys() == study_jobs(asking(12)).keys() != study_jobs(asking(11)).keys()
    (tmp_path / "tasks" / "documents.jsonl").unlink()
    assert study_jobs(asking(None))  # nothing is read
    for read in (harness._counted, harness._questions, harness.harness_task):
        read.cache_clear()
    with pytest.raises(UserError, match="the harness cannot load it"):
        study_jobs(asking(13))


def test_looking_a_task_up_neither_imports_the_harness_nor_loads_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lm_eval.tasks", None)
    found = load_lm_eval("belebele_deu_Latn", "de")
    assert found.chance == 0.25
    assert found.size("de", "test") is None
    assert found.source_url == "https://huggingface.co/datasets/facebook/belebele"
    assert found.prompt().delimiter == " "
    assert len(found.digest("de")) == 64


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"output_type": "loglikelihood"}, "its output_type is loglikelihood"),
        ({"output_type": "generate_until"}, "its metric is not named, not exact_match"),
        ({**GENERATION, "metric_list": [{"metric": "bleu"}]}, "its metric is bleu, not exact_match"),
        ({**GENERATION, "generation_kwargs": {"do_sample": True}}, "its answers are drawn at random"),
        ({"process_results": "!function utils.score"}, "it scores answers with a function of its own"),
        ({"doc_to_image": "picture"}, "it asks about images or sounds"),
        ({"class": "Task"}, "it is written in Python"),
    ],
)
def test_a_task_that_is_scored_otherwise_is_refused(tmp_path: Path, settings: dict[str, Any], reason: str) -> None:
    file = write_task(tmp_path / "tasks", "refused", **settings)
    with pytest.raises(UserError, match=f"refused.yaml cannot be a target: {reason}"):
        load_lm_eval(str(file), None)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"doc_to_target": "none of them"}, "bad.yaml, row 1: gold is 'none of them'; expected one of its choices"),
        ({"doc_to_target": "{{ 3 if '2 +' in question else gold }}"}, "bad.yaml, row 3: gold is 3; expected 0 to 1"),
        ({"doc_to_text": "{{gold}}"}, "each choice has a context of its own"),
        ({"dataset_kwargs": {"data_files": "nowhere.jsonl"}}, "the harness cannot load it: FileNotFoundError"),
    ],
)
def test_documents_that_cannot_be_asked_are_named(tmp_path: Path, settings: dict[str, Any], complaint: str) -> None:
    file = write_task(tmp_path / "tasks", "bad", **settings)
    with pytest.raises(UserError, match=complaint):
        load_lm_eval(str(file), "ar").questions("ar", "test")


def test_a_wrong_name_gets_the_nearest() -> None:
    with pytest.raises(UnknownName, match="did you mean 'belebele_deu_Latn'"):
        load_lm_eval("belebele_deu_Latm", None)
    with pytest.raises(UnknownName, match="see `lm-eval ls tasks`"):
        load_lm_eval("qzqzqzqz", None)
    with pytest.raises(UserError, match="lm_eval:belebele is a group of tasks"):
        load_lm_eval("belebele", None)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "mine.yaml: cannot be read: .* No such file"),
        ("- a\n- b\n", "mine.yaml: expected a mapping, found list"),
        ("group: all\ntask: [one, two]\n", "mine.yaml: expected `task:` and a name; a group's tasks are named one"),
    ],
)
def test_a_file_that_is_no_task_s_is_named(tmp_path: Path, content: str | None, complaint: str) -> None:
    file = tmp_path / "mine.yaml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(UserError, match=complaint):
        load_lm_eval(str(file), None)


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compute.tasks.lm_eval.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'transfer-warehouse\[lm-eval\]'"):
        load_lm_eval("belebele_deu_Latn", None)
