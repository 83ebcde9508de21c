"""Text to train vectors on."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import pytest

from compute.catalog import CatalogedFile
from compute.embeddings import corpora
from compute.embeddings.corpora import BIBLES, LONGEST_SENTENCE, TextFile, bible_file, bible_verses, lower_case, tokens
from compute.embeddings.downstream.texts import words_of
from compute.names import UnknownName


def test_tokens_are_words_in_lower_case() -> None:
    assert tokens("Don't 3 well-known «Räder» aujourd’hui -- x_y 2nd Ёж!", "en") == [
        "don't", "well-known", "räder", "aujourd’hui", "x", "y", "nd", "ёж",
    ]  # fmt: skip
    assert tokens("- ' 1 2", "en") == []


def test_marks_and_joiners_do_not_tear_words() -> None:
    assert tokens("पैंथर्स की रक्षा ने 308 अंक दिये।", "hi") == ["पैंथर्स", "की", "रक्षा", "ने", "अंक", "दिये"]
    assert tokens("فَهِمَ می\u200cخواهم", "fa") == ["فَهِمَ", "می\u200cخواهم"]
    assert tokens("un Ma\u0308dchen\u0308-x", "de") == ["un", "ma\u0308dchen\u0308-x"]
    assert words_of("हिन्दी में", "hi", lower_case=False) == ["हिन्दी", "में"]


def test_turkish_has_two_letters_i() -> None:
    assert lower_case("İIiı", "tr") == "iıiı"
    assert lower_case("IŞIK", "en") == "işik"
    assert tokens("Işık İstanbul", "tr") == ["ışık", "istanbul"]


@pytest.mark.parametrize("language", BIBLES)
def test_every_bible_is_cataloged_with_its_rights(language: str) -> None:
    file = bible_file(language)
    assert len(file.sha256) == 64 and "public domain" in file.licence


def test_there_is_no_turkish_bible_of_clear_rights() -> None:
    with pytest.raises(UnknownName, match="'tr' of corpus 'bible'; known: de, en, fi, fr, hr, it, ru"):
        bible_file("tr")


ZEFANIA = """<?xml version="1.0" encoding="utf-8"?>
<XMLBIBLE><INFORMATION><title>Not a verse at all</title></INFORMATION>
<BIBLEBOOK bnumber="1"><CHAPTER cnumber="1"><CAPTION vref="1">Heading of no verse</CAPTION>
<VERS vnumber="1">Am Anfang schuf<NOTE>Or: war da</NOTE> Gott <STYLE css="x">Himmel</STYLE> und Erde.</VERS>
<VERS vnumber="2">Zu kurz.</VERS><VERS vnumber="3"/>
<VERS vnumber="4">Und Gott sprach</VERS></CHAPTER></BIBLEBOOK></XMLBIBLE>"""


def test_verses_without_notes_headings_and_the_shortest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zipped, plain = tmp_path / "b.zip", tmp_path / "b.txt"
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("bible.xml", ZEFANIA)
    plain.write_text("I reče Bog: neka bude!\n\n<range>\nkratko je\nI vidje\u2028Bog da\n", encoding="utf-8")

    def fetched(entry: CatalogedFile) -> Path:
        return zipped if entry.path.endswith(".zip") else plain

    monkeypatch.setattr(corpora, "fetch", fetched)
    assert bible_verses("de") == [
        ["am", "anfang", "schuf", "gott", "himmel", "und", "erde"],
        ["und", "gott", "sprach"],
    ]
    assert bible_verses("hr") == [["i", "reče", "bog", "neka", "bude"], ["i", "vidje", "bog", "da"]]


DAMAGED_GZIP = b"".join((gzip.compress(b"", mtime=0)[:10], b"\xff" * 20))
"""A gzip's header, and nothing that can be unpacked after it."""


@pytest.mark.parametrize("name", ["t.txt", "t.txt.gz"])
def test_a_users_text_is_read_anew_each_time_and_long_lines_are_cut(tmp_path: Path, name: str) -> None:
    content = "\ufeffOne two.\r\n\n" + "word " * (LONGEST_SENTENCE + 1) + "\nlast"
    path = tmp_path / name
    path.write_bytes(gzip.compress(content.encode()) if name.endswith(".gz") else content.encode())
    text = TextFile(path, "en")
    found = list(text)
    assert found == list(text)
    assert [len(sentence) for sentence in found] == [2, LONGEST_SENTENCE, 1, 1]
    assert found[0] == ["one", "two"] and found[-1] == ["last"]


def test_a_damaged_text_is_refused_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_bytes(b"fine\n\xff bad\n")
    with pytest.raises(ValueError, match=r"t\.txt, line 2: not UTF-8 text \(byte 0\)"):
        list(TextFile(path, "en"))
    zipped = tmp_path / "t.gz"
    zipped.write_bytes(gzip.compress(b"one two\n" * 1000)[:-20])
    with pytest.raises(ValueError, match=r"t\.gz: the gzipped file is cut off"):
        list(TextFile(zipped, "en"))
    zipped.write_bytes(DAMAGED_GZIP)
    with pytest.raises(ValueError, match=r"t\.gz: damaged gzip"):
        list(TextFile(zipped, "en"))
    with pytest.raises(FileNotFoundError):
        list(TextFile(tmp_path / "none", "en"))
