"""What `transfer export` writes is what the warehouse holds, as other programs read it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pytest
from gensim.models import KeyedVectors
from polars.testing import assert_frame_equal

from compute.cli import main
from compute.embeddings.vectors import Vectors, save_vectors
from compute.store.artifacts import ArtifactStore
from compute.store.publish import publish
from compute.store.warehouse import Warehouse
from tests.helpers.warehouse_fixture import RawRows, derive

STUDY = "it's 50 % done"
MARTS = ("fct_bli", "fct_scores", "fct_transfer", "rpt_bli_methods", "rpt_regimes", "rpt_roles")
TINY = Path(__file__).parents[1] / "studies" / "tiny.yml"
Mapped = dict[tuple[str, int, str, str], dict[str, Vectors]]
"""(method, size, source, target) -> side -> its vectors."""
WORDS = {"en": ["the", "naïve", "two words", "#1"], "de": ["der", "größer", '"', "50%"]}


Told = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def in_place(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests run where the warehouse is."""
    monkeypatch.chdir(place)
    monkeypatch.delenv("WAREHOUSE", raising=False)


def export(*arguments: object) -> int:
    return main(["export", *map(str, arguments)])


def the_line(told: Told) -> str:
    [line] = told.readouterr().err.strip().splitlines()
    return line


def language_models(raw: RawRows) -> None:
    raw.task("parity")
    raw.model("small_1@a&b", "llama")
    cells = [("parity", language) for language in ("de", "en")]
    for number, target in enumerate(cells):
        common = {"model": "small_1@a&b", "target": target, "parallel_ids": ["p1", "p2", "p3"]}
        raw.scores(STUDY, correct=[True, False, False], **common)  # type: ignore[arg-type]
        for source in cells:
            raw.scores(STUDY, source=source, seed=1, correct=[True, True, number == 0], **common)  # type: ignore[arg-type]


def embeddings(raw: RawRows, artifacts: Path) -> Mapped:
    """Mappings of both directions by two methods, at two sizes."""
    draw = np.random.default_rng(0)
    mapped: Mapped = {}
    for source, target in (("de", "en"), ("en", "de")):
        for method in ("proc", "rcsls"):
            for size in (100, 300):
                keys = {
                    "method": method, "variant": "default", "vectors": "ft@1", "source_language": source,
                    "target_language": target, "dictionary_size": size, "seed": 0,
                }  # fmt: skip
                key = raw.job(STUDY, "mapping", **keys)
                sides = {"source": source, "target": target}
                vectors_of = mapped[method, size, source, target] = {
                    side: Vectors(WORDS[language], draw.normal(size=(4, 3)).astype(np.float32))
                    for side, language in sides.items()
                }
                with ArtifactStore(artifacts).commit([key]) as folders:
                    for side, vectors in vectors_of.items():
                        save_vectors(vectors, folders[key] / side)
                scored = raw.job(STUDY, "bli", **keys)
                for number, rank in enumerate([1, 2.5, 1 / 3 * 10]):
                    raw.add(
                        "bli_ranks", job_key=scored, **keys, retrieval="cosine", pair_number=number, query=f"q{number}",
                        gold="g", rank=rank, is_leaked=False, is_duplicate=False, is_identical=False,
                    )  # fmt: skip
    return mapped


@pytest.fixture(scope="module")
def mapped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Mapped]:
    """A directory with a warehouse, its published copy and artifacts; and the vectors that are in these."""
    folder = tmp_path_factory.mktemp("export")
    raw = RawRows()
    for study in (STUDY, "another"):
        raw.study(study)
    language_models(raw)
    vectors = embeddings(raw, folder / "artifacts")
    path = raw.write(folder / "warehouse.duckdb")
    with duckdb.connect(str(path)) as connection:
        derive(connection, *MARTS)
        connection.execute("create schema marts")
        for mart in MARTS:
            connection.execute(f"create table marts.{mart} as from main.{mart}")
        connection.execute("create schema checks")
        connection.execute("create table checks.results (study varchar)")
    publish(STUDY, Warehouse(path), folder / "published" / "warehouse.duckdb")
    return folder, vectors


