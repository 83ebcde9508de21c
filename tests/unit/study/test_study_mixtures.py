"""Mixtures in a study file: what is refused, in one line each, and how many items a part has."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compute.errors import UserError
from compute.study.file import read_study
from compute.study.mixtures import items_of_parts

TINY = (Path(__file__).parents[2] / "studies" / "tiny.yml").read_text()

MISTAKES = {
    "unknown part": ("m: {parts: [parity/en, parity/dee]}", "mixtures.m.parts[1]", "did you mean 'parity/de'?"),
    "a part that is a target only": ("m: {parts: [parity/en, compare/de]}", "mixtures.m.parts[1]", "'compare/de'"),
    "no cell": ("m: {parts: [parity/en, parity]}", "mixtures.m.parts[1]", "found 'parity'"),
    "one part": ("m: {parts: [parity/en]}", "mixtures.m.parts",
                 "too short: 2 entries at least are expected, found 1"),
    "one part twice": ("m: {parts: [parity/en, parity/en]}", "mixtures.m.parts", "'parity/en' is listed twice"),
    "too few weights": ("m: {parts: [parity/en, parity/de], weights: [1]}", "mixtures.m", "each of 2 parts, found 1"),
    "a weight below 0": ("m: {parts: [parity/en, parity/de], weights: [1, -1]}", "mixtures.m.weights[1]", "found -1"),
    "a weight of 0": ("m: {parts: [parity/en, parity/de], weights: [1, 0]}", "mixtures.m.weights[1]", "greater than 0"),
    "a weight that is no number": ("m: {parts: [parity/en, parity/de], weights: [1, .nan]}", "mixtures.m.weights[1]",
                                   "finite"),
    "weights of all": ("m: {parts: [parity/en, parity/de], weights: [1, 2], items: all}", "mixtures.m",
                       "nothing to `weights`"),
    "more items than there are": ("m: {parts: [parity/en, parity/de], items: 202}", "mixtures.m.items",
                                  "101 items are asked of parity/en, which alone is tuned on 100"),
    "a share of no item": ("m: {parts: [parity/en, parity/de], weights: [1, 999]}", "mixtures.m.items",
                           "of 100 items none is left for parity/en"),
    "no number of items": ("m: {parts: [parity/en, parity/de], items: alll}", "mixtures.m.items", "did you mean 'all'"),
    "a part of an item": ("m: {parts: [parity/en, parity/de], items: 0}", "mixtures.m.items", "equal to 1"),
    "a cell's name": ("parity/both: {parts: [parity/en, parity/de]}", "mixtures", "'parity/both' reads as a source"),
    "the name of several": ("mul: {parts: [parity/en, parity/de]}", "mixtures", "'mul' stands for several"),
    "no name": ("'a b': {parts: [parity/en, parity/de]}", "mixtures", "'a b' is no name of a mixture"),
    "an unknown key": ("m: {parts: [parity/en, parity/de], wieghts: [1, 2]}", "mixtures.m.wieghts", "'weights'"),
}  # fmt: skip
FRACTIONS = {
    "nothing": ("[0.0, 0.5]", "lora.score_at[0]", "greater than 0"),
    "more than all": ("[0.5, 1.5]", "lora.score_at[1]", "less than or equal to 1"),
    "no number": ("[.nan]", "lora.score_at[0]", "finite"),
    "one twice": ("[0.5, 0.5]", "lora.score_at", "expected fractions that rise, found 0.5, 0.5"),
    "backwards": ("[1.0, 0.5]", "lora.score_at", "expected fractions that rise"),
}


def refused(text: str, folder: Path) -> str:
    path = folder / "study.yml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        read_study(path)
    message = str(caught.value)
    assert len(message.splitlines()) == 1 and message.startswith(f"{path}:"), message
    return message


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line_with_its_place(name: str, tmp_path: Path) -> None:
    entry, place, hint = MISTAKES[name]
    message = refused(f"{TINY}mixtures: {{{entry}}}\n", tmp_path)
    assert place in message and hint in message


@pytest.mark.parametrize("name", FRACTIONS)
def test_fractions_are_parts_of_the_training_that_rise(name: str, tmp_path: Path) -> None:
    fractions, place, hint = FRACTIONS[name]
    message = refused(TINY.replace("{epochs: 1}", f"{{epochs: 1, score_at: {fractions}}}"), tmp_path)
    assert place in message and hint in message


def test_a_contrast_may_name_a_mixture(tmp_path: Path) -> None:
    mixtures = "mixtures: {both: {parts: [parity/en, parity/de]}}\n"
    contrast = "contrasts: {c: {a: {source: NAME}, b: {source: parity/en}}}\n"
    path = tmp_path / "study.yml"
    path.write_text(TINY + mixtures + contrast.replace("NAME", "both"))
    assert read_study(path).contrasts["c"].a.source == "both"
    assert "did you mean 'both'?" in refused(TINY + mixtures + contrast.replace("NAME", "boht"), tmp_path)


@given(
    st.lists(st.tuples(st.floats(0.01, 10), st.integers(50, 400)), min_size=2, max_size=6),
    st.one_of(st.just("equal"), st.integers(50, 300)),
)
def test_items_are_the_shares_of_the_total(parts: list[tuple[float, int]], asked: str | int) -> None:
    shares = [weight / sum(weight for weight, _ in parts) for weight, _ in parts]
    there = {f"t/{number}": items for number, (_, items) in enumerate(parts)}
    total = min(there.values()) if asked == "equal" else asked
    assert isinstance(total, int)
    try:
        counts = items_of_parts(asked, shares, there)  # type: ignore[arg-type]
    except ValueError as error:
        too_many = any(share * total > items - 1 for share, items in zip(shares, there.values(), strict=True))
        too_few = any(share * total < 1 for share in shares)
        assert ("which alone is tuned on" in str(error) and too_many) or ("none is left" in str(error) and too_few)
        return
    assert sum(counts) == total
    assert all(abs(count - share * total) < 1 for count, share in zip(counts, shares, strict=True))
    assert items_of_parts("all", shares, there) == list(there.values())
