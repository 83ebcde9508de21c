"""What a file is that is not the plain text it should be: a container, an archive, a page, a pointer."""

from __future__ import annotations

from pathlib import Path

GZIP = b"\x1f\x8b"
"""How a gzipped file begins."""

_KINDS = {
    b"\x80": "a Python pickle: such files can run code and are never opened",
    b"\x93NUMPY": "a NumPy array, which has no words",
    b"PK\x03\x04": "a zip archive (or what PyTorch or NumPy save as one)",
    GZIP: "a gzipped file: unpack it (gunzip)",
    b"BZh": "a bzip2 file: unpack it (bunzip2)",
    b"\xfd7zXZ\x00": "an xz file: unpack it (unxz)",
    b"\x28\xb5\x2f\xfd": "a zstd file: unpack it (unzstd)",
    b"\x04\x22\x4d\x18": "an lz4 file: unpack it (unlz4)",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive: unpack it",
    b"Rar!": "a RAR archive: unpack it",
    b"\xff\xfe\0\0": "UTF-32 text: convert it to UTF-8 (iconv -f UTF-32 -t UTF-8)",
    b"\xff\xfe": "UTF-16 text: convert it to UTF-8 (iconv -f UTF-16 -t UTF-8)",
    b"\xfe\xff": "UTF-16 text: convert it to UTF-8 (iconv -f UTF-16 -t UTF-8)",
    b"\x89HDF": "an HDF5 file",
    b"PAR1": "a Parquet file",
    b"SQLite format 3": "an SQLite database (magnitude's, perhaps)",
    b"%PDF": "a PDF document",
    b"version https://git-lfs": "a pointer of Git LFS, not the file that it stands for: run `git lfs pull`",
}
"""Beginnings of files."""

_MARKUP = (b"<!doctype", b"<html", b"<?xml", b"<head")
_TAR_MARK = slice(257, 262)


def other_kind(beginning: bytes) -> str | None:
    """Return what a file is whose first 512 bytes these are, and what to do; None where it may be plain text."""
    for magic, what in _KINDS.items():
        if beginning.startswith(magic):
            return what
    if beginning[_TAR_MARK] == b"ustar":
        return "a tar archive: unpack it"
    if beginning.lstrip().lower().startswith(_MARKUP):
        return "a page of HTML or XML (what a download gave in the file's place?)"
    for letters, zeros in ((beginning[::2], beginning[1::2]), (beginning[1::2], beginning[::2])):
        # UTF-16 without its mark: the first line, numbers in all likelihood, has a zero in each second place.
        if len(zeros) >= 8 and not any(zeros[:8]) and all(32 <= byte < 127 or byte in b"\r\n" for byte in letters[:8]):
            return _KINDS[b"\xff\xfe"]
    return None


def refuse_other_kind(beginning: bytes) -> None:
    """Raises ValueError, which says what the file is and what to do, for one that is no text in UTF-8."""
    kind = other_kind(beginning)
    if kind is not None:
        raise ValueError(f"expected UTF-8 text, found {kind}")


def is_file(path: Path) -> bool:
    """Return whether a file lies there; not where no file can be called so, for which `Path.is_file` may raise."""
    try:
        return path.is_file()
    except OSError:
        return False
