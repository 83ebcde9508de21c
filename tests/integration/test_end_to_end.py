"""What `make all` does, on the tiny study: compute, dbt build, check, report; and the code of README and docs."""

from __future__ import annotations

import json
import os
import re
import runpy
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import duckdb
import pytest
import yaml
from jsonschema import Draft202012Validator

from compute.cli import parser
from compute.engine.executors.cluster import read_cluster
from compute.store.raw_schema import TABLES
from compute.study.file import read_study
from compute.study.json_schema import study_schema
from compute.verbs import VERBS
from data_checks.own_checks import read_own_checks, try_own_checks

ROOT = Path(__file__).parents[2]
TINY = ROOT / "tests" / "studies" / "tiny.yml"
STUDY = "tiny.yml"
"""In the folder that a command runs in."""
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language in the README and the docs."""
    pages = (path.read_text(encoding="utf-8") for path in PAGES)
    return [block for page in pages for block in re.findall(rf"```{language}\n(.*?)```", page, flags=re.DOTALL)]


def commands() -> list[list[str]]:
    """What the docs say to type after `transfer`."""
    lines = [line.split("  #")[0] for block in blocks("bash") for line in block.splitlines()]
    typed = [part.strip() for line in lines for part in re.split(r"&&", line)]
    return [shlex.split(part)[1:] for part in typed if part.startswith("transfer ")]


def run(folder: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    settings = {"WAREHOUSE": str(folder / "warehouse.duckdb"), "STUDY": STUDY, "DEVICE": "cpu"} | environment
    return subprocess.run(
        command, cwd=folder, env=os.environ | settings, capture_output=True, text=True, timeout=600, check=False
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the tiny study computed and its marts built: with NN-Rank, and with as many targets, and scores
    that change as much, as predicting takes."""
    folder = tmp_path_factory.mktemp("built")
    text = TINY.read_text()
    for old, new in (
        ("tasks: [parity, compare], languages: [en, de]", "tasks: [parity, compare], languages: [en, de, es]"),
        ("lora: {epochs: 1}", "lora: {epochs: 2, learning_rate: 0.02}"),
    ):
        assert old in text
        text = text.replace(old, new)
    (folder / STUDY).write_text(f"{text}plugins: {{nn_rank: {{items: 20}}}}\n")
    done = run(folder, sys.executable, "-m", "compute.cli", "compute")
    assert done.returncode == 0, done.stderr
    dbt = str(Path(sys.executable).with_name("dbt"))
    places = ["--project-dir", str(ROOT), "--profiles-dir", str(ROOT)]
    places += ["--target-path", str(folder / "target"), "--log-path", str(folder / "logs")]
    done = run(folder, dbt, "build", *places)
    assert done.returncode == 0, done.stdout
    return folder


def test_the_marts_answer(built: Path) -> None:
    with duckdb.connect(str(built / "warehouse.duckdb"), read_only=True) as connection:
        cells = connection.execute(
            "select count(*), count(delta_pp), count(*) filter (where control = 'placebo') from marts.fct_transfer"
        ).fetchone()
        assert cells == (24, 24, 12)
        regimes = connection.execute(
            "select regime, n_cells from marts.rpt_regimes where scope = 'all' order by 1"
        ).fetchall()
        assert regimes == [("CT-CL", 4), ("CT-ML", 2), ("MT-CL", 4), ("MT-ML", 2), ("transfer", 10)]
        pairs = connection.execute(
            "select source_language, bli_map is null, transfer_pp is null from marts.rpt_language_pairs"
            " where target_language != 'es' order by 1"
        ).fetchall()
        assert pairs == [("de", False, False), ("en", False, False)]


@pytest.fixture(scope="module")
def checked(built: Path) -> subprocess.CompletedProcess[str]:
    """The audit of it, which has passed and published it."""
    return run(built, sys.executable, "-m", "compute.cli", "check")


def test_the_audit_is_stored_and_the_report_written(built: Path, checked: subprocess.CompletedProcess[str]) -> None:
    assert "checks" in checked.stderr
    with duckdb.connect(str(built / "warehouse.duckdb"), read_only=True) as connection:
        errors = connection.execute(
            "select expectation, observed from checks.results where severity = 'error' and not success"
        ).fetchall()
        stored = connection.execute("select count(*) from checks.results where study = 'tiny'").fetchone()
    assert not errors, errors
    assert checked.returncode == 0
    assert stored is not None
    assert stored[0] > 20
    assert "planned_jobs_have_run" in (built / "target" / "data_docs" / "tiny" / "index.html").read_text()
    reported = run(built, sys.executable, "-m", "compute.cli", "report")
    assert reported.returncode == 0, reported.stderr
    assert "</html>" in (built / "report.html").read_text(encoding="utf-8")
    assert (built / "reports" / "tiny.html").read_bytes() == (built / "report.html").read_bytes()


