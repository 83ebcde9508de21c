"""Getting a cataloged file: from the mirror, the cache or the network, and checked wherever it was."""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path
from urllib.parse import quote

import pooch

from compute.catalog.entries import Entry, HubFile
from compute.errors import UserError, refused_by_disk
from compute.project import expand
from compute.store.digests import content_digest

MIRROR_VARIABLE = "TRANSFER_MIRROR"
"""Environment variable: a directory or a base URL."""

_CACHE_NAME = "transfer-warehouse"
_TIMEOUT_SECONDS = 30

pooch.get_logger().setLevel(logging.WARNING)  # one line a file is no news


def fetch(entry: Entry) -> Path:
    """Return a local path of the file, its content checked. Nothing but the cache is written.

    Raises:
        UserError: it cannot be had (the line says what was tried and what to set), or its content is not what the
            catalog says (the line gives the file, the digest expected and the one found).
    """
    check_mirror()
    mirror = os.environ.get(MIRROR_VARIABLE, "")
    mirror_url = mirror.rstrip("/") if mirror.startswith(("http://", "https://")) else None
    if mirror and mirror_url is None:
        path = expand(mirror) / entry.key
        if path.is_file():
            return _checked(entry, path)
    if entry.sha256 is not None:
        cached = _cache_path(entry)
        if cached.is_file() and content_digest(cached) == entry.sha256:
            return cached
    tried: list[str] = []
    if mirror_url is not None:
        downloaded = _download(entry, f"{mirror_url}/{quote(entry.key)}", tried)
        if downloaded is not None:
            return downloaded
    downloaded = _from_hub(entry, tried) if isinstance(entry, HubFile) else _download(entry, entry.url, tried)
    if downloaded is not None:
        return downloaded
    where = f"in the mirror {mirror} nor " if mirror else ""
    raise UserError(
        f"{entry.key}: not {where}in the cache, and {'; '.join(tried)}; "
        f"set {MIRROR_VARIABLE} to a directory or base URL that has it under that path"
    )


def check_mirror() -> None:
    """Raises UserError for a mirror that is named and not there; addresses are not looked up."""
    mirror = os.environ.get(MIRROR_VARIABLE, "")
    if mirror and not mirror.startswith(("http://", "https://")) and not expand(mirror).is_dir():
        raise UserError(f"{MIRROR_VARIABLE}: no directory {mirror}; expected a directory or an http(s) base URL")


def cache_folder() -> Path:
    """Return the folder of this user and machine for what can be had again."""
    return Path(pooch.os_cache(_CACHE_NAME))


def _cache_path(entry: Entry) -> Path:
    return cache_folder() / entry.key


def _checked(entry: Entry, path: Path) -> Path:
    if entry.sha256 is not None and (found := content_digest(path)) != entry.sha256:
        raise UserError(f"{path}: sha256 {found}, expected {entry.sha256}: not the file that is cataloged")
    return path


def _download(entry: Entry, url: str, tried: list[str]) -> Path | None:
    """Return the file from an address, put into the cache whole and checked; None, and why in `tried`, if it is not
    there."""
    import requests

    target = _cache_path(entry)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetching-") as folder:
            path = Path(
                pooch.retrieve(
                    url,
                    known_hash=None,  # checked below, for an error that names what was found
                    fname="file",
                    path=folder,
                    downloader=pooch.HTTPDownloader(timeout=_TIMEOUT_SECONDS),
                )
            )
            if entry.sha256 is not None and (found := content_digest(path)) != entry.sha256:
                raise UserError(f"{url}: sha256 {found}, expected {entry.sha256}: not the file that is cataloged")
            path.replace(target)
    except requests.HTTPError as error:
        tried.append(f"{url} answers {error.response.status_code if error.response is not None else 'with an error'}")
        return None
    except requests.RequestException as error:
        tried.append(f"{url} cannot be reached ({type(error).__name__})")
        return None
    except OSError as error:
        raise UserError(f"{target}: cannot be written: {error.strerror or error}") from error
    return target


def _from_hub(entry: HubFile, tried: list[str]) -> Path | None:
    """Return the file from the hub or its cache; None, and why in `tried`, if it is not to be had."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, LocalEntryNotFoundError

    try:
        path = hf_hub_download(entry.repository, entry.path, repo_type="dataset", revision=entry.revision)
    except LocalEntryNotFoundError:
        tried.append(f"{entry.url} cannot be reached")
        return None
    except GatedRepoError as error:
        raise UserError(
            f"{entry.url}: access is restricted; accept its terms on the hub, then log in with `hf auth login`"
        ) from error
    except EntryNotFoundError as error:
        raise UserError(f"{entry.url}: the data set has no such file; was it reorganised?") from error
    except Exception as error:  # whatever the HTTP library of this version of the hub's client raises
        if (refused := refused_by_disk(error)) is not None:
            raise UserError(f"{entry.key}: {refused}") from error
        tried.append(f"{entry.url} cannot be had ({type(error).__name__})")
        return None
    return _checked(entry, Path(path))
