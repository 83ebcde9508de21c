"""Reads word vectors from the files people publish: word2vec text and binary, GloVe, fastText.

A limit on the vocabulary reads no more of the file than it needs, and little more memory is held than the vectors take.
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from compute.embeddings.formats import fasttext
from compute.embeddings.formats.binary import looks_binary, read_binary
from compute.embeddings.formats.stream import ByteStream, Source
from compute.embeddings.formats.text import read_text
from compute.embeddings.formats.words_read import Fold, Reading, WordsRead
from compute.embeddings.settings import VectorFormat
from compute.embeddings.vectors import Vectors
from compute.file_kinds import GZIP, other_kind


def read_vectors(
    path: Path, file_format: VectorFormat = "auto", vocabulary: int | None = None, fold: Fold | None = None
) -> tuple[Vectors, Reading]:
    """Return the vectors in a file, in its order, which published files make most frequent first.

    Args:
        path: word2vec or GloVe text (with or without a first line "words dimension", its lines ended in any of the
            three ways), word2vec binary, or a fastText model; text and binary may be gzipped, which is told by their
            content.
        file_format: "auto" tells the formats apart by content too.
        vocabulary: at most so many words, the first; all of them if None.
        fold: what is done to each word, such as lower-casing; of words that are then equal the first is kept.

    Returns:
        The vectors, float32 [words, d], and what was met on the way. A word is all that stands before the last d
        numbers of its line, whatever white space is in it; if it ends with a space and a number, its line is malformed.

    Raises:
        OSError: no such file, or it cannot be read.
        ValueError: an empty file, one cut off, a dimension that changes, a value that is not finite, more than one
            line in a hundred malformed, a pickle; the message names the file, the line, and what was expected.
    """
    with open(path, "rb") as file:
        beginning = file.read(512)
        if file_format == "fasttext" and (what := other_kind(beginning)):
            raise ValueError(f"{path}: not word vectors but {what}")
        if file_format == "fasttext" or (file_format == "auto" and fasttext.looks_fasttext(beginning)):
            return fasttext.read_fasttext(path, WordsRead(vocabulary, fold))
        file.seek(0)
        return read_stream(file, str(path), file_format, vocabulary, fold)


def read_stream(
    stream: ByteStream,
    name: str,
    file_format: VectorFormat = "auto",
    vocabulary: int | None = None,
    fold: Fold | None = None,
) -> tuple[Vectors, Reading]:
    """`read_vectors` of a stream called `name`, such as a download, from which no more is read than is needed.

    Raises:
        OSError: the stream breaks off.
        ValueError: as for a file; and a fastText model, which can only be read as a file.
    """
    kept = WordsRead(vocabulary, fold)
    try:
        source = Source(stream)
        beginning = source.peek(512)
        if not beginning:
            raise ValueError("the file is empty")
        if beginning.startswith(GZIP):
            raise ValueError("not word vectors but a gzipped file within a gzipped one: unzip it once")
        if what := other_kind(beginning):
            raise ValueError(f"not word vectors but {what}")
        if beginning.startswith(fasttext.MAGIC) or file_format == "fasttext":
            raise ValueError("a fastText model is read from a file only, unzipped: give the `path` of one")
        if file_format == "binary" or (file_format == "auto" and looks_binary(source)):
            read_binary(source, kept)
            return kept.result("binary")
        source.end_lines_with_feeds()
        read_text(source, kept)
        return kept.result("text")
    except EOFError:
        raise ValueError(f"{name}: the gzipped file is cut off") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{name}: damaged gzip: {error}") from None
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
