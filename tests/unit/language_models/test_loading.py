"""Loading: what is there comes as it was saved; what is not there, or not safe, is one line that says what to do."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import errors
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, T5Config

from compute.language_models import loading
from compute.language_models.loading import LoadingError, ModelDescription, describe_model, load_model
from tests.helpers.tiny_model import tiny_model


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny-llama"
    model, tokenizer = tiny_model()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "tiny-llama"))


def message(**arguments: Any) -> str:
    """Of the error that loading raises: one line."""
    with pytest.raises(LoadingError) as caught:
        load_model(**arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def change_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))


def test_comes_as_it_was_saved(original: Path) -> None:
    made, _ = tiny_model()
    model, tokenizer = load_model(original)
    assert not model.training and not any(parameter.requires_grad for parameter in model.parameters())
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in made.state_dict().items())
    assert tokenizer.pad_token_id is not None
    parameters = sum(parameter.numel() for parameter in made.parameters())
    assert describe_model(original) == ModelDescription("llama", parameters, "LlamaForCausalLM")


def test_dtypes(folder: Path) -> None:
    for asked, expected in (("bfloat16", torch.bfloat16), (torch.float16, torch.float16), ("auto", torch.float32)):
        assert load_model(folder, dtype=asked)[0].dtype == expected
    load_model(folder, dtype="bfloat16")[0].save_pretrained(folder)
    assert load_model(folder, dtype="auto")[0].dtype == torch.bfloat16
    assert load_model(folder)[0].dtype == torch.float32
    assert "unknown dtype 'float31'" in message(path_or_id=folder, dtype="float31")


def test_weights_in_several_files(original: Path, folder: Path) -> None:
    model, _ = load_model(original)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="20KB")
    assert len(list(folder.glob("*.safetensors"))) > 1
    again, _ = load_model(folder)
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in model.state_dict().items())
    last = sorted(folder.glob("*.safetensors"))[-1]
    last.unlink()
    assert last.name in message(path_or_id=folder) or "no file" in message(path_or_id=folder)


@pytest.mark.parametrize(
    "others",
    [
        ["pytorch_model.bin"],
        ["adapter_model.safetensors"],
        ["model-Q4_K_M.gguf", "consolidated.safetensors", "tf_model.h5"],
        ["model-00001-of-00002.safetensors", "onnx.onnx"],
    ],
)
def test_weights_that_lie_beside_those_that_are_read_are_said_and_change_nothing(
    others: list[str], original: Path, folder: Path
) -> None:
    for name in others:
        source = folder / "model.safetensors"
        (folder / name).write_bytes(source.read_bytes() if name.endswith(".safetensors") else b"weights")
    said: list[str] = []
    model, _ = load_model(folder, say=said.append)
    expected, _ = load_model(original)
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in expected.state_dict().items())
    assert said == [f"model {folder}: not read, though weights may be in them: {', '.join(sorted(others))}"]


def test_what_a_training_leaves_beside_a_model_is_no_weights(folder: Path) -> None:
    for name in ("training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth"):
        (folder / name).write_bytes(b"state")
    said: list[str] = []
    load_model(folder, say=said.append)
    assert said == []


def test_weights_of_a_wrapper_around_the_language_model_are_said(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    save_file(
        weights | {"vision_tower.patches.weight": torch.ones(2, 2)}, folder / "model.safetensors", {"format": "pt"}
    )
    said: list[str] = []
    load_model(folder, say=said.append)
    (line,) = said
    assert line.endswith(
        "1 weights of its files are no part of a LlamaForCausalLM, the first 'vision_tower.patches.weight'"
    )


def test_a_tokenizer_without_padding_pads_with_what_it_has(folder: Path) -> None:
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"pad_token": None}))
    _, tokenizer = load_model(folder)
    assert tokenizer.pad_token_id == tokenizer.eos_token_id


def test_folders_that_are_no_models(folder: Path) -> None:
    assert "no such folder; did you mean" in message(path_or_id=folder.parent / "tiny-lama")
    assert str(folder) in message(path_or_id=folder.parent / "tiny-lama")
    assert message(path_or_id=folder.parent).endswith("no config.json; save_pretrained writes one")
    (folder / "config.json").write_text("{")
    assert "its config.json cannot be read" in message(path_or_id=folder)


def _as_pickle(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def _cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def _without_a_weight(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def _without_tokenizer(folder: Path) -> None:
    for path in folder.glob("tokenizer*"):
        path.unlink()


def _other_shape(folder: Path) -> None:
    change_config(folder, intermediate_size=80)


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (_as_pickle, "no safetensors weights, only pytorch_model.bin; .*convert it with `save_pretrained`"),
        (lambda folder: (folder / "model.safetensors").unlink(), "no safetensors weights; "),
        (_cut, "model.safetensors is damaged .*; get it again"),
        (_without_a_weight, "1 of its weights are in no file, the first 'model.layers.1.mlp.up_proj.weight'"),
        (_other_shape, "its weights cannot be loaded: "),
        (_without_tokenizer, "it has no tokenizer; "),
        (lambda folder: (folder / "tokenizer.json").write_text("{"), "its tokenizer cannot be loaded: "),
        (lambda folder: change_config(folder, model_type="lama"), "does not know the architecture 'lama'"),
        (lambda folder: change_config(folder, model_type=None), "does not know the architecture None"),
        (lambda folder: change_config(folder, hidden_size="wide"), "its config.json is not valid: "),
        (lambda folder: T5Config().save_pretrained(folder), "a 't5' model, which is no causal language model"),
    ],
)
def test_models_that_cannot_be_loaded(folder: Path, damage: Callable[[Path], object], expected: str) -> None:
    damage(folder)
    with pytest.raises(LoadingError, match=f"^model {folder}: .*{expected}"):
        load_model(folder)


def test_a_chat_template_that_is_asked_for_must_be_there(folder: Path) -> None:
    assert "has none; set `chat_template: false`" in message(path_or_id=folder, chat_template=True)
    (folder / "chat_template.jinja").write_text("{{ messages[0]['content'] }}")
    load_model(folder, chat_template=True)


CODE = """
import pathlib
from transformers import LlamaConfig, LlamaForCausalLM
(pathlib.Path(__file__).parent / "ran").touch()
class OwnConfig(LlamaConfig):
    model_type = "own"
