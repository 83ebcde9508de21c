"""Text to train word vectors on, as lists of tokens: the cataloged Bible of each language, or the user's own files."""

from __future__ import annotations

import gzip
import re
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

from compute.catalog import CatalogedFile, fetch, find
from compute.file_kinds import other_kind
from compute.names import UnknownName

_LETTER = r"[^\W\d_]"

SHORTEST_VERSE = 3
"""Tokens: shorter verses are dropped, there being next to no context in them."""

LONGEST_SENTENCE = 10_000
"""Tokens: gensim ignores what goes beyond without a word, so longer lines are cut into several sentences."""

_ZEFANIA = "biblenerd/Zefania-XML-Preservation"
_FOLDER = "zefania-sharp-sourceforge-backup/Bibles"

BIBLES: dict[str, tuple[str, str]] = {
    "de": (_ZEFANIA, f"{_FOLDER}/GER/Lutherbibel/Luther 1912/SF_2009-01-20_GER_LUTH1912_(LUTHER 1912).zip"),
    "en": (_ZEFANIA, f"{_FOLDER}/ENG/World English Bible/SF_2009-01-20_ENG_WEB_(WORLD ENGLISH BIBLE).zip"),
    "fi": (_ZEFANIA, f"{_FOLDER}/FIN/Finish Version/SF_2009-01-20_FIN_FIN_(FINISH VERSION).zip"),
    "fr": (_ZEFANIA, f"{_FOLDER}/FRE/French Louis Segond/SF_2009-01-20_FRE_FREN_(FRENCH LOUIS SEGOND).zip"),
    "hr": ("BibleNLP/ebible-corpus", "corpus/hrv-hrv.txt"),
    "it": (
        _ZEFANIA,
        f"{_FOLDER}/ITA/1649 Italian Giovanni Diodati Bibbia/"
        "SF_2009-01-23_ITA_ITADIO_(1649 ITALIAN GIOVANNI DIODATI BIBBIA).zip",
    ),
    "ru": (
        _ZEFANIA,
        f"{_FOLDER}/RUS/Russian Synodal Translation/SF_2009-01-20_RUS_RST_(RUSSIAN SYNODAL TRANSLATION).zip",
    ),
}
"""Language -> repository and path of its text: zipped Zefania XML, or eBible's verse a line."""


def lower_case(text: str, language: str) -> str:
    """`text` in lower case; in Turkish and Azerbaijani the dotted İ becomes i and the dotless I becomes ı."""
    if language in ("tr", "az"):
        text = text.replace("İ", "i").replace("I", "ı")
    return text.lower()


def tokens(text: str, language: str) -> list[str]:
    """Return the words of a text in lower case, in order."""
    return words_in(lower_case(text, language))


def words_in(text: str) -> list[str]:
    """Return the words of a text in order: letters with their combining marks (a Hindi word is torn without), and
    single hyphens or apostrophes between them; numbers and punctuation are left out."""
    return _word().findall(text)


@cache
def _word() -> re.Pattern[str]:
    """Made on first use: to look up 65,536 characters would slow down every start."""
    # Joiners stand within words as marks do (Unicode Standard Annex 29, rule WB4).
    marks = "".join(char for char in map(chr, range(0x10000)) if unicodedata.category(char).startswith("M"))
    part = rf"{_LETTER}(?:{_LETTER}|[{marks}\u200c\u200d])*"
    return re.compile(rf"{part}(?:[-'’]{part})*")


def bible_file(language: str) -> CatalogedFile:
    """Return the cataloged text of a language. Raises compute.names.UnknownName where there is none of clear
    rights."""
    if language not in BIBLES:
        raise UnknownName("language of corpus 'bible'", language, BIBLES)
    return find(*BIBLES[language])


def bible_verses(language: str) -> list[list[str]]:
    """Return the verses of a language's Bible as tokens, in the text's order; those of fewer than 3 tokens are dropped.

    Raises:
        compute.names.UnknownName: no text in that language.
        compute.errors.UserError: the text cannot be had.
    """
    path = fetch(bible_file(language))
    verses = _zefania_verses(path) if path.suffix == ".zip" else path.read_text(encoding="utf-8").split("\n")
    sentences = (tokens(verse, language) for verse in verses)
    return [sentence for sentence in sentences if len(sentence) >= SHORTEST_VERSE]


def _zefania_verses(path: Path) -> Iterator[str]:
    """Yield each <VERS>, without the translators' notes inside it."""
    with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as file:
        for _, element in ElementTree.iterparse(file):
            if element.tag == "VERS":
                yield "".join(_text_without_notes(element))
                element.clear()


def _text_without_notes(element: ElementTree.Element) -> Iterator[str]:
    yield element.text or ""
    for child in element:
        if child.tag != "NOTE":
            yield from _text_without_notes(child)
        yield child.tail or ""


@dataclass(frozen=True)
class TextFile:
    """A user's text, UTF-8 and possibly gzipped, a sentence or paragraph a line; read anew at each iteration, so that
    it need not fit into memory.

    Iterating raises OSError (no such file) or ValueError (not UTF-8, with the line; a gzip cut off, or damaged).
    """

    path: Path
    language: str

    def __iter__(self) -> Iterator[list[str]]:
        with gzip.open(self.path, "rb") if self.path.suffix == ".gz" else open(self.path, "rb") as file:
            number = 0
            try:
                if kind := other_kind(file.read(512)):
                    raise ValueError(f"{self.path}: expected UTF-8 text, found {kind}")
                file.seek(0)
                for number, line in enumerate(file, start=1):
                    found = tokens(line.decode("utf-8-sig" if number == 1 else "utf-8"), self.language)
                    for start in range(0, len(found), LONGEST_SENTENCE):
                        yield found[start : start + LONGEST_SENTENCE]
            except UnicodeDecodeError as error:
                raise ValueError(f"{self.path}, line {number}: not UTF-8 text (byte {error.start})") from None
            except EOFError:
                raise ValueError(f"{self.path}: the gzipped file is cut off") from None
            except zlib.error as error:
                raise ValueError(f"{self.path}: damaged gzip: {error}") from None