def test_every_published_mart_is_exported(built: Path, checked: subprocess.CompletedProcess[str]) -> None:
    with duckdb.connect(str(built / "published" / "warehouse.duckdb"), read_only=True) as connection:
        marts = connection.execute(
            "select table_name from information_schema.tables where table_schema = 'marts'"
        ).fetchall()
        rows = {mart: connection.execute(f"select count(*) from marts.{mart}").fetchone() for (mart,) in marts}
    for file_format, ending in (("parquet", "parquet"), ("latex", "tex")):
        command = ["export", "marts", "--study", "tiny", "--format", file_format, "--to", "paper"]
        done = run(built, sys.executable, "-m", "compute.cli", *command)
        assert done.returncode == 0, done.stderr
        assert {path.stem for path in (built / "paper").glob(f"*.{ending}")} == set(rows)
    for mart, expected in rows.items():
        read = duckdb.execute("select count(*) from read_parquet(?)", [str(built / "paper" / f"{mart}.parquet")])
        assert read.fetchone() == expected
        has_table = r"\toprule" in (built / "paper" / f"{mart}.tex").read_text(encoding="utf-8")
        assert has_table == (expected != (0,))


def test_cards_of_exported_adapters_say_what_the_warehouse_knows(
    built: Path, checked: subprocess.CompletedProcess[str]
) -> None:
    command = ["export", "adapters", "--study", "tiny", "--source", "parity/de", "--to", "adapters"]
    done = run(built, sys.executable, "-m", "compute.cli", *command)
    assert done.returncode == 0 and "lack" not in done.stderr, done.stderr
    card = (built / "adapters" / "small-parity-de-seed1" / "README.md").read_text(encoding="utf-8")
    with duckdb.connect(str(built / "warehouse.duckdb"), read_only=True) as connection:
        cells = connection.execute(
            "select target_task || '/' || target_language, baseline_score, score, delta_pp, verdict"
            " from marts.fct_transfer where study = 'tiny' and source_language = 'de' and control is null"
        ).fetchall()
    assert len(cells) == 6
    for target, base, score, delta, verdict in cells:
        own = " (own cell)" if target == "parity/de" else ""
        assert f"| {target}{own} | acc | {base:.3f} | {score:.3f} | {delta:+.2f} pp |" in card
        assert re.search(rf"^\| {target}.*\| {verdict} \|$", card, flags=re.MULTILINE)
    assert "Of 5 targets besides its own cell" in card and "Tuned on permuted labels" in card
    assert re.search(r"\d+ checks of the study on .*: \d+ failed", card) and "Not known" not in card


def test_the_notebook_shows_what_was_published(built: Path, checked: subprocess.CompletedProcess[str]) -> None:
    pytest.importorskip("marimo", reason="the notebook needs the extra `notebook`")
    notebook = str(ROOT / "report" / "explore.py")
    as_script = run(built, sys.executable, notebook)
    assert (as_script.returncode, as_script.stderr) == (0, "")
    export = ["-m", "marimo", "export", "html", notebook, "--output", "explore.html"]
    exported = run(built, sys.executable, *export, "--", "--warehouse", "published/warehouse.duckdb")
    assert exported.returncode == 0, exported.stderr
    page = (built / "explore.html").read_text(encoding="utf-8")
    session, _ = json.JSONDecoder().raw_decode(page[page.index('"session": ') + len('"session": ') :])
    shown = [output for cell in session["cells"] for output in cell["outputs"]]
    assert {output["type"] for output in shown} == {"data"}, shown  # none is an error
    texts = [str(output["data"]) for output in shown]
    for expected in ("tiny", "MT-CL", "parity/de", "<svg", "donor_rank", "mean_map"):
        assert any(expected in text for text in texts), expected
    nowhere = run(built, sys.executable, *export, "--force", "--", "--warehouse", "no.duckdb")
    assert "There is no" in (built / "explore.html").read_text(encoding="utf-8") and nowhere.returncode == 0


def test_every_question_of_the_docs_runs(built: Path, tmp_path: Path) -> None:
    questions = [block for block in blocks("sql") if not block.startswith("---")]
    questions += [command[1] for command in commands() if command[0] == "sql" and len(command) > 1]
    assert len(questions) >= 10
    with duckdb.connect(str(built / "warehouse.duckdb"), read_only=True) as connection:
        for question in questions:
            connection.execute(
                re.sub(r"\{\{ ref\('transfer_warehouse', '(\w+)'\) }}", r"marts.\1", question)
            ).fetchall()
    own = [block for block in blocks("sql") if block.startswith("---")]
    for number, text in enumerate(own):
        (tmp_path / f"own_{number}.sql").write_text(text)
    checks = read_own_checks(tmp_path)
    assert len(checks) == len(own) >= 1
    try_own_checks(checks, tmp_path, built / "warehouse.duckdb", "tiny")


def test_every_command_of_the_docs_is_one() -> None:
    typed = commands()
    assert len(typed) >= 25
    known = parser()
    for command in typed:
        known.parse_args(command)


