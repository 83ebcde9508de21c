"""The catalog: which public files are used, exactly which version of each, and how to get them.

    from compute.catalog import fetch, find

    path = fetch(find("dadelani/sib-200", "data/annotated/deu_Latn/test.tsv"))

The project holds none of the data. `files.tsv` names every file on GitHub by repository, commit and path, with its
size, sha256 and licence; a file of the Hugging Face hub is a `HubFile`, made where it is used. `fetch` looks for an
entry under `<owner>/<repo>/<commit or revision>/<path>` in this order:

1. the directory that the environment variable `TRANSFER_MIRROR` names,
2. the user's cache (`pooch.os_cache`; the hub's own cache for its files),
3. the base URL that `TRANSFER_MIRROR` names,
4. the network: raw.githubusercontent.com or huggingface.co.

Wherever it is found its sha256 is checked, if the catalog knows one: a mirror cannot change a result. Finding an
entry and its digest needs neither the file nor a network, so a study is planned without either.

To add a file: one line in `files.tsv`.
"""

from __future__ import annotations

from compute.catalog.entries import CatalogedFile, Entry, HubFile, digest, files, find
from compute.catalog.fetching import MIRROR_VARIABLE, check_mirror, fetch

__all__ = ["MIRROR_VARIABLE", "CatalogedFile", "Entry", "HubFile", "check_mirror", "digest", "fetch", "files", "find"]
