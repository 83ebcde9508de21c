"""What was scored otherwise before is computed anew, and nothing else: told from a checkpoint's files at planning."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import processors
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

from compute.engine.plan import study_jobs
from compute.errors import UserError
from compute.language_models import stored_config
from compute.language_models.fidelity import added_at_the_end
from compute.language_models.loading import LoadingError, load_model
from compute.language_models.one_by_one import in_batches
from compute.language_models.stored_reading import AS_MOST, ONE_BY_ONE, Reading, stored_reading
from compute.study.file import read_study
from tests.helpers.tiny_model import tiny_model

STUDY = """study: s
models: [{name: m, checkpoint: ./model, dtype: float32}]
sources: {tasks: [parity], languages: [de]}
targets: {tasks: [parity, arithmetic], languages: [de]}
seeds: [1]
"""
TUNED = "tune m default on parity/de seed 1"
MAMBA2 = {"model_type": "mamba2", "num_hidden_layers": 1, "num_heads": 4, "head_dim": 16, "hidden_size": 32}


def saved(folder: Path, **changes: dict[str, Any]) -> Path:
    """Write a tiny Llama into `folder`, some of its files changed."""
    model, tokenizer = tiny_model()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    for name, entries in changes.items():
        path = folder / f"{name}.json"
        before = json.loads(path.read_text()) if path.is_file() else {}
        path.write_text(json.dumps(before | entries))
    return folder


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, AS_MOST),
        ({"config": {"model_type": "falcon_mamba"}}, Reading(generates_alone=True)),
        ({"config": {"text_config": {"layer_types": ["conv", "full_attention"]}}}, Reading(generates_alone=True)),
        ({"generation_config": {"no_repeat_ngram_size": 2}}, Reading(generates_alone=True)),
        ({"generation_config": {"forced_bos_token_id": 0}}, Reading(generates_alone=True)),
        ({"generation_config": {"num_beams": 1, "temperature": 0.6, "repetition_penalty": 1.2}}, AS_MOST),
        ({"tokenizer_config": {"add_eos_token": True}}, Reading(leaves_out_end=True)),
        (
            {"config": {"quantization_config": {"load_in_8bit": True}}},
            Reading(alone=True, generates_alone=True),
        ),
        ({"config": {"quantization_config": {"load_in_4bit": True}}}, AS_MOST),
        ({"config": {"rope_scaling": {"type": "su", "short_factor": [1.0]}}}, Reading(parts_by_length=True)),
        ({"config": {"rope_parameters": {"full_attention": {"rope_type": "longrope"}}}}, Reading(parts_by_length=True)),
        ({"config": {"rope_parameters": {"rope_type": "yarn", "factor": 4.0}}}, AS_MOST),
        ({"config": {"model_type": "reformer"}}, Reading(generates_alone=True, parts_by_length=True)),
    ],
)  # fmt: skip
def test_files_tell_how_texts_are_read(changes: dict[str, dict[str, Any]], expected: Reading, tmp_path: Path) -> None:
    assert stored_reading(str(saved(tmp_path, **changes)), None) == expected


def test_what_is_told_is_what_a_worker_finds(tmp_path: Path) -> None:
    folder = saved(tmp_path, generation_config={"no_repeat_ngram_size": 2})
    model, tokenizer = load_model(folder)
    assert stored_reading(str(folder), None).generates_alone and not in_batches(model, {})
    for single in ("<|endoftext|> $A", "$A <|endoftext|>"):
        tokenizer.backend_tokenizer.post_processor = processors.Sequence(
            [processors.TemplateProcessing(single=single, special_tokens=[("<|endoftext|>", 0)])]
        )
        tokenizer.save_pretrained(folder)
        _, read = load_model(folder)
        assert stored_reading(str(folder), None).leaves_out_end is bool(added_at_the_end(read))


def test_every_family_that_takes_no_padding_is_listed() -> None:
    of_another_mask = {"bloom", "mpt"}
    for config, model in MODEL_FOR_CAUSAL_LM_MAPPING.items():
        architecture: Any = model[0] if isinstance(model, tuple) else model
        arguments = inspect.signature(architecture.forward).parameters
        takes = {"past_key_values", "position_ids"} <= arguments.keys() or config.model_type in of_another_mask
        if not takes or getattr(architecture, "_is_stateful", False):
            assert config.model_type in ONE_BY_ONE


def keys(folder: Path, **changes: dict[str, Any]) -> dict[str, str]:
    """Return the jobs' keys by label, of a study on a checkpoint that is said to be at one revision."""
    saved(folder / "model", **changes)
    (folder / "study.yml").write_text(STUDY)
    return {job.label: job.key for job in study_jobs(read_study(folder / "study.yml")).values()}


