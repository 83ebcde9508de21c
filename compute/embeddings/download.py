"""A file read from its address while it arrives, no further than it is needed."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from compute.errors import JobError

_SECONDS_OF_SILENCE = 60


class Download(io.RawIOBase):
    """What is read of it, it has; `digest` is the SHA-256 of the bytes read so far, `size` their number."""

    def __init__(self, response: HTTPResponse, address: str) -> None:
        self._response, self._address = response, address
        self._sha256 = hashlib.sha256()
        self.size = 0

    @property
    def digest(self) -> str:
        return self._sha256.hexdigest()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """Raises JobError when the connection breaks off."""
        try:
            data = self._response.read(size)
        except (OSError, HTTPException) as error:
            raise self._broken(error) from error
        # http.client gives a short answer as if it were the whole.
        if not data and size and self._response.length:
            raise self._broken(f"{self._response.length} bytes are missing")
        self._sha256.update(data)
        self.size += len(data)
        return data

    def _broken(self, why: object) -> JobError:
        return JobError(f"{self._address}: the connection broke off after {self.size} bytes ({why}); run again")


@contextmanager
def download(address: str) -> Iterator[Download]:
    """The content of an http(s) address; whatever has not been read when the block ends is never sent.

    Raises:
        JobError: it cannot be reached, or has no such file; the line says which and what to do.
    """
    try:
        response = urlopen(Request(address, headers={"User-Agent": "transfer-warehouse"}), timeout=_SECONDS_OF_SILENCE)
    except HTTPError as error:
        raise JobError(f"{address} answers {error.code} ({error.reason})") from error
    except (URLError, OSError, HTTPException) as error:
        reason = error.reason if isinstance(error, URLError) else error
        raise JobError(
            f"{address} cannot be reached ({reason}); download the file elsewhere and give its `path` instead"
        ) from error
    with response:
        yield Download(response, address)
