"""Results of others become studies: whole, once, and refused with a line where they are damaged."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from compute.errors import UserError
from tests.helpers.importing import Place

ERRORS = ("score_norm_se", "score_norm_base_se", "delta_score_norm_se")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


# ---- donors-recipients ----


def published(model: str = "Qwen2.5-3B-Instruct", **changes: str) -> dict[str, str]:
    row = dict.fromkeys(ERRORS, "0.01") | {
        "model_name": model, "model_size": "3.09", "fine_tuned_dataset": "arc_challenge", "fine_tuned_language": "ar",
        "eval_dataset": "arc_challenge", "eval_language": "bn", "regime": "MT-CL", "score_norm_mean": "0.3075",
        "score_norm_base_mean": "0.3125", "delta_score_norm_mean": "-0.5", "n_seeds": "3",
    }  # fmt: skip
    return row | changes


def table(folder: Path, rows: list[dict[str, str]], name: str = "results.csv") -> Path:
    path = folder / name
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return path


ON_TASK = {"eval_language": "ar", "regime": "MT-ML", "score_norm_mean": "0.3425", "delta_score_norm_mean": "3.0"}


def test_published_deltas_are_taken_as_they_stand(place: Place) -> None:
    file = table(place.folder, [published(), published(**ON_TASK)])
    place.take("donors-recipients", file)
    place.take("donors-recipients", file)  # once more: nothing counts twice
    assert place.ask(
        "select target_language, delta_pp, delta_stderr, n_seeds from raw.aggregate_scores order by 1"
    ) == [
        ("ar", 3.0, 0.01, 3),
        ("bn", -0.5, 0.01, 3),
    ]
    assert place.ask("select study, origin from raw.studies") == [("donors-recipients", "donors-recipients")]
    assert place.ask("select model, family, parameters from raw.models") == [
        ("Qwen2.5-3B-Instruct@published", "qwen2", 3_090_000_000)
    ]
    assert any("1 models x 1 sources x 2 targets, 2 of 2 cells" in line for line in place.said)


def test_one_seed_has_no_error(place: Place) -> None:
    place.take("donors-recipients", table(place.folder, [published(n_seeds="1") | dict.fromkeys(ERRORS, "")]))
    assert place.ask("select delta_pp, delta_stderr, n_seeds from raw.aggregate_scores") == [(-0.5, None, 1)]


DAMAGE: dict[str, tuple[Callable[[list[dict[str, str]]], list[dict[str, str]]], str]] = {
    "column": (lambda rows: [{k: v for k, v in row.items() if k != "regime"} for row in rows], ":1: unknown column"),
    "regime": (lambda rows: [rows[0], published(**{**ON_TASK, "regime": "MT-CL"})], r":3: regime 'MT-CL'.*'MT-ML'"),
    "number": (lambda rows: [published(score_norm_se="n/a")], r":2: score_norm_se: expected a number, found 'n/a'"),
    "not finite": (lambda rows: [published(score_norm_se="nan")], r":2: score_norm_se: expected a number"),
    "percent": (lambda rows: [published(score_norm_mean="30.75")], r":2: score_norm_mean: expected a proportion"),
    "delta": (lambda rows: [published(delta_score_norm_mean="0.5")], r":2: delta_score_norm_mean is 0.5, but .* -0.5"),
    "twice": (lambda rows: [rows[0], rows[0]], r":3: the cell .* stands in line 2 already"),
    "empty key": (lambda rows: [published(eval_language=" ")], r":2: eval_language is empty"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_table_names_its_line(name: str, place: Place) -> None:
    damage, message = DAMAGE[name]
    file = table(place.folder, damage([published(), published(**ON_TASK)]))
    with pytest.raises(UserError, match=message):
        place.take("donors-recipients", file)
    assert not (place.folder / "w.duckdb").exists()


def test_the_released_rows(place: Place) -> None:
    shared = Path(__file__).parents[2].parent / "shared/examples/donors_recipients_rows.csv"
    if not shared.exists():
        pytest.skip("the example rows of the published table are not there")
    place.take("donors-recipients", shared)
    with shared.open(encoding="utf-8") as file:
        deltas = sorted(float(row["delta_score_norm_mean"]) for row in csv.DictReader(file))
    assert [row[0] for row in place.ask("select delta_pp from raw.aggregate_scores order by 1")] == deltas


def test_a_study_of_another_origin_is_not_touched(place: Place) -> None:
    place.take("donors-recipients", table(place.folder, [published()]), study="mine")
    with pytest.raises(UserError, match=r"'mine' is there already, with origin 'donors-recipients'"):
        place.take("bli", table(place.folder, [RANK], "ranks.csv"), study="mine")
    with pytest.raises(UserError, match=r"unknown importer 'lmeval'; did you mean 'lm-eval'\?"):
        place.take("lmeval", place.folder)


# ---- bli ----


RANK = {"method": "VecMap", "pair": "it-fr", "size": "1000", "query": "cane", "gold": "chien", "rank": "1"}


def test_ranks_of_other_tools(place: Place) -> None:
    rows = [
        RANK,
        RANK,
        RANK | {"query": "la", "gold": "la", "rank": ""},
        RANK | {"pair": "fr-it", "size": "0", "rank": "2.5"},
    ]
    place.take("bli", table(place.folder, rows))
    assert place.ask(
        "select source_language, dictionary_size, pair_number, rank, is_duplicate, is_identical, retrieval "
        "from raw.bli_ranks order by source_language desc, pair_number"
    ) == [
        ("it", 1000, 0, 1.0, False, False, "cosine"),
        ("it", 1000, 1, 1.0, True, False, "cosine"),
        ("it", 1000, 2, None, False, True, "cosine"),
        ("fr", 0, 0, 2.5, False, False, "cosine"),
    ]


def test_rows_mean_what_they_say_or_their_number(place: Place) -> None:
    place.take("bli", table(place.folder, [RANK | {"concept": concept} for concept in ("dog", " ", "dog")]))
    assert place.ask("select concept_id from raw.bli_ranks order by pair_number") == [("dog",), ("1",), ("dog",)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pair": "itfr"}, r":2: pair: expected two languages"),
        ({"rank": "0"}, r":2: rank: the best is 1"),
        ({"size": "1.5"}, r":2: size: expected a whole number"),
        ({"rank": "first"}, r":2: rank: expected a number"),
        ({"query": ""}, r":2: query is empty"),
    ],
)
def test_a_damaged_rank_names_its_line(change: dict[str, str], message: str, place: Place) -> None:
    with pytest.raises(UserError, match=message):
        place.take("bli", table(place.folder, [RANK | change]))


def test_rows_are_split_as_csv_says(place: Place) -> None:
    """Line ends that only Unicode knows, and any within quotes, are parts of a word; white space is one of published
    vectors' words."""
    words = [
        "New\u2028York",
        "\x85",
        "a\x0bb",
        "a\x0cb",
        "a\x1cb\x1db\x1eb",
        "two\nlines",
        "two\r\nlines",
        'say "no"',
        "\xa0",
    ]
    place.take("bli", table(place.folder, [RANK | {"query": word} for word in words]))
    assert place.ask("select query from raw.bli_ranks order by pair_number") == [(word,) for word in words]


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_any_line_end_ends_a_row(ends: str, place: Place) -> None:
    text = ends.join([",".join(RANK), ",".join(RANK.values()), ",".join((RANK | {"query": "gatto"}).values())])
    path = place.folder / "ranks.csv"
    path.write_bytes(text.encode())
    place.take("bli", path)
    assert place.ask("select query from raw.bli_ranks order by pair_number") == [("cane",), ("gatto",)]


def test_quotes_that_do_not_close_are_refused(place: Place) -> None:
    path = place.write("ranks.csv", ",".join(RANK) + '\nVecMap,it-fr,5,"cane,chien,1\nVecMap,it-fr,5,gatto,chat,1\n')
    with pytest.raises(UserError, match=r"ranks.csv:2: not CSV from here on"):
        place.take("bli", path)


def test_an_import_has_a_threshold_of_harm(place: Place) -> None:
    file = table(place.folder, [published()])
    place.take("donors-recipients", file, harm=2.5)
    place.take("donors-recipients", file)
    assert place.ask("select config ->> '$.harm_threshold_pp' from raw.studies") == [("2.5",)], "it lasts"