@pytest.mark.parametrize(
    ("changes", "anew"),
    [
        ({"generation_config": {"num_beams": 3}}, {"baseline m -> arithmetic/de", f"{TUNED} -> arithmetic/de"}),
        (
            {"tokenizer_config": {"add_eos_token": True}},
            {
                "baseline m -> arithmetic/de", "baseline m -> parity/de", TUNED, f"{TUNED} -> arithmetic/de",
                f"{TUNED} -> parity/de",
            },
        ),
    ],
)  # fmt: skip
def test_only_jobs_that_were_scored_otherwise_have_other_keys(
    changes: dict[str, dict[str, Any]], anew: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("compute.language_models.revisions._folder_digest", lambda folder: "0" * 64)
    before, after = keys(tmp_path), keys(tmp_path, **changes)
    assert {label for label in before if before[label] != after[label]} == anew


def test_adapters_that_leave_layers_out_have_other_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    keys(tmp_path, config=MAMBA2 | {"auto_map": {"AutoModelForCausalLM": "code_that_is_not_run.Other"}})
    (training,) = (
        job for job in study_jobs(read_study(tmp_path / "study.yml")).values() if job.label.endswith("seed 1")
    )
    assert training.config.left_out == ("out_proj",) and "left_out" in training.config.identity()


@pytest.mark.parametrize(
    ("config", "layer", "why"),
    [
        (MAMBA2, "out_proj", r"PEFT would not load an adapter on these"),
        ({"model_type": "qwen3_moe"}, "gate_proj", r"the experts of a 'qwen3_moe' model are one stacked parameter"),
        ({"model_type": "gpt2"}, "c_atn", r"did you mean 'c_attn'"),
        ({"model_type": "llama4_text", "num_hidden_layers": 1}, "router", r"they return more than a product"),
    ],
)
def test_named_layers_that_take_no_adapter_are_refused_at_planning(
    config: dict[str, Any], layer: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (saved(tmp_path / "model") / "config.json").write_text(json.dumps(config))
    (tmp_path / "study.yml").write_text(f"{STUDY}lora:\n  target_modules: [{layer}]\n")
    with pytest.raises(UserError, match=rf"study.yml:7: lora.target_modules: model m: .*{why}"):
        read_study(tmp_path / "study.yml")


def test_a_tokenizer_of_sentencepiece_without_its_library_is_refused_at_planning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = saved(tmp_path / "model")
    (tmp_path / "study.yml").write_text(STUDY)
    (folder / "tokenizer.model").write_bytes(b"\n\x0e\n\x05<unk>")
    monkeypatch.setattr("compute.language_models.stored_config.find_spec", lambda name: None)
    read_study(tmp_path / "study.yml")  # tokenizer.json is there as well
    (folder / "tokenizer.json").unlink()
    message = r"model \S+: its tokenizer is in tokenizer.model alone, which sentencepiece reads, .*\[sentencepiece\]"
    with pytest.raises(UserError, match=rf"study.yml:2: models\[0\].checkpoint: {message}"):
        read_study(tmp_path / "study.yml")
    with pytest.raises(LoadingError, match=message):
        load_model(folder)
    (folder / "tokenizer.model").write_bytes(b"IQ== 0\n")  # byte pairs, as of Llama 3
    read_study(tmp_path / "study.yml")
    monkeypatch.setattr("compute.language_models.stored_config.find_spec", lambda name: object())
    (folder / "tokenizer.model").write_bytes(b"\n\x0e\n\x05<unk>")
    read_study(tmp_path / "study.yml")


def test_weights_of_another_format_alone_are_refused_at_planning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = saved(tmp_path / "model")
    (tmp_path / "study.yml").write_text(STUDY)
    (folder / "pytorch_model.bin").write_bytes(b"weights")
    read_study(tmp_path / "study.yml")
    (folder / "model.safetensors").unlink()
    with pytest.raises(
        UserError, match=r"study.yml:2: .*no safetensors weights, only pytorch_model.bin; other formats"
    ):
        read_study(tmp_path / "study.yml")


def test_a_model_of_the_hub_is_looked_at_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its small files are asked for once it is pinned, where they were not downloaded before."""
    asked = []
    stored_config._is_reached.cache_clear()

    def download(name: str, file: str, revision: str) -> str:
        asked.append((name, file, revision))
        path = tmp_path / file
        path.write_text(json.dumps({"quantization_config": {"quant_method": "gptq"}} if file == "config.json" else {}))
        return str(path)

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", lambda *_, **__: None)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_, **__: None)
    commit = "0123456789abcdef" * 2 + "01234567"
    study = tmp_path / "study.yml"
    study.write_text(STUDY.replace("./model", f"some/model, revision: {commit}"))
    with pytest.raises(UserError, match=r"model some/model: its weights are quantized by gptq, and only those of bits"):
        study_jobs(read_study(study))
    assert asked == [("some/model", "config.json", commit)]
