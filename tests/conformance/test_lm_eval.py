"""The same numbers as EleutherAI's lm-evaluation-harness, for every family: item by item, plain and as a chat."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from compute.language_models.encoding import Encoding
from compute.language_models.generation import generate_items
from compute.language_models.loading import describe_loaded, describe_model, load_model
from compute.language_models.scoring import score_items
from compute.tasks.lm_eval import load_lm_eval
from compute.tasks.task import Item
from tests.helpers.families import FAMILIES, save_tiny

pytest.importorskip("lm_eval", reason="the extra lm-eval is not installed")

TOLERANCE = 1e-4
STOP, MAX_NEW_TOKENS = ["\n", "e", "ा"], 12

# Choices of one token and of several; scripts from left to right and from right to left; texts of unlike lengths.
AFTER_A_SPACE = [
    ("Question: Which of these is a river?\nA. Paris\nB. Nile\nAnswer:", ["A", "B"]),
    ("Welcher dieser Namen ist ein Fluss? Der Ätna, der Nil, Rom?", ["Der Nil, nicht der Ätna", "Rom", "Ätna"]),
    ("السؤال: أي من هذه نهر؟\nالجواب:", ["النيل", "جبل إتنا", "روما وباريس"]),
    ("प्रश्न: इनमें से नदी कौन सी है? उत्तर:", ["नील", "एटना पहाड़"]),
    ("The capital of France is Paris, and that of Italy is Rome. " * 3 + "Which is it?", ["Paris", "Rome", "A", "9"]),
    ("", ["The Nile.", "النيل"]),
]
AS_IT_STANDS = [
    ("Answer: ", ["A", "Nile"]),
    ("Die Hauptstadt ist  ", ["Paris", "Rom und Paris"]),
    ("عاصمة فرنسا هي ", ["باريس", "روما"]),
    ("नदी", ["।", "यों के नाम"]),
]


@dataclass(frozen=True)
class Loaded:
    """A family's tiny model in our hands and in lm-evaluation-harness's."""

    name: str
    folder: Path
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    harness: Any


@pytest.fixture(scope="module")
def evaluate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., dict[str, list[Any]]]]:
    """What lm-evaluation-harness makes of the questions, given to it as YAML tasks: its samples by task, in order."""
    import datasets
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    folder = tmp_path_factory.mktemp("tasks")
    generation = {"output_type": "generate_until", "doc_to_target": "{{choices[gold]}}"}
    generation["generation_kwargs"] = {"until": STOP, "max_gen_toks": MAX_NEW_TOKENS, "do_sample": False}  # type: ignore[assignment]
    choice = {
        "output_type": "multiple_choice", "doc_to_choice": "choices", "doc_to_target": "gold",
        "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}],
    }  # fmt: skip
    kinds: list[tuple[str, list[tuple[str, list[str]]], dict[str, Any]]] = [
        ("after_a_space", AFTER_A_SPACE, {**choice, "target_delimiter": " "}),
        ("as_it_stands", AS_IT_STANDS, {**choice, "target_delimiter": ""}),
        ("generated", [row for row in AFTER_A_SPACE if row[0]], {**generation, "metric_list": [{"metric": "bypass"}]}),
    ]
    for name, questions, settings in kinds:
        rows = [
            {"id": i, "context": context, "choices": choices, "gold": i % 2}
            for i, (context, choices) in enumerate(questions)
        ]
        (folder / f"{name}.jsonl").write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
        settings |= {
            "task": name, "dataset_path": "json", "test_split": "test", "doc_to_text": "context",
            "dataset_kwargs": {
                "data_files": {"test": str(folder / f"{name}.jsonl")}, "cache_dir": str(folder / "cache"),
            },
        }  # fmt: skip
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(settings, allow_unicode=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
        manager = TaskManager(include_path=str(folder), include_defaults=False)
        tasks = list(manager.load([name for name, _, _ in kinds])["tasks"].values())

        def run(harness: Any, chat: bool) -> dict[str, list[Any]]:
            results = simple_evaluate(
                harness,
                tasks=tasks,
                task_manager=manager,
                apply_chat_template=chat,
                log_samples=True,
                bootstrap_iters=0,
            )
            return {
                name: sorted(samples, key=lambda sample: sample["doc"]["id"])
                for name, samples in results["samples"].items()
            }

        yield run


@pytest.fixture(scope="module", params=FAMILIES)
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    from lm_eval.models.huggingface import HFLM

    torch.set_num_threads(1)
    folder = save_tiny(request.param, tmp_path_factory.mktemp(request.param))
    model, tokenizer = load_model(folder)
    harness = HFLM(pretrained=str(folder), device="cpu", dtype="float32", batch_size=1)
    return Loaded(request.param, folder, model, tokenizer, harness)


def test_is_of_its_own_class_and_described_without_weights(loaded: Loaded) -> None:
    description = describe_model(loaded.folder)
    assert description == describe_loaded(loaded.model)
    assert description.architecture == FAMILIES[loaded.name].architecture
    assert description.family == loaded.name.partition("-")[0]


@pytest.mark.parametrize("chat", [False, True], ids=["plain", "chat"])
def test_same_numbers(loaded: Loaded, evaluate: Callable[..., dict[str, list[Any]]], chat: bool) -> None:
    theirs = evaluate(loaded.harness, chat)
    encoding = Encoding(chat_template=chat)
    for name, questions, delimiter in (("after_a_space", AFTER_A_SPACE, " "), ("as_it_stands", AS_IT_STANDS, "")):
        items = [
            Item(str(i), None, context, tuple(delimiter + choice for choice in choices), i % 2)
            for i, (context, choices) in enumerate(questions)
        ]
        ours = score_items(loaded.model, loaded.tokenizer, items, batch_tokens=200, encoding=encoding)
        for item, score, sample in zip(items, ours, theirs[name], strict=True):
            expected = [float(response[0][0]) for response in sample["resps"]]
            assert score.logprobs == pytest.approx(expected, abs=TOLERANCE), (name, item.item_id)
            if delimiter:
                per_character = np.array(score.logprobs) / score.char_counts
                assert (np.argmax(score.logprobs) == item.gold, np.argmax(per_character) == item.gold) == (
                    sample["acc"], sample["acc_norm"],
                )  # fmt: skip

    items = [Item(str(i), None, context, ("",), 0) for i, (context, _) in enumerate(AFTER_A_SPACE) if context]
    generated = generate_items(
        loaded.model, loaded.tokenizer, items, STOP, MAX_NEW_TOKENS, batch_tokens=400, encoding=encoding
    )
    assert [answer.text for answer in generated] == [sample["resps"][0][0] for sample in theirs["generated"]]


def test_bfloat16_is_near_float32(loaded: Loaded) -> None:
    """Rounding alone is less than half of what is allowed; a wrong mask is more in most families."""
    if loaded.model.config.model_type == "mamba":
        pytest.skip("a state rounded at every token drifts beyond what a wrong mask does")
    rough, tokenizer = load_model(loaded.folder, dtype="bfloat16")
    items = [
        Item(str(i), None, context, tuple(f" {choice}" for choice in choices), 0)
        for i, (context, choices) in enumerate(AFTER_A_SPACE)
    ]
    assert rough.dtype == torch.bfloat16
    exact = score_items(loaded.model, loaded.tokenizer, items)
    for one, other in zip(exact, score_items(rough, tokenizer, items), strict=True):
        assert other.logprobs == pytest.approx(one.logprobs, abs=0.1)


ITS_OWN_WAY: dict[str, dict[str, Any]] = {
    "answers with a space of their own": {"target_delimiter": ""},
    "a delimiter of two signs": {"target_delimiter": "\n\n"},
    "a description and examples": {"description": "Answer well.\n", "num_fewshot": 2, "fewshot_split": "test"},
    "an answer that is begun": {"gen_prefix": "It is"},
    "no context": {"doc_to_text": ""},
}


@pytest.mark.parametrize("chat", [False, True], ids=["plain", "chat"])
@pytest.mark.parametrize("refuses_system", [False, True])
def test_same_numbers_for_a_task_file_of_the_harness(
    chat: bool, refuses_system: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Put by us as target `lm_eval:<file>` and by the harness itself; with templates that know a system or do not."""
    import datasets
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    torch.set_num_threads(1)
    model, tokenizer = load_model(save_tiny("llama", tmp_path / "model"))
    if refuses_system:
        refusal = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
        tokenizer.chat_template = refusal + str(tokenizer.chat_template)
    harness = HFLM(pretrained=model, tokenizer=tokenizer, device="cpu", batch_size=1)
    rows = [
        {"context": context, "choices": [f" {choice}" for choice in choices], "gold": i % 2}
        for i, (context, choices) in enumerate(AFTER_A_SPACE[:4])
    ]
    data = tmp_path / "data.jsonl"
    data.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
    for number, settings in enumerate(ITS_OWN_WAY.values()):
        whole = {
            "task": f"own{number}", "dataset_path": "json", "test_split": "test", "doc_to_text": "context",
            "dataset_kwargs": {"data_files": {"test": str(data)}, "cache_dir": str(tmp_path / "cache")},
            "output_type": "multiple_choice", "doc_to_choice": "choices", "doc_to_target": "gold",
            "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}],
        }  # fmt: skip
        generating = {
            "task": f"generated{number}", "output_type": "generate_until", "doc_to_target": "{{choices[gold]}}",
            "generation_kwargs": {"until": STOP, "do_sample": False, "max_gen_toks": MAX_NEW_TOKENS},
            "metric_list": [{"metric": "exact_match"}],
        }  # fmt: skip
        written = (whole | settings, {k: v for k, v in whole.items() if k != "doc_to_choice"} | settings | generating)
        paths = [tmp_path / f"{task['task']}.yaml" for task in written]
        for path, task in zip(paths, written, strict=True):
            path.write_text(yaml.safe_dump(task))
        manager = TaskManager(include_path=str(tmp_path), include_defaults=False)
        samples = simple_evaluate(
            harness, tasks=[path.stem for path in paths], task_manager=manager, apply_chat_template=chat,
            log_samples=True, bootstrap_iters=0,
        )["samples"]  # fmt: skip

        theirs = {str(sample["doc_id"]): sample["resps"][0][0] for sample in samples[paths[1].stem]}
        task = load_lm_eval(str(paths[1]), "en")
        items = task.items("en", "test")
        assert task.generation is not None and len(items) == len(theirs) == 4
        generated = generate_items(
            model, tokenizer, items, task.generation.stop, task.generation.max_new_tokens, encoding=Encoding(chat)
        )
        assert {item.item_id: answer.text for item, answer in zip(items, generated, strict=True)} == theirs, settings

        theirs = {str(sample["doc_id"]): sample for sample in samples[paths[0].stem]}
        items = load_lm_eval(str(paths[0]), "en").items("en", "test")
        ours = score_items(model, tokenizer, items, encoding=Encoding(chat_template=chat))
        assert len(items) == len(theirs) == 4
        for item, score in zip(items, ours, strict=True):
            sample = theirs[item.item_id]
            expected = [float(response[0][0]) for response in sample["resps"]]
            assert score.logprobs == pytest.approx(expected, abs=TOLERANCE), (settings, item)
            per_character = np.array(score.logprobs) / score.char_counts
            assert (np.argmax(score.logprobs) == item.gold, np.argmax(per_character) == item.gold) == (
                sample["acc"], sample["acc_norm"],
            )  # fmt: skip


