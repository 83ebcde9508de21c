"""Models from a folder, a task from a folder: declared, computed, landed; no hub and no Python of the user's."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from test_commands import ask, transfer
from transformers import AutoTokenizer

from compute.language_models.pretraining import pretrain
from compute.language_models.settings import Architecture, Pretraining

WORDS = {"de": ("Heute ist es {}.", ("warm", "kalt")), "en": ("Today it is {}.", ("hot", "cold"))}
TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}> {{ m.content }} {% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)

STUDY = """
study: weather
models:
  - {name: mine, checkpoint: ./model, dtype: float32}
  - {name: chatty, checkpoint: ./model, dtype: float32, chat_template: true}
tasks:
  weather: {folder: weather, licence: CC0-1.0}
sources: {tasks: [weather], languages: [de]}
targets:
  - {tasks: [weather], languages: [de, en]}
  - {tasks: [parity], languages: [en]}
items: {test: 8}
seeds: [1]
variants: {published: {train_prompt: lettered}}
lora: {epochs: 1, rank: 2}
"""


def write_task(folder: Path) -> None:
    for language, (sentence, choices) in WORDS.items():
        for split, numbers in (("train", range(12)), ("test", range(12, 20))):
            if (language, split) == ("en", "train"):
                continue
            path = folder / language / f"{split}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = [
                {"item_id": str(n), "parallel_id": str(n), "context": f"{n}: " + sentence.format("?"),
                 "choices": list(choices), "gold": n % 2}
                for n in numbers
            ]  # fmt: skip
            path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    text = [sentence.format(word) for sentence, choices in WORDS.values() for word in choices] * 60
    pretrain(
        Architecture(family="llama", hidden_size=16, layers=1, heads=2, intermediate_size=32, max_tokens=96),
        Pretraining(languages=("de",), vocabulary_size=300, steps=3, block_tokens=16, batch_tokens=64),
        text,
        folder / "model",
    )
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder / "model")
    write_task(folder / "weather")
    (folder / "study.yml").write_text(STUDY)
    done = transfer(folder, "compute", "--study", "study.yml")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "copy"))


def test_both_models_land_as_models_of_their_own(made: Path) -> None:
    models = ask(made, "select model, family, parameters > 0, length(revision) from raw.models order by model")
    assert [(str(m).partition("@")[0], *rest) for m, *rest in models] == [
        ("chatty", "llama", True, 64),
        ("mine", "llama", True, 64),
    ]
    assert ask(made, "select count(*), count(distinct model) from raw.item_scores where source_task is null") == [
        (48, 2)
    ]
    # The template's words are part of what is asked: the same weights answer otherwise.
    assert ask(
        made,
        "select count(*) from raw.item_scores a join raw.item_scores b using (target_task, target_language, item_id) "
        "where a.source_task is null and b.source_task is null and a.model < b.model and a.logprobs = b.logprobs",
    ) == [(0,)]


def test_a_training_prompt_of_its_own_is_a_variant(made: Path) -> None:
    assert ask(
        made,
        "select distinct variant, split_part(config ->> '$.prompt', '@', 1) from raw.jobs, "
        "lateral (select config ->> '$.variant' as variant) where config ->> '$.step' = 'train' order by all",
    ) == [("default", "cloze"), ("published", "lettered")]
    assert ask(
        made,
        "select count(distinct prompt) from raw.item_scores where target_task = 'weather' and source_task is not null",
    ) == [(1,)]


def test_an_adapter_loads_in_peft(made: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    (key,) = ask(made, "select job_key from raw.jobs where config ->> '$.step' = 'train' limit 1")[0]
    base = AutoModelForCausalLM.from_pretrained(made / "model")
    adapted = PeftModel.from_pretrained(base, made / "artifacts" / str(key))
    assert any("lora_A" in name for name, _ in adapted.named_parameters())


def test_a_moved_model_is_the_same_and_a_changed_one_is_not(copy: Path) -> None:
    (copy / "model").rename(copy / "elsewhere")
    study = copy / "study.yml"
    study.write_text(STUDY.replace("./model", "./elsewhere"))
    assert "0 to run" in transfer(copy, "plan", "--study", "study.yml").stdout
    config = copy / "elsewhere" / "config.json"
    config.write_text(config.read_text().replace('"rms_norm_eps": 1e-06', '"rms_norm_eps": 1e-05'))
    assert "0 to run" not in transfer(copy, "plan", "--study", "study.yml").stdout


def test_a_changed_question_recomputes_what_it_touches(copy: Path) -> None:
    path = copy / "weather/en/test.jsonl"
    path.write_text(path.read_text().replace("12: Today", "12: Tonight"))
    plan = transfer(copy, "plan", "--study", "study.yml").stdout
    assert "items of weather/en" in plan and "-> weather/en" in plan
    assert "-> weather/de" not in plan and "-> parity/en" not in plan and "run   tune" not in plan


def test_a_text_that_is_too_long_fails_its_target_unless_it_may_be_cut(copy: Path) -> None:
    path = copy / "weather/en/test.jsonl"
    path.write_text(path.read_text().replace("12: Today", "12: " + "Today " * 150))
    done = transfer(copy, "compute", "--study", "study.yml")
    assert done.returncode == 1
    assert "item 12" in done.stderr and "96" in done.stderr
    study = copy / "study.yml"
    study.write_text(STUDY + "truncate: true\n")
    assert transfer(copy, "compute", "--study", "study.yml").returncode == 0
    assert ask(copy, "select distinct item_id from raw.item_scores where truncated_tokens > 0") == [("12",)]


def test_layers_that_the_model_lacks_are_one_line(copy: Path) -> None:
    (copy / "study.yml").write_text(STUDY.replace("rank: 2", "rank: 2, target_modules: [q_pro]"))
    done = transfer(copy, "compute", "--study", "study.yml")
    assert done.returncode == 2
    place = "study.yml:15: lora.target_modules"
    assert done.stderr == f"transfer: {place}: model mine: unknown target module 'q_pro'; did you mean 'q_proj'?\n"


def test_layers_that_a_model_does_not_have_are_named_before_anything_runs(copy: Path) -> None:
    """Of a family, too, whose layers only transformers' own class tells: its file calls them otherwise."""
    config = copy / "model/config.json"
    llama = json.loads(config.read_text())
    config.write_text(json.dumps(llama | {"model_type": "mistral", "architectures": ["MistralForCausalLM"]}))
    (copy / "study.yml").write_text(STUDY.replace("rank: 2", "rank: 2, target_modules: [q_pro]"))
    done = transfer(copy, "compute", "--study", "study.yml")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1 and "did you mean 'q_proj'?" in done.stderr