def test_every_study_of_the_docs_is_valid(tmp_path: Path) -> None:
    """Whole studies and parts of them by their keys and shapes; the README's by what it names, too."""
    schema = study_schema()
    for section in (schema, *schema["$defs"].values()):
        section.pop("required", None)
    parts = {"study": schema, "Embeddings": {**schema, **schema["$defs"]["Embeddings"]}}
    written = [block for block in blocks("yaml") if not block.startswith(("# map.yml", "# cluster.yml"))]
    assert len(written) >= 10
    for block in written:
        content = yaml.safe_load(textwrap.dedent(block))
        part = "study" if content.keys() <= schema["properties"].keys() else "Embeddings"
        assert not list(Draft202012Validator(parts[part]).iter_errors(content)), block
    (whole,) = re.findall(r"```yaml\n(.*?)```", PAGES[0].read_text(encoding="utf-8"), flags=re.DOTALL)
    (tmp_path / "mine.yml").write_text(whole)
    assert read_study(tmp_path / "mine.yml").study == "mine"


def test_every_cluster_of_the_docs_is_valid(tmp_path: Path) -> None:
    written = [block for block in blocks("yaml") if block.startswith("# cluster.yml")]
    for text in (*written, (ROOT / "deploy" / "cluster.yml").read_text()):
        (tmp_path / "cluster.yml").write_text(text)
        assert read_cluster(tmp_path / "cluster.yml").partition == "gpu"


def test_the_reference_is_made_from_the_code() -> None:
    site = runpy.run_path(str(ROOT / "docs" / "hooks.py"))["reference"]()
    assert all(f"\n## {verb}\n" in site["verbs"] for verb in VERBS)
    assert (
        "| `harm_threshold_pp` | number ≥ 0, ≤ 100 | `1.0` | a loss of at least this much is a harm |" in site["study"]
    )
    assert all(f"\n## raw.{table}\n" in site["raw-tables"] for table in TABLES)
    marts = [path.stem for path in (ROOT / "models" / "marts").glob("*.sql")]
    assert all(f"\n## {mart}\n" in site["marts"] for mart in marts) and "| `verdict` | varchar |" in site["marts"]


def test_the_site_is_built_without_a_broken_link(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="installed by make install")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "reference" / "study.html").read_text(encoding="utf-8")
    assert not re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="https?://', page)


def test_the_plugin_of_the_docs_works(tmp_path: Path) -> None:
    """Installed as another package would install it: a module and an entry point."""
    [code] = [block for block in blocks("python") if "(Plugin)" in block]
    (tmp_path / "numeral_distance.py").write_text(code)
    info = tmp_path / "numeral_distance-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: numeral-distance\nVersion: 1.0\n")
    [entry] = [block for block in blocks("toml") if "transfer.plugins" in block]
    name, place = re.findall(r"^(\w+) = \"(.*)\"$", entry, flags=re.MULTILINE)[-1]
    (info / "entry_points.txt").write_text(f"[transfer.plugins]\n{name} = {place}\n")
    study = tmp_path / "distances.yml"
    study.write_text("study: distances\nplugins:\n  numeral_distance: {languages: [de, nl, fi]}\n")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    done = run(tmp_path, sys.executable, "-m", "compute.cli", "compute", STUDY=str(study), PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    with duckdb.connect(str(tmp_path / "warehouse.duckdb"), read_only=True) as connection:
        distances = dict(
            connection.execute(
                "select target_language, value from raw.language_distances where source_language = 'de'"
            ).fetchall()
        )
    assert 0 < distances["nl"] < distances["fi"]
    wrong = tmp_path / "wrong.yml"
    wrong.write_text("study: wrong\nplugins:\n  numeral_distance: {languages: [de, nl], nubmers: 3}\n")
    refused = run(tmp_path, sys.executable, "-m", "compute.cli", "plan", STUDY=str(wrong), PYTHONPATH=path)
    assert refused.returncode == 2
    assert "did you mean 'numbers'?" in refused.stderr


def test_nearest_tokens_are_judged_beside_other_predictors(built: Path) -> None:
    with duckdb.connect(str(built / "warehouse.duckdb"), read_only=True) as connection:
        rows = connection.execute(
            "select target_task, target_language, count(*), sum(value) from raw.source_similarities group by all"
        ).fetchall()
    assert sorted(row[:3] for row in rows) == [
        ("compare", "de", 2), ("compare", "en", 2), ("compare", "es", 2), ("parity", "de", 1), ("parity", "en", 1),
        ("parity", "es", 2),
    ]  # fmt: skip
    assert [row[3] for row in rows] == pytest.approx([1] * 6)
    predicted = run(built, sys.executable, "-m", "compute.cli", "predict")
    assert predicted.returncode == 0, predicted.stderr
    with duckdb.connect(str(built / "warehouse.duckdb"), read_only=True) as connection:
        judged = connection.execute(
            "select measure, n_units from marts.rpt_predictors where predictor = 'nn_rank' order by 1"
        ).fetchall()
        said = connection.execute(
            "select count(value) from raw.predictor_values where predictor = 'nn_rank'"
        ).fetchone()
    assert ("regret_1", 4) in judged and said == (10,)
