"""What exactly a checkpoint is: a commit on the hub, or the digest of a folder's files."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from compute.errors import UserError
from compute.project import expand
from compute.store.digests import content_digest

_COMMIT = re.compile(r"[0-9a-f]{40}")
_READ_FILES = ("*.json", "*.safetensors", "*.model", "*.tiktoken", "*.jinja", "*.txt", "*.py")
"""Files of a folder that can change what a model answers."""


ADAPTER = "adapter_config.json"


@dataclass(frozen=True)
class Revision:
    """A checkpoint that cannot change any more.

    Attributes:
        location: where it is loaded from: the name on the hub, or the folder's absolute path.
        commit: on the hub, 40 hexadecimal digits; None for a folder.
        identity: what stands for it in job keys: the commit, or the sha256 over a folder's files.
    """

    location: str
    commit: str | None
    identity: str


def is_folder(checkpoint: str) -> bool:
    """Return whether `checkpoint` means a folder: it looks like a path, or there is a folder of that name."""
    return checkpoint.startswith((".", "/", "~")) or Path(checkpoint).is_dir()


def check_folder(checkpoint: str) -> None:
    """Raises UserError if `checkpoint` means a folder and no model is in it, or one with an adapter beside it."""
    folder = expand(checkpoint)
    if not is_folder(checkpoint):
        return
    if (folder / "config.json").is_file():
        check_no_adapter(checkpoint, folder)
        return
    if (folder / ADAPTER).is_file():
        raise UserError(
            f"model {checkpoint}: the folder holds an adapter and no model; name its base as the checkpoint"
        )
    if folder.is_dir():
        raise UserError(f"model {checkpoint}: the folder has no config.json; save_pretrained writes one")
    beside = [one.name for one in folder.parent.iterdir() if one.is_dir()] if folder.parent.is_dir() else []
    near = get_close_matches(folder.name, beside, n=1)
    hint = f"; did you mean {str(folder.parent / near[0])!r}?" if near else ""
    raise UserError(f"model {checkpoint}: no such folder{hint}")


def check_no_adapter(checkpoint: str, folder: Path) -> None:
    """Raises UserError for a model beside which an adapter lies: transformers would put it on without a word."""
    if (folder / ADAPTER).is_file():
        raise UserError(
            f"model {checkpoint}: beside the model lies an adapter ({ADAPTER}), and which of them is meant cannot be "
            "told; take the adapter's files elsewhere, or merge it into the model (PEFT's `merge_and_unload`)"
        )


def check_revision(checkpoint: str, revision: str) -> None:
    """Raises UserError for a revision of a folder, which has none."""
    if is_folder(checkpoint) and revision != "main":
        raise UserError(f"model {checkpoint}: a folder has no revision {revision!r}; leave `revision` out")


def pin(checkpoint: str, revision: str) -> Revision:
    """Return the revision that `checkpoint` is at now.

    A commit is taken as it is; of a branch or tag the hub is asked, or, where it cannot be reached, the cache of what
    was downloaded before.

    Raises:
        UserError: no such folder or model; a branch that nobody can resolve; a revision of a folder. The line says
            what to do.
    """
    check_revision(checkpoint, revision)
    if is_folder(checkpoint):
        folder = expand(checkpoint).absolute()
        check_folder(checkpoint)
        return Revision(str(folder), None, _folder_digest(folder))
    commit = revision if _COMMIT.fullmatch(revision) else _ask_hub(checkpoint, revision)
    return Revision(checkpoint, commit, commit)


def _ask_hub(checkpoint: str, revision: str) -> str:
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )
    from huggingface_hub.file_download import repo_folder_name

    try:
        commit = HfApi().model_info(checkpoint, revision=revision, timeout=20).sha
        if commit is not None:
            return commit
    except RevisionNotFoundError:
        raise UserError(f"model {checkpoint}: the hub has no revision {revision!r} of it") from None
    except GatedRepoError:
        raise UserError(
            f"model {checkpoint}: it is gated; accept its licence on its page and log in (`hf auth login`, or HF_TOKEN)"
        ) from None
    except RepositoryNotFoundError:
        raise UserError(
            f"model {checkpoint}: the hub has no such model, or it is private (log in with `hf auth login`, or set "
            "HF_TOKEN); a folder is written ./like/this"
        ) from None
    except HFValidationError:
        raise UserError(
            f"model {checkpoint}: neither a folder nor a name on the hub, which is `owner/name`; a folder is written "
            "./like/this"
        ) from None
    except Exception:  # whatever the HTTP library of this version of the hub's client raises without a network
        pass  # the cache may know
    reference = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=checkpoint, repo_type="model")
    try:
        return (reference / "refs" / revision).read_text(encoding="utf-8").strip()
    except OSError:
        raise UserError(
            f"model {checkpoint}: the hub cannot be reached to look up revision {revision!r}, and it was not "
            "downloaded before; give a commit as `revision`, or a folder as `checkpoint`"
        ) from None


def _folder_digest(folder: Path) -> str:
    """sha256 over names and contents."""
    files = sorted({path for pattern in _READ_FILES for path in folder.glob(pattern) if path.is_file()})
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.name}\0{content_digest(path)}\n".encode())
    return digest.hexdigest()
