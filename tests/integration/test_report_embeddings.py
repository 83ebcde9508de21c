"""What the page says of embeddings, beside the marts."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb

from report import printed
from tests.helpers.pages import Page
from tests.helpers.reported import (
    EMBEDDINGS_ONLY,
    EVERYTHING,
    one_row,
)


def test_methods_stand_as_papers_print_them(pages: dict[str, Page]) -> None:
    page = pages[EVERYTHING]
    lines = page.table_rows["methods"]
    assert lines[0] == ["", "all pairs"]  # none is common: one method failed on all
    assert lines[1] == ["method", "100", "300", "no dictionary"]
    table = {line[0]: line[1:] for line in lines[2:5]}
    assert list(table) == ["RCSLS", "PROC", "VECMAP"]  # the best first
    assert table["RCSLS"][0] == "–" and table["VECMAP"][2].endswith(" (6)")  # failed on all pairs
    assert "Correlation with MAP" in page.text["downstream"]
    assert "no downstream task" in pages[EMBEDDINGS_ONLY].text["downstream"]


def test_the_mapping_of_a_pair_is_named_as_the_study_asks(pages: dict[str, Page]) -> None:
    assert "MAP of PROC, largest dictionary, CSLS" in pages[EVERYTHING].text["bli"]
    assert "MAP of PROC, 100 training pairs, cosine" in pages[EMBEDDINGS_ONLY].text["bli"]


def test_flaws_of_dictionaries_and_map_without_them(pages: dict[str, Page], reported: Path) -> None:
    page = pages[EVERYTHING]
    assert ["de → en", "100", "5", "2", "1", "0", "3"] in page.table_rows["methods"]
    both = one_row(
        reported,
        "select avg(map) filter (not clean), avg(map) filter (clean) from marts.fct_bli "
        "where study = ? and method = 'RCSLS' and retrieval = 'csls'",
        EVERYTHING,
    )
    assert ["RCSLS, 300", "6", *map(printed.share, both)] in page.table_rows["methods"]
    assert "No test pair was trained on" in pages[EMBEDDINGS_ONLY].text["methods"]


def test_scores_on_two_collections_stand_in_two_tables(pages: dict[str, Page], reported: Path) -> None:
    page = pages[EVERYTHING]
    with duckdb.connect(str(reported), read_only=True) as connection:
        for collection in ("news", "talks"):
            rows = connection.execute(
                "select source_language || ' → ' || target_language, score from marts.fct_downstream "
                "where study = ? and collection = ? and metric = 'micro_f1' and method = 'RCSLS' order by 1",
                [EVERYTHING, collection],
            ).fetchall()
            assert f"cldc, {collection}, cnn, micro_f1" in page.text["downstream"]
            assert ["RCSLS", "300", *(printed.share(score) for _, score in rows)] in page.table_rows["downstream"]


def test_a_method_run_on_fewer_pairs_does_not_win_by_it(pages: dict[str, Page]) -> None:
    page = pages[EMBEDDINGS_ONLY]
    _, head, proc, icp = page.table_rows["methods"][:4]
    assert head == ["method", "pairs", "100", "100"]
    assert (proc[:2], icp[:2]) == (["PROC", "12"], ["ICP", "2"])
    assert proc[2] < icp[2]  # the mean over its two pairs, the easy ones
    assert f"mean MAP {proc[2]} over 12 language pairs (PROC" in page.text["summary"]
    assert re.search(r"95 % interval over test words 0\.\d{3} to 0\.\d{3}\)", page.text["summary"])
    assert "On fewer pairs, and so not compared here: ICP." in page.text["summary"]
    assert "over those common to all methods" in page.text["methods"]
