"""What is told at planning of adapters and tuned checkpoints that are not taken: one line, with file and key."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from compute.engine.plan import study_jobs
from compute.errors import UserError
from compute.language_models.given_adapters import find_adapter
from compute.language_models.revisions import ADAPTER
from compute.study.remarks import remarks
from compute.study.schema import Study
from tests.helpers.given_adapters import METHODS, lora, train_adapter
from tests.helpers.tiny_model import tiny_model

WEIGHTS = "adapter_model.safetensors"
Change = Callable[[Path], object]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a base, `lora`, `prompts` and a tuned checkpoint of it."""
    folder = tmp_path_factory.mktemp("made")
    model, tokenizer = tiny_model()
    for name in ("base", "tuned"):
        for part in (model, tokenizer):
            part.save_pretrained(folder / name)
    train_adapter(model, lora(base_model_name_or_path=str(folder / "base")), folder / "lora")
    train_adapter(model, METHODS["prompt tuning"](), folder / "prompts")
    return folder


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    return Path(shutil.copytree(made, tmp_path / "made", dirs_exist_ok=True))


def planned(place: Path, **source: Any) -> Iterator[Any]:
    """The jobs of a study of one source; it is read and planned as a file's content would be."""
    entry = {"name": "mine", "adapter": str(place / "lora"), "task": "parity", "language": "de"} | source
    models = [{"name": "tiny", "checkpoint": str(place / "base"), "sources": [entry]}]
    targets = {"tasks": ["parity"], "languages": ["de", "en"]}
    study = Study.model_validate({"study": "s", "models": models, "targets": targets, "items": {"test": 4}})
    return (job for job in study_jobs(study).values() if job.plugin == "sources")


def refused(place: Path, **source: Any) -> str:
    with pytest.raises((UserError, ValueError)) as refusal:
        list(planned(place, **source))
    error = refusal.value
    # Pydantic's is made one line by who reads the file.
    text = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
    assert "\n" not in text
    return text


def setting(key: str, value: Any) -> Change:
    def change(folder: Path) -> None:
        path = folder / ADAPTER
        path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))

    return change


def tensors(edit: Callable[[dict[str, torch.Tensor]], object]) -> Change:
    def change(folder: Path) -> None:
        found = load_file(folder / WEIGHTS)
        edit(found)
        save_file(found, folder / WEIGHTS)

    return change


def pickled(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    torch.save({}, folder / "adapter_model.bin")


def widened(found: dict[str, torch.Tensor]) -> None:
    for key in list(found):
        if key.endswith("lora_A.weight"):
            found[key] = torch.zeros(len(found[key]), 48)


def another_vocabulary(folder: Path) -> None:
    tokenizer = json.loads((folder.parent / "base" / "tokenizer.json").read_text())
    tokenizer["added_tokens"].append({**tokenizer["added_tokens"][0], "id": 400, "content": "<tool>"})
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))