@pytest.fixture(scope="module")
def place(mapped: tuple[Path, Mapped]) -> Path:
    return mapped[0]


def in_warehouse(place: Path, mart: str) -> pl.DataFrame:
    with duckdb.connect(str(place / "warehouse.duckdb"), read_only=True) as connection:
        return connection.execute(f"select * from marts.{mart} where study = ? order by all", [STUDY]).pl()


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_files_read_back_equal_to_the_mart(place: Path, tmp_path: Path, file_format: str) -> None:
    folder = tmp_path / "it's 'here'"
    assert export("marts", "--study", STUDY, "--format", file_format, "--to", folder) == 0
    assert sorted(path.name for path in folder.iterdir()) == [f"{mart}.{file_format}" for mart in MARTS]
    for mart in MARTS:
        expected = in_warehouse(place, mart)
        path = folder / f"{mart}.{file_format}"
        read = pl.read_parquet(path) if file_format == "parquet" else pl.read_csv(path, schema=expected.schema)
        assert len(expected) > 0
        assert_frame_equal(read, expected, check_row_order=False, check_exact=True)


def test_tables_of_a_paper(place: Path, tmp_path: Path) -> None:
    chosen = ["--mart", "rpt_regimes", "--mart", "rpt_bli_methods", "--mart", "fct_transfer"]
    for file_format in ("latex", "markdown"):
        assert export("marts", "--study", STUDY, "--format", file_format, "--to", tmp_path, *chosen) == 0
    latex = (tmp_path / "rpt_regimes.tex").read_text(encoding="utf-8")
    assert latex.startswith("% marts.rpt_regimes of study it's 50 % done\n% plain: plain@1\n% small_1: small_1@a&b\n")
    # base 1/3; tuned 3/3 on de, 2/3 on en: each trained cell and each transfer cell
    assert "MT{-}ML: the trained cell itself & 2 & +50.0 & {[}" in latex
    tables = latex.split(r"\begin{table}")[1:]
    assert ["Scope all." in one for one in tables] == [r"Scope small\_1." not in one for one in tables]
    [of_one] = (one for one in tables if r"Scope small\_1. Part 1" in one)
    assert "MT{-}CL: same task, other language & 2 & +50.0 & {[}" in of_one
    grid = (tmp_path / "fct_transfer.md").read_text(encoding="utf-8")
    assert "| source | parity/de | parity/en |" in grid
    assert "| parity/de | +66.7 | +33.3 |" in grid
    methods = (tmp_path / "rpt_bli_methods.tex").read_text(encoding="utf-8")
    assert "method & 100 & 300 & 100 & 300 \\\\" in methods
    assert "proc & 0.567 & 0.567 & 0.567 & 0.567 \\\\" in methods  # (1 + 1 / 2.5 + 3 / 10) / 3


def test_every_mart_has_a_table(tmp_path: Path) -> None:
    assert export("marts", "--study", STUDY, "--format", "latex", "--to", tmp_path) == 0
    for mart in MARTS:
        assert r"\toprule" in (tmp_path / f"{mart}.tex").read_text(encoding="utf-8")


