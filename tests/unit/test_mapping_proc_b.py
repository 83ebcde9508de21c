from __future__ import annotations

import numpy as np
import pytest

from compute.embeddings import neighbours
from compute.embeddings.mappings import load_method
from tests.unit.rotated import rotated, share_found, vectors


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_a_planted_rotation_is_recovered(noise: float) -> None:
    problem = rotated(1, noise=noise)
    mapping = load_method("proc_b")().fit(*problem[:2], problem.pairs[:30])
    assert share_found(mapping, problem, problem.pairs) == 1.0


def test_where_all_words_have_a_translation_the_rotation_is_exact() -> None:
    problem = rotated(1, share=1.0)
    mapping = load_method("proc_b")().fit(*problem[:2], problem.pairs[:30])
    np.testing.assert_allclose(mapping.source_map, problem.rotation, atol=1e-5)


def test_found_pairs_help_where_given_ones_are_few() -> None:
    problem = rotated(2, n_source=600, n_target=1_000, noise=0.5)
    few = problem.pairs[:20]
    shares = {
        rounds: share_found(load_method("proc_b")(rounds=rounds).fit(*problem[:2], few), problem, problem.pairs)
        for rounds in (1, 5)
    }
    alone = share_found(load_method("proc")().fit(*problem[:2], few), problem, problem.pairs)
    assert alone + 0.05 < shares[1] < shares[5]


def test_the_second_dictionary_is_what_the_paper_says() -> None:
    problem = rotated(3, n_source=90, n_target=80, d=6, noise=1.5)
    given = problem.pairs[:10]
    first = load_method("proc")().fit(*problem[:2], given)
    x, y = (side.matrix.astype(np.float64) for side in first.apply(*problem[:2]))
    cosines = (x @ y.T) / np.linalg.norm(x, axis=1)[:, None] / np.linalg.norm(y, axis=1)
    to_target, to_source = cosines.argmax(axis=1), cosines.argmax(axis=0)
    mutual = sorted(
        ((i, int(j)) for i, j in enumerate(to_target) if to_source[j] == i), key=lambda pair: pair[0] + pair[1]
    )
    assert len(mutual) > 20
    for limit in (5, 10, 17, 10_000):
        dictionary = np.array([*given.tolist(), *mutual[: max(0, limit - 10)]])
        expected = load_method("proc")().fit(*problem[:2], dictionary).source_map
        found = load_method("proc_b")(limit=limit).fit(*problem[:2], given).source_map
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_blocks_do_not_change_the_map(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = rotated(4, noise=0.7)
    whole = load_method("proc_b")().fit(*problem[:2], problem.pairs[:20]).source_map
    monkeypatch.setattr(neighbours, "BLOCK_CELLS", 1_000)
    monkeypatch.setattr(neighbours, "BLOCK_ROWS", 1)
    np.testing.assert_allclose(
        load_method("proc_b")().fit(*problem[:2], problem.pairs[:20]).source_map, whole, atol=1e-6
    )


def test_what_cannot_be_learnt_from_is_said() -> None:
    problem = rotated(5)
    with pytest.raises(ValueError, match=r"16 \(source\) and 15 \(target\)"):
        load_method("proc_b")().fit(problem.source, vectors(problem.target.matrix[:, 1:], "t"), problem.pairs)
    with pytest.raises(ValueError, match="there is none"):
        load_method("proc_b")().fit(*problem[:2], problem.pairs[:0])