HOSTILE: dict[str, tuple[Change, tuple[str, ...]]] = {
    "rank 0": (setting("r", 0), (ADAPTER, "r is 0; expected a whole number from 1")),
    "rank -1": (setting("r", -1), (ADAPTER, "r is -1")),
    "rank 1e9": (setting("r", 1e9), (ADAPTER, "r is 1000000000.0")),
    "a large whole rank": (setting("r", 10**9), (ADAPTER, "r is 1000000000")),
    "a rank that is true": (setting("r", True), (ADAPTER, "r is True")),
    "another rank than the weights'": (setting("r", 4), (WEIGHTS, "lora_A.weight' is [8, 32]", "takes [4, 32]")),
    "no rank": (setting("r", None), (ADAPTER, "r is missing")),
    "rank 0 in a pattern": (setting("rank_pattern", {"q_proj": 0}), (ADAPTER, "rank_pattern.q_proj is 0")),
    "a pattern that is a list": (setting("alpha_pattern", ["q_proj"]), (ADAPTER, "alpha_pattern is ['q_proj']")),
    "alpha NaN": (setting("lora_alpha", float("nan")), (ADAPTER, "lora_alpha is nan; expected a finite number")),
    "alpha without end": (setting("alpha_pattern", {"q": float("inf")}), (ADAPTER, "alpha_pattern.q is inf")),
    "alpha in words": (setting("lora_alpha", "16"), (ADAPTER, "lora_alpha is '16'")),
    "dropout of 7": (setting("lora_dropout", 7), (ADAPTER, "dropout probability")),
    "no such layers": (setting("target_modules", ["q_porj"]), (ADAPTER, "target_modules", "did you mean 'q_proj'?")),
    "a pattern of no layers": (setting("target_modules", "h.[0-9]+.c_attn"), (ADAPTER, "target_modules", "no layer")),
    "no pattern at all": (setting("target_modules", "("), (ADAPTER, "target_modules", "no pattern")),
    "other layers": (setting("target_modules", ["k_proj"]), (WEIGHTS, "lacks", "k_proj.lora_A")),
    "a number for layers": (setting("target_modules", 5), (ADAPTER, "refuses it")),
    "another task": (setting("task_type", "SEQ_CLS"), (ADAPTER, "task_type is 'SEQ_CLS'")),
    "code": (setting("auto_mapping", {"base_model_class": "M", "parent_library": "evil.models"}), (ADAPTER,
             "auto_mapping", "'evil.models'")),
    "code to import": (setting("megatron_config", {"a": 1}), (ADAPTER, "megatron_config")),
    "an unknown method": (setting("peft_type", "LOAR"), (ADAPTER, "peft_type", "did you mean 'LORA'?")),
    "a method beyond a text": (setting("peft_type", "POLY"), (ADAPTER, "peft_type is 'POLY'")),
    "a setting of a later PEFT": (setting("use_nora", True), (ADAPTER, "use_nora")),
    "activated by a text": (setting("alora_invocation_tokens", [5]), (ADAPTER, "alora_invocation_tokens")),
    "started from data": (setting("init_lora_weights", "corda"), (ADAPTER, "init_lora_weights is 'corda'")),
    "another base": (setting("base_model_name_or_path", "meta-llama/Llama-3.2-1B"), (ADAPTER,
                     "base_model_name_or_path is 'meta-llama/Llama-3.2-1B'", "base: meta-llama/Llama-3.2-1B")),
    "a base that is a number": (setting("base_model_name_or_path", 7), (ADAPTER, "base_model_name_or_path is 7")),
    "no JSON": (lambda folder: (folder / ADAPTER).write_text("{"), (ADAPTER, "cannot be read as JSON")),
    "no end of brackets": (lambda folder: (folder / ADAPTER).write_text("[" * 10**5), (ADAPTER,)),
    "deep settings": (lambda folder: (folder / ADAPTER).write_text('{"a":' * 900 + "1.5" + "}" * 900), (ADAPTER,)),
    "no UTF-8": (lambda folder: (folder / ADAPTER).write_bytes(b"\xff{}"), (ADAPTER, "cannot be read as JSON")),
    "a list": (lambda folder: (folder / ADAPTER).write_text("[]"), (ADAPTER, "expected an object")),
    "no settings": (lambda folder: (folder / ADAPTER).unlink(), ("lora", ADAPTER)),
    "a pickle": (pickled, (WEIGHTS, "adapter_model.bin, a pickle")),
    "no weights": (lambda folder: (folder / WEIGHTS).unlink(), (WEIGHTS, "no such file")),
    "damaged weights": (lambda folder: (folder / WEIGHTS).write_bytes(b"x" * 40), (WEIGHTS, "damaged")),
    "a weight missing": (tensors(lambda found: found.popitem()), (WEIGHTS, "lacks 'base_model.model.", "1 of 8")),
    "a weight too many": (tensors(lambda found: found.update(other=torch.ones(1))), (WEIGHTS, "'other'")),
    "weights of another width": (tensors(widened), (WEIGHTS, "is [8, 48]", "takes [8, 32]")),
    "another vocabulary": (another_vocabulary, ("tokenizer.json", "'<tool>' is number 400")),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_an_adapter_that_is_not_taken(place: Path, name: str) -> None:
    change, parts = HOSTILE[name]
    assert list(planned(place))
    change(place / "lora")
    told = refused(place)
    assert str(place / "lora") in told and all(part in told for part in parts), told


def test_prompts_of_another_length_are_not_taken(place: Path) -> None:
    assert list(planned(place, adapter=str(place / "prompts")))
    setting("num_virtual_tokens", 7)(place / "prompts")
    assert "'prompt_embeddings' is [5, 32]" in refused(place, adapter=str(place / "prompts"))


@pytest.mark.parametrize("base", ["elsewhere/base", "/mnt/old/BASE", None, ""])
def test_bases_that_may_be_the_same(place: Path, base: str | None) -> None:
    setting("base_model_name_or_path", base)(place / "lora")
    assert list(planned(place))


def test_another_name_of_the_base_is_said(place: Path) -> None:
    setting("base_model_name_or_path", "mirror/of-it")(place / "lora")
    assert list(planned(place, base="mirror/of-it"))
    assert "'mirror/of-it'" in refused(place, base="mirror/of-itt")


def test_a_checkpoint_of_another_shape_is_not_taken(place: Path) -> None:
    source = {"adapter": None, "checkpoint": str(place / "tuned")}
    assert list(planned(place, **source))
    path = place / "tuned" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"num_hidden_layers": 3}))
    told = refused(place, **source)
    assert "config.json: num_hidden_layers is 3" in told and "'tiny', 2" in told


def test_an_adapter_is_its_content(place: Path, tmp_path: Path) -> None:
    """Neither its place, nor what lies beside it, nor what it calls its base decides its key; what it scores does."""
    keys = [job.key for job in planned(place)]
    moved = shutil.copytree(place / "lora", tmp_path / "elsewhere")
    (moved / "README.md").write_text("Another.")
    setting("base_model_name_or_path", None)(moved)
    assert [job.key for job in planned(place, adapter=str(moved))] == keys
    setting("lora_alpha", 17)(moved)
    scaled = [job.key for job in planned(place, adapter=str(moved))]
    setting("lora_alpha", 8)(moved)
    tensors(lambda found: next(iter(found.values())).add_(1))(moved)
    changed = [job.key for job in planned(place, adapter=str(moved))]
    assert len({*keys, *scaled, *changed}) == 6


