"""Bilingual dictionaries in files: a source word and a target word a line, with a tab or spaces between, UTF-8."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from compute.catalog import CatalogedFile, files, find
from compute.embeddings.corpora import lower_case
from compute.embeddings.dictionary import GoldPair
from compute.embeddings.settings import Separator
from compute.file_kinds import refuse_other_kind
from compute.names import UnknownName

XLING_LANGUAGES = ("de", "en", "fi", "fr", "hr", "it", "ru", "tr")
XLING_TRAINING = {500: "500", 1_000: "1k", 3_000: "3k", 5_000: "5k"}
"""Rows of a published training dictionary -> how its file is called; each is the beginning of the next."""
XLING_TEST_ROWS = 2_000

_XLING = "codogogo/xling-eval"

Part = Literal["train", "test"]


def read_dictionary(
    path: Path,
    languages: tuple[str, str],
    fold_case: bool,
    exchange: bool = False,
    concepts: str = "row",
    separator: Separator = "tab",
) -> list[GoldPair]:
    """Return the rows of a dictionary file in order, repeated ones included, with the white space around words taken
    off.

    A byte order mark and line ends of any system are let pass, and blank lines skipped.

    Args:
        path: the file.
        languages: of its first and its second column.
        fold_case: lower-case both words.
        exchange: give the second column as the source.
        concepts: what `concept_id`s begin with: that of row i, counted from 0, is `<concepts>/<i>`.
        separator: what stands between the two words. Words with spaces between them have none within.

    Raises:
        OSError: no such file, or it cannot be read.
        ValueError: not UTF-8, a line that is not two words so separated, or no line at all; the message names
            the file and the first such line, and counts them.
    """
    content = path.read_bytes()
    try:
        refuse_other_kind(content[:512])
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        ends_before = content[: error.start].count(b"\n")
        raise ValueError(f"{path}, line {ends_before + 1}: not UTF-8 text") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    pairs: list[GoldPair] = []
    mistakes: list[str] = []
    # Only one character ends a line: others that Python knows, such as U+2028, may stand within a word.
    end = "\r" if "\r" in text and "\n" not in text else "\n"
    for number, line in enumerate(text.split(end), start=1):
        if not line.strip():
            continue
        fields = line.split("\t") if separator == "tab" else re.split("[ \t]+", line.strip())
        words = [word.strip() for word in fields]
        if mistake := _mistake(words, separator):
            mistakes.append(f"line {number}: {mistake}")
            continue
        if fold_case:
            words = [lower_case(word, language) for word, language in zip(words, languages, strict=True)]
        first, second = reversed(words) if exchange else words
        pairs.append(GoldPair(f"{concepts}/{len(pairs)}", first, second))
    if mistakes:
        others = f" (and {len(mistakes) - 1} more such lines)" if len(mistakes) > 1 else ""
        raise ValueError(f"{path}, {mistakes[0]}{others}")
    if not pairs:
        raise ValueError(f"{path}: no pairs in it; expected a source word, a {separator} and a target word a line")
    return pairs


def _mistake(words: list[str], separator: Separator) -> str | None:
    if len(words) == 1:
        mistake = f"expected a source word, a {separator} and a target word, found no {separator} in {words[0][:60]!r}"
        if separator == "tab" and len(words[0].split()) == 2:
            return f"{mistake}; are spaces meant? Then give `separator: space` beside `test`"
        return mistake
    if len(words) > 2:
        return f"expected two columns, found {len(words)}"
    if not all(words):
        return f"the {'second' if words[0] else 'first'} column is empty"
    return None


def xling_file(source: str, target: str, part: Part, size: int | None = None) -> tuple[CatalogedFile, bool]:
    """Return the cataloged dictionary of Glavaš et al. (2019) for a pair of languages, and whether its columns have
    to be exchanged because it is published in the other direction.

    All 28 dictionaries are translations of one: row i means the same in each.

    Args:
        source: language of the queries.
        target: language searched.
        part: training or test dictionary.
        size: rows needed of a training dictionary; the smallest file that has them is given.

    Raises:
        compute.names.UnknownName: a language without dictionaries.
        ValueError: one language twice, or more rows than there are.
    """
    for language in (source, target):
        if language not in XLING_LANGUAGES:
            raise UnknownName("language of xling-eval", language, XLING_LANGUAGES)
    if source == target:
        raise ValueError(f"a dictionary {source}-{target}: source and target are the same language")
    if part == "test":
        name = "test.freq.2k"
    else:
        enough = [rows for rows in XLING_TRAINING if size is None or rows >= size]
        if not enough:
            raise ValueError(f"xling-eval has training dictionaries of up to 5000 pairs, not {size}")
        name = f"train.freq.{XLING_TRAINING[enough[-1] if size is None else enough[0]]}"
    published = {file.path.split("/")[1] for file in files(_XLING) if file.path.startswith("bli_datasets/")}
    exchange = f"{source}-{target}" not in published
    pair = f"{target}-{source}" if exchange else f"{source}-{target}"
    return find(_XLING, f"bli_datasets/{pair}/yacle.{name}.{pair}.tsv"), exchange
