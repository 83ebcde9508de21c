"""Numbers of vector files: read by compiled code, to the bit as Python reads them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compute.embeddings.reading import read_vectors

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
DECIMALS = st.from_regex(r"[-+]?([0-9]{1,24}(\.[0-9]{0,24})?|\.[0-9]{1,24})([eE][-+]?[0-9]{1,2})?", fullmatch=True)


def first_numbers(folder: Path, text: str) -> np.ndarray:
    """The only number of each line."""
    path = folder / "v.vec"
    path.write_text(text)
    return read_vectors(path)[0].matrix[:, 0]


@settings(max_examples=60, deadline=None)
@given(
    numbers=st.lists(
        st.one_of(
            FLOATS.flatmap(lambda x: st.sampled_from([repr(x), f"{x:.5g}", f"{x:.6f}", f"{x:.17g}", f"{x:+.3e}"])),
            DECIMALS,
        ).filter(lambda text: abs(float(text)) < 3e38),
        min_size=30,
        max_size=30,
    )
)
def test_numbers_are_pythons_rounded_to_float32(numbers: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    # as gensim reads them, too
    text = "".join(f"w{i} {number}\n" for i, number in enumerate(numbers))
    found = first_numbers(tmp_path_factory.mktemp("numbers"), text)
    with np.errstate(under="ignore"):
        expected = np.array([float(number) for number in numbers]).astype(np.float32)
    np.testing.assert_array_equal(found.view(np.uint32), expected.view(np.uint32))


def test_numbers_halfway_between_two_floats_are_rounded_as_python_does(tmp_path: Path) -> None:
    below = np.random.default_rng(0).uniform(0.1, 1, 500).astype(np.float32)
    halfway = (below.astype(np.float64) + np.nextafter(below, np.float32(2)).astype(np.float64)) / 2
    numbers = [f"{x:.{digits}f}" for x in halfway for digits in (16, 17, 18)]  # more than 53 bits hold
    text = "".join(f"w{i} {number}\n" for i, number in enumerate(numbers))
    found = first_numbers(tmp_path, text)
    np.testing.assert_array_equal(found, np.array([float(number) for number in numbers]).astype(np.float32))


def test_text_is_read_where_nothing_compiled_can_be_kept(tmp_path: Path) -> None:
    path = tmp_path / "v.vec"
    path.write_text("a 1.5 2\n")
    command = f"from compute.embeddings.reading import read_vectors; print(read_vectors({str(path)!r})[0].matrix)"
    nowhere = os.environ | {"NUMBA_CACHE_LOCATOR_CLASSES": "UserProvidedCacheLocator", "NUMBA_CACHE_DIR": ""}
    done = subprocess.run([sys.executable, "-c", command], env=nowhere, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[[1.5 2. ]]"
