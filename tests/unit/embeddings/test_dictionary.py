"""Dictionaries: files as people write them, mistakes with their place, and pairs that the vectors know."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compute.catalog import find
from compute.embeddings.dictionary import GoldPair, covered_rows, seed_rows
from compute.embeddings.dictionary_files import XLING_LANGUAGES, read_dictionary, xling_file
from compute.embeddings.vectors import Vectors
from compute.names import UnknownName


def tsv(folder: Path, content: str | bytes) -> Path:
    path = folder / "en-de.tsv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(path: Path, fold_case: bool = False, exchange: bool = False) -> list[tuple[str, str]]:
    return [(pair.source, pair.target) for pair in read_dictionary(path, ("en", "de"), fold_case, exchange)]


def vectors(*words: str) -> Vectors:
    return Vectors(list(words), np.ones((len(words), 2), dtype=np.float32))


def gold(*pairs: tuple[str, str]) -> list[GoldPair]:
    return [GoldPair(str(number), *pair) for number, pair in enumerate(pairs)]


def test_what_people_write_is_read(tmp_path: Path) -> None:
    content = "\ufeffThe \tDer\r\n\r\nNew York\tNew York\r\ncat\tKatze\r\ncat\tKatze"
    path = tsv(tmp_path, content)
    assert read(path) == [("The", "Der"), ("New York", "New York"), ("cat", "Katze"), ("cat", "Katze")]
    assert read(path, fold_case=True)[0] == ("the", "der")
    assert read(path, exchange=True)[0] == ("Der", "The")


def test_spaces_separate_where_it_is_said(tmp_path: Path) -> None:
    path = tsv(tmp_path, "cat Katze\r\n dog  Hund \nbird\tVogel\n")
    pairs = read_dictionary(path, ("en", "de"), False, separator="space")
    assert [pair[1:] for pair in pairs] == [("cat", "Katze"), ("dog", "Hund"), ("bird", "Vogel")]
    with pytest.raises(
        ValueError, match=r"line 1: .*found no tab in 'cat Katze'; are spaces meant\? .*separator: space"
    ):
        read(path)
    with pytest.raises(ValueError, match="line 1: expected two columns, found 3"):
        read_dictionary(tsv(tmp_path, "New York Neu-York\n"), ("en", "de"), False, separator="space")


def test_lines_may_end_with_carriage_returns(tmp_path: Path) -> None:
    assert read(tsv(tmp_path, "cat\tKatze\rdog\tHund\r")) == [("cat", "Katze"), ("dog", "Hund")]


def test_a_row_means_the_same_whichever_way_it_is_given(tmp_path: Path) -> None:
    path = tsv(tmp_path, "a\tb\n\nc\td\n")
    one, other = (read_dictionary(path, ("en", "de"), False, exchange, "en-de/test") for exchange in (False, True))
    assert [pair.concept_id for pair in one] == [pair.concept_id for pair in other] == ["en-de/test/0", "en-de/test/1"]


def test_each_language_is_folded_by_its_own_rule(tmp_path: Path) -> None:
    (pair,) = read_dictionary(tsv(tmp_path, "ISI\tISI\n"), ("tr", "en"), True, True)
    assert pair[1:] == ("isi", "ısı")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            "cat\tKatze\ndog Hund\n",
            "line 2: expected a source word, a tab and a target word, found no tab in 'dog Hund'",
        ),
        ("cat\tKatze\tfelis\n", "line 1: expected two columns, found 3"),
        ("cat\tKatze\n\tHund\n", "line 2: the first column is empty"),
        ("cat\tKatze\n\ndog\t \r\n", "line 3: the second column is empty"),
        ("dog Hund\ncat Katze\na\tb\nx\n", "line 1: .*(and 2 more such lines)"),
        ("", "no pairs in it"),
        ("\n \n", "no pairs in it"),
        (b"a\tb\nc\t\xff\n", "line 2: not UTF-8"),
    ],
)
def test_a_mistake_is_one_line_with_file_and_line(content: str | bytes, expected: str, tmp_path: Path) -> None:
    path = tsv(tmp_path, content)
    with pytest.raises(ValueError, match=expected.replace("(", r"\(").replace(")", r"\)")) as error:
        read(path)
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)


WORD = st.text(st.characters(exclude_characters="\n\t", exclude_categories=("Cs",)), min_size=1).filter(
    lambda word: word == word.strip() and not word.startswith("\ufeff")
)


@given(pairs=st.lists(st.tuples(WORD, WORD), min_size=1))
def test_any_words_come_back(pairs: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tsv(tmp_path_factory.mktemp("words"), "".join(f"{one}\t{other}\n" for one, other in pairs))
    assert read(path) == pairs


# The published dictionaries


def test_every_pair_of_languages_has_dictionaries_both_ways() -> None:
    published = 0
    for source, target in permutations(XLING_LANGUAGES, 2):
        file, exchange = xling_file(source, target, "test")
        assert (file, not exchange) == xling_file(target, source, "test")
        assert file.path.endswith(f".{target}-{source}.tsv" if exchange else f".{source}-{target}.tsv")
        published += not exchange
    assert published == 28


def test_the_smallest_file_that_has_the_pairs_is_taken() -> None:
    names = [xling_file("it", "fr", "train", size)[0].path.split(".")[3] for size in (1, 500, 501, 1000, 3000, 5000)]
    assert names == ["500", "500", "1k", "1k", "3k", "5k"]
    assert xling_file("fr", "it", "train")[0] == find(
        "codogogo/xling-eval", "bli_datasets/it-fr/yacle.train.freq.5k.it-fr.tsv"
    )
    with pytest.raises(ValueError, match="up to 5000 pairs, not 5001"):
        xling_file("it", "fr", "train", 5001)
    with pytest.raises(UnknownName, match="'xx'"):
        xling_file("it", "xx", "test")
    with pytest.raises(ValueError, match="the same language"):
        xling_file("it", "it", "test")


# Against the vectors


def test_covered_rows_are_those_with_two_known_words() -> None:
    pairs = gold(("a", "x"), ("a", "?"), ("?", "x"), ("b", "y"), ("a", "x"))
    positions, rows = covered_rows(vectors("b", "a"), vectors("x", "y"), pairs, "it")
    assert positions == [0, 3, 4]
    np.testing.assert_array_equal(rows, [[1, 0], [0, 1], [1, 0]])
    np.testing.assert_array_equal(seed_rows(vectors("b", "a"), vectors("x", "y"), pairs), rows)


def test_an_empty_intersection_says_what_was_found_of_each_side() -> None:
    with pytest.raises(ValueError, match=r"of 3 pairs, 2 source words and 1 target words are in the vocabularies$"):
        seed_rows(vectors("a", "b"), vectors("x"), gold(("a", "?"), ("b", "?"), ("?", "x")))


def test_a_dictionary_in_the_wrong_direction_is_noticed() -> None:
    source, target = vectors("a", "b", "c", "same"), vectors("x", "y", "z", "same")
    turned = gold(("x", "a"), ("y", "b"), ("z", "c"), ("same", "same"))
    with pytest.raises(ValueError, match=r"only 1 pairs of .*exchanged 4 pairs are: is it in the wrong direction\?"):
        seed_rows(source, target, turned)
    # Words that both languages have do not make a dictionary look turned.
    assert len(seed_rows(source, target, gold(("a", "x"), ("same", "same")))) == 2
    assert len(seed_rows(source, source, gold(("a", "b"), ("b", "c")))) == 2
