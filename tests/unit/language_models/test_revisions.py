"""A checkpoint is pinned by its commit or by what is in its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError

from compute.errors import UserError
from compute.language_models import revisions
from compute.language_models.revisions import pin

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


def no_network(*_: Any, **__: Any) -> None:
    raise OSError("no network")


def checkpoint(folder: Path) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def test_a_folder_is_its_content(tmp_path: Path) -> None:
    one, other = checkpoint(tmp_path / "one"), checkpoint(tmp_path / "other")
    before = pin(str(one), "main")
    assert before.commit is None and before.location == str(one)
    assert pin(str(other), "main").identity == before.identity
    assert pin(str(one), "main") == before, "and reading it again, from the cache, changes nothing"
    (one / "README.md").write_text("no part of the model")
    assert pin(str(one), "main").identity == before.identity
    (one / "words.tiktoken").write_text("AA== 0")
    assert pin(str(one), "main").identity != before.identity
    (other / "model.safetensors").write_bytes(b"weighty")
    assert pin(str(other), "main").identity != before.identity


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no such folder"):
        pin(str(tmp_path / "nowhere"), "main")


def test_a_folder_has_no_revisions(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a folder has no revision 'v1'; leave `revision` out"):
        pin(str(checkpoint(tmp_path / "one")), "v1")


def test_a_commit_needs_no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", no_network)
    assert pin("some/model", COMMIT).identity == COMMIT


def test_a_branch_is_looked_up_on_the_hub_then_in_its_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Info:
        sha = COMMIT

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", lambda *_, **__: Info)
    assert pin("some/model", "main").commit == COMMIT
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", no_network)
    with pytest.raises(UserError, match=r"cannot be reached .*give a commit"):
        pin("some/model", "main")
    refs = tmp_path / "hub" / "models--some--model" / "refs"
    refs.mkdir(parents=True)
    (refs / "main").write_text(COMMIT[::-1])
    assert pin("some/model", "main").commit == COMMIT[::-1]


def test_a_hub_that_cannot_be_reached_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the hub's own client, whose errors are those of the HTTP library it has at the time."""
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UserError, match=r"cannot be reached .*give a commit"):
        pin("some/model", "main")


@pytest.mark.parametrize("name", ["a/b/c", "a model"])
def test_what_is_no_name_on_the_hub_is_told(name: str) -> None:
    with pytest.raises(UserError, match=f"model {name}: neither a folder nor a name on the hub"):
        pin(name, "main")


@pytest.mark.parametrize(
    ("error", "advice"),
    [("GatedRepoError", "accept its licence"), ("RepositoryNotFoundError", "no such model"),
     ("RevisionNotFoundError", "no revision 'v9'")],
)  # fmt: skip
def test_what_the_hub_refuses_says_what_to_do(error: str, advice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.errors as errors

    kind: type[HfHubHTTPError] = getattr(errors, error)

    def refuse(*_: Any, **__: Any) -> None:
        raise kind.__new__(kind)

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", refuse)
    with pytest.raises(UserError, match=advice):
        pin("some/model", "v9")


def test_a_path_is_told_from_a_name_on_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert not revisions.is_folder("org/model")
    assert revisions.is_folder("./model") and revisions.is_folder("/models/x")
    (tmp_path / "org" / "model").mkdir(parents=True)
    assert revisions.is_folder("org/model")