def test_a_damaged_question_names_file_and_row_before_anything_runs(copy: Path) -> None:
    path = copy / "weather/de/train.jsonl"
    lines = path.read_text().splitlines()
    lines[4] = lines[4].replace('"gold": 0', '"gold": 2')
    path.write_text("\n".join(lines) + "\n")
    done = transfer(copy, "compute", "--study", "study.yml")
    assert done.returncode == 2
    assert "weather/de/train.jsonl" in done.stderr and "5" in done.stderr and "gold" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_target_without_training_data_is_no_source(copy: Path) -> None:
    study = copy / "study.yml"
    study.write_text(
        STUDY.replace("sources: {tasks: [weather], languages: [de]}", "sources: {tasks: [weather], languages: [en]}")
    )
    done = transfer(copy, "plan", "--study", "study.yml")
    assert done.returncode == 2
    assert "no training data" in done.stderr


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ("output_type: multiple_choice\ndoc_to_choice: [hot, cold]\ndoc_to_target: gold\n", "choice"),
        (
            "output_type: generate_until\ndoc_to_target: '{{gold}}'\n"
            "generation_kwargs: {until: ['.'], max_gen_toks: 4}\nmetric_list: [{metric: exact_match}]\n",
            "generation",
        ),
    ],
)
def test_a_task_file_written_for_the_harness_is_a_target(copy: Path, settings: str, kind: str) -> None:
    pytest.importorskip("lm_eval", reason="the extra lm-eval is not installed")
    (copy / "quiz.jsonl").write_text("".join(json.dumps({"day": n, "gold": n % 2}) + "\n" for n in range(6)))
    (copy / "quiz.yaml").write_text(
        "task: quiz\ndataset_path: json\ndataset_kwargs: {data_files: {test: quiz.jsonl}, cache_dir: cache}\n"
        "test_split: test\ndoc_to_text: 'Day {{day}} it is'\n" + settings
    )
    study = copy / "study.yml"
    study.write_text(STUDY.replace("[parity]", "['lm_eval:quiz.yaml']"))
    done = transfer(copy, "compute", "--study", "study.yml")
    assert done.returncode == 0, done.stderr
    assert ask(
        copy,
        "select kind, count(distinct model), count(*) from raw.item_scores join raw.tasks on task = target_task "
        "where task = 'lm_eval:quiz.yaml' group by all",
    ) == [(kind, 2, 36)]