def test_only_what_passed_is_read_unless_said_otherwise(tmp_path: Path, capsys: Told) -> None:
    unchecked = ["marts", "--study", "another", "--mart", "fct_scores", "--format", "latex", "--to", tmp_path]
    assert export(*unchecked) == 2
    assert "unknown study 'another'; known: it's 50 % done" in the_line(capsys)
    assert export(*unchecked, "--warehouse", "warehouse.duckdb") == 0
    assert (tmp_path / "fct_scores.tex").read_text() == "% marts.fct_scores of study another: no rows\n"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--format", "csv", "--mart", "rpt_role"], "unknown mart 'rpt_role'; did you mean 'rpt_roles'?"),
        (["--format", "latx"], "unknown format 'latx'; did you mean 'latex'?"),
        (["--format", "csv", "--width", "400"], "--width is of tables in latex; csv has none"),
        (["--format", "csv", "--study", TINY], "unknown study 'tiny'"),
        (["--format", "csv", "--study", TINY, "--warehouse", "no.duckdb"], "no.duckdb: no such warehouse"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, arguments: list[object], expected: str, capsys: Told) -> None:
    assert export("marts", "--study", STUDY, "--to", tmp_path / "out", *arguments) == 2
    assert expected in the_line(capsys)
    assert not (tmp_path / "out").exists()


def test_a_mart_of_an_older_build_is_one_line(place: Path, tmp_path: Path, capsys: Told) -> None:
    older = tmp_path / "older.duckdb"
    older.write_bytes((place / "published" / "warehouse.duckdb").read_bytes())
    with duckdb.connect(str(older)) as connection:
        connection.execute("alter table marts.rpt_regimes drop column null_harm_pct")
    arguments = ["--study", STUDY, "--format", "latex", "--warehouse", older, "--mart", "rpt_regimes"]
    assert export("marts", *arguments, "--to", tmp_path) == 2
    assert "marts.rpt_regimes has no column 'null_harm_pct'" in the_line(capsys)


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path, capsys: Told) -> None:
    (tmp_path / "file").write_text("")
    assert export("marts", "--study", STUDY, "--format", "csv", "--to", tmp_path / "file" / "out") == 2
    assert "cannot be written" in the_line(capsys)


# ---- vectors ----


def test_gensim_loads_the_mapped_vectors(mapped: tuple[Path, Mapped], tmp_path: Path) -> None:
    """By a process of its own, as users run it."""
    place, vectors = mapped
    chosen = ["--method", "proc", "--pair", "de-en", "--size", "300", "--to", str(tmp_path)]
    command = [sys.executable, "-m", "compute.cli", "export", "vectors", "--study", STUDY, *chosen]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    written = {path.relative_to(tmp_path).as_posix(): path for path in tmp_path.rglob("*.vec")}
    assert sorted(written) == ["ft@1/proc-default-300-0/de-en.de.vec", "ft@1/proc-default-300-0/de-en.en.vec"]
    for side, language in (("source", "de"), ("target", "en")):
        expected = vectors["proc", 300, "de", "en"][side]
        loaded = KeyedVectors.load_word2vec_format(written[f"ft@1/proc-default-300-0/de-en.{language}.vec"])
        assert [word.replace("\u00a0", " ") for word in loaded.index_to_key] == expected.words
        np.testing.assert_allclose(loaded.vectors, expected.matrix, atol=1e-6)


def test_all_mappings_are_exported_and_a_lost_one_is_told(place: Path, tmp_path: Path, capsys: Told) -> None:
    lost = next((place / "artifacts").iterdir())
    lost.rename(tmp_path / "lost")
    try:
        assert export("vectors", "--study", STUDY, "--to", tmp_path / "out") == 1
    finally:
        (tmp_path / "lost").rename(lost)
    told = capsys.readouterr().err
    assert "7 mappings exported" in told and f"{lost.name} is missing" in told
    assert len(list((tmp_path / "out").rglob("*.vec"))) == 14


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--method", "pro"], "unknown mapping method 'pro'; did you mean 'proc'?"),
        (["--pair", "de-em"], "unknown pair 'de-em'; did you mean 'de-en'?"),
        (["--size", "30"], "unknown dictionary size '30'; did you mean '300'?"),
        (["--study", "another"], "has no mapping that has landed"),
    ],
)
def test_mappings_that_are_not_there_are_named(
    tmp_path: Path, arguments: list[object], expected: str, capsys: Told
) -> None:
    assert export("vectors", "--study", STUDY, "--to", tmp_path, *arguments) == 2
    assert expected in the_line(capsys)