SETTINGS: dict[str, dict[str, Any]] = {
    "n-grams": {"no_repeat_ngram_size": 2},
    "beams": {"num_beams": 3, "length_penalty": 0.5},
    "a bias": {"sequence_bias": [[[40], 8.0]], "suppress_tokens": [50, 51]},
    "penalties": {"encoder_repetition_penalty": 1.7, "repetition_penalty": 1.3},
    "lengths": {"min_new_tokens": 5, "max_new_tokens": 7},
    "forced": {"forced_eos_token_id": 0, "begin_suppress_tokens": [60]},
    "sampling, which is off": {"do_sample": True, "temperature": 0.6, "top_p": 0.9, "top_k": 20},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_same_texts_under_any_generation_settings(
    name: str, evaluate: Callable[..., dict[str, list[Any]]], tmp_path: Path
) -> None:
    from lm_eval.models.huggingface import HFLM

    torch.set_num_threads(1)
    folder = save_tiny("llama", tmp_path)
    path = folder / "generation_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | SETTINGS[name]))
    model, tokenizer = load_model(folder)
    theirs = evaluate(HFLM(pretrained=str(folder), device="cpu", dtype="float32", batch_size=1), False)["generated"]
    items = [Item(str(i), None, context, ("",), 0) for i, (context, _) in enumerate(AFTER_A_SPACE) if context]
    ours = generate_items(model, tokenizer, items, STOP, MAX_NEW_TOKENS)
    assert [answer.text for answer in ours] == [sample["resps"][0][0] for sample in theirs]