def test_an_adapter_of_the_hub_is_the_same_adapter(
    place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As the hub's cache holds it, without a network."""
    commit = "0" * 40
    snapshot = tmp_path / "hub" / "models--someone--tuned" / "snapshots" / commit
    shutil.copytree(place / "lora", snapshot)
    refs = snapshot.parents[1] / "refs"
    refs.mkdir()
    (refs / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    found = find_adapter("someone/tuned")
    assert found.digest == find_adapter(str(place / "lora")).digest
    assert [job.key for job in planned(place, adapter="someone/tuned")] == [job.key for job in planned(place)]


MISTAKES: dict[str, tuple[list[dict[str, Any]], str]] = {
    "neither": ([{"adapter": None}], "give its `adapter`, or its `checkpoint`"),
    "both": ([{"checkpoint": "./x"}], "give its `adapter`, or its `checkpoint`"),
    "a code of three letters": ([{"language": "deu"}], "'deu' is written 'de' here"),
    "no such code": ([{"language": "xx"}], "unknown language 'xx'"),
    "one seed twice": ([{}, {}], "source 'mine' with seed 0 is listed twice"),
    "one name of two": ([{}, {"seed": 1, "language": "en"}], "of one task, language and variant"),
    "two of one cell": ([{"variant": "v"}, {"name": "yours", "variant": "v"}], "'mine' and 'yours' are both parity/de"),
    "a revision of a folder": ([{"revision": "v1"}], "a folder has no revision 'v1'"),
    "no such folder": ([{"adapter": "{place}/lroa"}], "no such folder; did you mean 'lora'?"),
    "a cell that is tuned": ([{"variant": "default"}], "the study itself tunes on parity/de under variant 'default'"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_the_study(made: Path, name: str) -> None:
    sources, said = MISTAKES[name]
    own = {"name": "mine", "adapter": "{place}/lora", "task": "parity", "language": "de"}
    entries = [
        {key: value.replace("{place}", str(made)) if isinstance(value, str) else value for key, value in entry.items()}
        for entry in (own | source for source in sources)
    ]
    models = [{"name": "tiny", "checkpoint": str(made / "base"), "sources": entries}]
    grid = {"tasks": ["parity"], "languages": ["de"]}
    with pytest.raises(ValueError, match=r"(?s).*") as refusal:
        Study.model_validate({"study": "s", "models": models, "sources": grid, "targets": grid, "seeds": [1]})
    assert said in str(refusal.value)


def test_a_task_that_is_not_known_is_said(made: Path) -> None:
    sources = [
        {"name": f"of-{task}", "adapter": str(made / "lora"), "task": task}
        for task in ("mul", "und", "parity", "pariti", "dolly")
    ]
    models = [{"name": "tiny", "checkpoint": str(made / "base"), "sources": sources}]
    study = Study.model_validate(
        {"study": "s", "models": models, "targets": {"tasks": ["parity"], "languages": ["de"]}}
    )
    first, second = remarks(study)
    assert "source of-pariti of model tiny: 'pariti' is no task known here (or is it 'parity'?)" in first
    assert "'dolly' is no task known here, so every target counts as another task" in second


def test_adapters_are_listed_under_their_model() -> None:
    with pytest.raises(ValueError, match=r"models\[\]\.sources"):
        Study.model_validate({"study": "s", "models": ["./x"], "sources": [{"name": "a", "adapter": "./a"}]})


def test_a_base_that_is_trained_from_scratch(made: Path) -> None:
    """What is known of it at planning: its shape and its name."""
    architecture = {
        "family": "llama",
        "hidden_size": 32,
        "layers": 2,
        "heads": 2,
        "intermediate_size": 64,
        "max_tokens": 64,
    }
    entry = {"name": "mine", "adapter": str(made / "lora"), "base": str(made / "base")}
    content = {
        "study": "s",
        "models": [
            {
                "name": "scratch", "architecture": architecture, "sources": [entry],
                "pretrain": {"languages": ["de"], "steps": 1, "vocabulary_size": 500},
            }
        ],
        "targets": {"tasks": ["parity"], "languages": ["de"]},
    }  # fmt: skip
    jobs = study_jobs(Study.model_validate(content)).values()
    assert [job.config.source_task for job in jobs if job.plugin == "sources"] == ["und"]
    wider = copy.deepcopy(content)
    wider["models"][0]["architecture"]["hidden_size"] = 64  # type: ignore[index]
    with pytest.raises(ValueError, match=r"lora_A.weight' is \[8, 32\].*takes \[8, 64\]"):
        study_jobs(Study.model_validate(wider))
