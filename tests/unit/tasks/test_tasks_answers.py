"""Numbers are read off generated text as people of the languages write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compute.tasks.answers import ANSWERS, final_number

READ = ANSWERS["final_number"]
DIGITS = {
    "Arabic": "٠١٢٣٤٥٦٧٨٩",
    "Bengali": "০১২৩৪৫৬৭৮৯",
    "Devanagari": "०१२३४५६७८९",
    "fullwidth": "０１２３４５６７８９",
}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("16 - 3 - 4 = 9, so she makes 9 * 2 = $18.", "18"),
        ("Die Antwort ist 80.000 US-Dollar", "80000"),
        ("Il gagne 80 000 $", "80000"),
        ("80\u202f000 au total", "80000"),
        ("Er zahlt 1.234,50 Euro", "1234.5"),
        ("She pays $1,234.50.", "1234.5"),
        ("3,5 Stunden", "3.5"),
        ("١٬٢٣٤٫٥", "1234.5"),
        ("1,00,000 रुपये", "100000"),
        ("−5 °C", "-5"),
        ("a loss of -$5", "-5"),
        ("pages 10-18", "18"),
        ("x-2", "2"),
        ("ages 12, 13, 14", "14"),
        ("1,2,3", "3"),
        ("in 2023 500 came", "500"),
        ("5\n100", "100"),
        ("007", "7"),
        ("0.125", "0.125"),
        (".5", "0.5"),
        ("-0", "0"),
        ("18.", "18"),
        ("2.50", "2.5"),
        ("5²", "5"),
        ("no idea", None),
        ("", None),
    ],
)
def test_the_last_number_is_read(text: str, number: str | None) -> None:
    assert final_number(text) == number


@pytest.mark.parametrize("digits", DIGITS.values(), ids=DIGITS)
@given(number=st.integers(0, 10**9), separator=st.sampled_from(["", ",", ".", " ", "\u202f", "'"]))
def test_any_script_and_any_grouping_is_the_same_number(digits: str, number: int, separator: str) -> None:
    written = f"{number:,}".replace(",", separator).translate(str.maketrans("0123456789", digits))
    assert final_number(f"= {written} .") == str(number)


@given(st.text(max_size=40))
def test_any_text_has_a_number_or_none(text: str) -> None:
    number = final_number(text)
    assert number is None or READ.is_right(number, number)


def test_right_is_the_same_number_however_it_is_written() -> None:
    assert READ.is_right(READ.read("2.125 Stück"), "2,125")
    assert READ.is_right(READ.read("It is 18.0"), "18")
    assert not READ.is_right(READ.read("It is 19"), "18")
    assert not READ.is_right(READ.read("no idea"), "18")
