from __future__ import annotations

import os
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import pytest

from compute.embeddings.numeral_corpus import numeral_sentences, seed_dictionary, test_dictionary
from compute.names import UnknownName
from compute.numeral_words import NUMERAL_LANGUAGES, number_word


@pytest.mark.parametrize("language", NUMERAL_LANGUAGES)
def test_every_number_has_its_own_clean_word(language: str) -> None:
    words = [number_word(n, language) for n in range(1000)]
    assert len(set(words)) == 1000
    assert all(word == " ".join(word.lower().split()) and word for word in words)


def test_known_words() -> None:
    assert number_word(21, "en") == "twenty-one"
    assert number_word(48, "es") == "cuarenta y ocho"
    assert number_word(96, "fr") == "quatre-vingt-seize"
    assert number_word(345, "de") == "dreihundertfünfundvierzig"


def test_what_has_no_word_is_said() -> None:
    with pytest.raises(UnknownName, match=r"language '.*' of the numerals world"):
        number_word(1, "xx")
    with pytest.raises(ValueError, match="language de"):
        number_word(-1, "de")
    with pytest.raises(ValueError, match="cannot be written in language"):
        number_word(10**400, "en")


def test_sentences_are_about_every_number_and_stay_in_range() -> None:
    text = numeral_sentences("it", 1500, 999, seed=0)
    words = {number_word(n, "it") for n in range(1000)}
    assert len(text) == 1500
    assert {token for sentence in text for token in sentence} == words
    assert all(len(sentence) >= 3 for sentence in text)


def test_languages_tell_different_texts_of_one_world() -> None:
    number_of = {language: {number_word(n, language): n for n in range(200)} for language in ("en", "de")}
    english, german = (
        [[number_of[language][token] for token in sentence] for sentence in numeral_sentences(language, 300, 199, 0)]
        for language in ("en", "de")
    )
    assert english != german
    assert english != [
        [number_of["en"][token] for token in sentence] for sentence in numeral_sentences("en", 300, 199, 1)
    ]


def test_text_and_dictionary_are_the_same_in_every_process() -> None:
    code = (
        "from compute.embeddings.numeral_corpus import *;"
        "print(numeral_sentences('fi', 20, 99, 3), seed_dictionary('fi', 'hu', 9, 99, 3))"
    )
    root = Path(__file__).parents[3]
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(root), "PYTHONUTF8": "1"},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert outputs == {f"{numeral_sentences('fi', 20, 99, 3)} {seed_dictionary('fi', 'hu', 9, 99, 3)}\n".encode()}


def test_dictionaries_share_their_numbers_over_pairs_and_never_between_train_and_test() -> None:
    numbers: dict[str, set[tuple[str, ...]]] = {"seed": set(), "test": set()}
    for source, target in combinations(NUMERAL_LANGUAGES[:5], 2):
        for name, make in (("seed", seed_dictionary), ("test", test_dictionary)):
            rows = make(source, target, 300, 999, 0)
            numbers[name].add(tuple(row.concept_id for row in rows))
            for row in rows:
                assert row.source == number_word(int(row.concept_id), source)
                assert row.target == number_word(int(row.concept_id), target)
    assert len(numbers["seed"]) == len(numbers["test"]) == 1
    assert not set(*numbers["seed"]) & set(*numbers["test"])
    assert not {r.concept_id for r in seed_dictionary("en", "de", 600, 999, 0)} & {
        r.concept_id for r in test_dictionary("en", "de", 400, 999, 0)
    }


def test_a_smaller_dictionary_begins_the_larger() -> None:
    assert seed_dictionary("en", "de", 300, 999, 0)[:100] == seed_dictionary("en", "de", 100, 999, 0)


def test_more_rows_than_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="1 to 600 are possible"):
        seed_dictionary("en", "de", 601, 999, 0)
    with pytest.raises(ValueError, match="test dictionary en-de of 0 rows"):
        test_dictionary("en", "de", 0, 999, 0)
    with pytest.raises(ValueError, match="at least 0 to 99"):
        numeral_sentences("en", 10, 50, 0)