class OwnModel(LlamaForCausalLM):
    config_class = OwnConfig
"""


def test_code_that_comes_with_a_model_is_run_only_if_asked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(folder.parent / "modules"))
    monkeypatch.syspath_prepend(str(folder.parent / "modules"))
    (folder / "own.py").write_text(CODE)
    auto_map = {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnModel"}
    change_config(folder, model_type="own", auto_map=auto_map)
    assert "`trust_remote_code: true` to run it" in message(path_or_id=folder)
    assert not list(folder.parent.rglob("ran"))
    assert type(load_model(folder, trust_remote_code=True)[0]).__name__ == "OwnModel"
    assert list(folder.parent.rglob("ran"))


def test_what_torch_keeps_of_an_earlier_model_counts_as_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker loads one batch's model after another's; the driver knows nothing of torch's own store."""
    kept = {"bytes": 900}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: kept.update(bytes=0))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000 - kept["bytes"], 1000))
    assert loading.free_memory("cuda") == 1000


def test_a_model_too_large_is_refused_before_it_is_loaded(original: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = (original / "model.safetensors").stat().st_size
    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", lambda *args, **kwargs: pytest.fail("loaded"))
    monkeypatch.setattr(loading, "free_memory", lambda device: size // 2 - 4096)
    assert "its weights need 0.0 GiB and cpu has 0.0 GiB free" in message(path_or_id=original)
    assert "smaller dtype" in message(path_or_id=original, dtype="bfloat16")
    monkeypatch.undo()
    monkeypatch.setattr(loading, "free_memory", lambda device: size // 2 + 4096)
    load_model(original, dtype="bfloat16")


def _error(kind: type[Exception], text: str) -> Exception:
    """An error of the hub's client without the response that it comes from."""
    error = kind.__new__(kind)
    BaseException.__init__(error, text)
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            _error(errors.GatedRepoError, "Access\nis restricted"),
            "it is gated; accept its licence at .*/org/name",
        ),
        (_error(errors.RepositoryNotFoundError, "404"), "no such model; it may be private .*HF_TOKEN"),
        (_error(errors.RevisionNotFoundError, "404"), "no revision 'v2'"),
        (errors.LocalEntryNotFoundError("no connection"), "cannot be reached .*`hf download org/name`"),
        (_error(errors.HfHubHTTPError, "503 busy\nplease wait"), "the hub answers: 503 busy$"),
        (OSError("No space left on device"), "it cannot be downloaded: No space left on device"),
        (errors.HfHubHTTPError.__bases__[0]("peer closed"), "it cannot be downloaded: peer closed"),
    ],
)
def test_what_the_hub_refuses(error: Exception, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> str:
        raise error

    monkeypatch.setattr(loading, "snapshot_download", refuse)
    with pytest.raises(LoadingError, match=f"^model org/name: .*{expected}"):
        load_model("org/name", revision="v2")
    with pytest.raises(LoadingError, match=expected):
        describe_model("org/name", revision="v2")


def test_names_that_no_hub_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "neither a folder nor a name on the hub" in message(path_or_id="a/b/c")
    (tmp_path / "models--org--tiny-llama").mkdir()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))

    def refuse(*args: Any, **kwargs: Any) -> str:
        raise _error(errors.RepositoryNotFoundError, "404")

    monkeypatch.setattr(loading, "snapshot_download", refuse)
    assert "did you mean 'org/tiny-llama'?" in message(path_or_id="org/tiny-lama")


def test_the_hub_is_asked_for_weights_last_and_for_safetensors_only(
    original: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub's cache is played by a folder that has at first only what was asked for."""
    model, _ = load_model(original)
    model.save_pretrained(folder, max_shard_size="20KB")
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"never read")
    hidden = folder.parent / "hidden"
    hidden.mkdir()
    for path in folder.glob("*.safetensors"):
        path.rename(hidden / path.name)
    asked = []

    def download(name: str, revision: str, allow_patterns: list[str], ignore_patterns: list[str]) -> str:
        asked.append(allow_patterns)
        if any("safetensors" in pattern for pattern in allow_patterns):
            for path in hidden.iterdir():
                path.rename(folder / path.name)
        return str(folder)

    monkeypatch.setattr(loading, "snapshot_download", download)
    describe_model("org/name")
    monkeypatch.setattr(loading, "free_memory", lambda device: 1000)
    assert "GiB free" in message(path_or_id="org/name")
    assert not any("safetensors" in pattern for patterns in asked for pattern in patterns)
    monkeypatch.setattr(loading, "free_memory", lambda device: None)
    load_model("org/name")
    assert not any(Path("x.bin").match(p) or Path("x.py").match(p) for patterns in asked for p in patterns)
