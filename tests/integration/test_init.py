"""A project made by `transfer init`: our dbt package beneath a mart and checks of its own, and what verbs do in it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path

import duckdb
import pytest
import yaml

from compute import __version__
from compute.cli import main
from compute.errors import UserError
from compute.project import package_folder
from data_checks.own_checks import read_own_checks, try_own_checks

ROOT = Path(__file__).parents[2]

CELLS = ROOT / "examples" / "import" / "results" / "cells.csv"
MART = """
select
    study,
    target_language,
    max(delta_pp) as best_pp
from {{ ref('transfer_warehouse', 'fct_transfer') }}
group by all
"""
CHECK = """---
severity: {severity}
description: No source gains more than {limit} points.
---
-- a mart of this project; braces {{}} and a colon, as in a:b, are text
select target_language, best_pp from best where best_pp > {limit};
"""

HEAD = "---\nseverity: error\ndescription: x\n---\n"


def transfer(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Call a verb in `folder`, in this process: what it imports is imported once for all tests."""
    told, said = io.StringIO(), io.StringIO()
    with chdir(folder), redirect_stdout(told), redirect_stderr(said), pytest.MonkeyPatch.context() as patch:
        for name in ("STUDY", "WAREHOUSE"):
            patch.delenv(name, raising=False)
        code = main(arguments)
    return subprocess.CompletedProcess(arguments, code, told.getvalue(), said.getvalue())


def as_users_do(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Call a verb in `folder`, in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if name not in ("STUDY", "WAREHOUSE")}
    return subprocess.run(
        [sys.executable, "-P", "-m", "compute.cli", *arguments], cwd=folder, text=True, timeout=300, check=False,
        env=environment | {"PYTHONPATH": str(ROOT)}, capture_output=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example `import` with an own mart and an own warning, imported and run."""
    folder = tmp_path_factory.mktemp("user") / "9 it's mine"
    done = as_users_do(folder.parent, "init", folder.name, "--example", "import")
    assert done.returncode == 0, done.stderr
    (folder / "models" / "best.sql").write_text(MART)
    (folder / "checks" / "modest.sql").write_text(CHECK.format(severity="warning", limit=5))
    done = as_users_do(folder, "import", "donors-recipients", "results/cells.csv", "--study", "published")
    assert done.returncode == 0, done.stderr
    done = as_users_do(folder / "models", "run", "published")  # from below the project's folder
    assert done.returncode == 0, done.stdout + done.stderr
    assert "imported (donors-recipients); nothing to compute" in done.stderr
    return folder


def published(project: Path, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(project / "published" / "warehouse.duckdb"), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_it_is_a_thin_project_on_a_link(project: Path) -> None:
    settings = yaml.safe_load((project / "dbt_project.yml").read_text())
    assert settings["name"] == "project_9_it_s_mine" and settings["profile"] == "transfer_warehouse"
    assert (project / ".transfer" / "dbt_package").readlink() == package_folder()
    assert str(ROOT) not in "".join(p.read_text() for p in project.glob("*.yml"))
    assert yaml.safe_load((project / ".github/workflows/transfer.yml").read_text())["jobs"]
    assert "transfer_warehouse" in json.loads((project / "target" / "manifest.json").read_text())["nodes"].popitem()[0]


def test_own_marts_are_published_and_columns_say_what_they_mean(project: Path) -> None:
    assert len(published(project, "from marts.best")) == 4
    (comment,) = published(
        project,
        "select comment from duckdb_columns() where table_name = 'rpt_regimes' and column_name = 'sig_harm_pct'",
    )
    assert "q_value" in str(comment[0])
    (comment,) = published(project, "select comment from duckdb_tables() where table_name = 'studies'")
    assert comment == ("One study.",)
    assert (project / "reports" / "published.html").read_text() == (project / "report.html").read_text()


def test_a_view_of_the_project_outlives_another_name_of_the_file(project: Path, tmp_path: Path) -> None:
    copy = tmp_path / "renamed.duckdb"
    copy.write_bytes((project / "warehouse.duckdb").read_bytes())
    with duckdb.connect(str(copy), read_only=True) as connection:
        assert connection.execute("select count(*) from staging.stg_aggregate_scores").fetchone() == (192,)


def test_an_own_check_gates_publishing(project: Path) -> None:
    (run,) = published(project, "select success, severity, suite from checks.results where expectation = 'modest'")
    assert run == (False, "warning", "own")
    (project / "checks" / "modest.sql").write_text(CHECK.format(severity="error", limit=5))
    done = transfer(project, "check", "--study", "published")
    assert done.returncode == 1 and "error: modest: " in done.stderr and "is not published" in done.stderr
    (project / "checks" / "modest.sql").write_text(CHECK.format(severity="warning", limit=5))  # as it passed before


WRONG = {
    "no head": ("select 1", ":1: expected a head between two lines of `---`"),
    "severity": (
        HEAD.replace("error", "eror") + "select 1",
        ":2: severity: unknown value 'eror'; did you mean 'error'?",
    ),
    "key": (HEAD.replace("x\n", "x\ndescriptoin: y\n") + "select 1", ":4: descriptoin: unknown key 'descriptoin'; did"),
    "column": (HEAD + "select nope from best", ": Binder Error: Referenced column"),
    "no query": (HEAD + ";", ": expected a query of offenders below the head"),
    "not one query": (HEAD + "select 1; select 2", ": expected one query"),
    "no question": (HEAD + "drop table y", ": expected one query"),
}


@pytest.mark.parametrize(("text", "said"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_own_check_is_named(project: Path, tmp_path: Path, text: str, said: str) -> None:
    wrong = tmp_path / "wrong.sql"
    wrong.write_text(text)
    with pytest.raises(UserError) as caught:
        checks = read_own_checks(tmp_path)
        try_own_checks(checks, tmp_path, project / "warehouse.duckdb", "published")
    assert str(caught.value).startswith(f"{wrong}{said}")


def test_an_own_check_may_not_take_a_name_of_ours(project: Path, tmp_path: Path) -> None:
    (tmp_path / "no_job_failed.sql").write_text(HEAD + "select 1")
    with pytest.raises(UserError, match=r"a check of ours is called 'no_job_failed' \(suite grid\)"):
        read_own_checks(tmp_path)


def test_a_wrong_own_check_ends_the_verb_with_one_line(project: Path) -> None:
    wrong = project / "checks" / "wrong.sql"
    wrong.write_text("select 1")
    try:
        done = transfer(project, "check", "--study", "published")
    finally:
        wrong.unlink()
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("transfer: checks/wrong.sql:1: expected a head")


def test_a_link_to_a_package_that_is_gone_is_mended(project: Path, tmp_path: Path) -> None:
    link = project / ".transfer" / "dbt_package"
    link.unlink()
    link.symlink_to(tmp_path / "old-version")
    (project / ".transfer" / "study.schema.json").write_text("{}")
    assert "published (warehouse.duckdb)" in transfer(project, "ls", "studies").stdout
    assert link.readlink() == package_folder()
    assert "properties" in json.loads((project / ".transfer" / "study.schema.json").read_text())


def test_init_overwrites_nothing_and_refuses_what_it_cannot_make(project: Path, tmp_path: Path) -> None:
    before = (project / "dbt_project.yml").read_bytes()
    (project / "README.md").write_text("mine")
    done = transfer(project, "init", "--example", "own-data")
    assert done.returncode == 0 and "README.md: there already, left as it is" in done.stderr
    assert (project / "README.md").read_text() == "mine" and (project / "dbt_project.yml").read_bytes() == before
    first = (project / "studies" / "own_data.yml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=../.transfer/study.schema.json"
    plan = transfer(project, "plan", "--study", "own_data")
    assert plan.returncode == 0 and "own_data: " in plan.stdout
    wrong = transfer(tmp_path, "init", "--example", "own-dta")
    assert (wrong.returncode, wrong.stderr) == (2, "transfer: unknown example 'own-dta'; did you mean 'own-data'?\n")
    (tmp_path / "dbt_project.yml").write_text("name: theirs\nprofile: theirs\n")
    other = transfer(tmp_path, "init")
    assert other.returncode == 2 and "a dbt project of another profile" in other.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["dbt_project.yml"]
    assert "this is the repository" in transfer(ROOT, "init").stderr


def test_a_study_that_is_nowhere_is_named(project: Path) -> None:
    for arguments in (("run", "publishd"), ("plan", "--study", "publishd"), ("rm", "publishd")):
        done = transfer(project, *arguments)
        assert done.returncode == 2 and "unknown study 'publishd'" in done.stderr, done.stderr


def test_the_doctor_finds_what_is_wrong(project: Path) -> None:
    healthy = transfer(project, "doctor")
    assert healthy.returncode == 0, healthy.stdout
    assert f"transfer {__version__}, Python" in healthy.stdout and "studies: 1" in healthy.stdout
    (project / "broken.duckdb").write_text("no database" * 1000)
    broken = transfer(project, "doctor", "--warehouse", "broken.duckdb")
    assert broken.returncode == 1 and "TODO  warehouse" in broken.stdout


def test_rm_takes_a_study_out_everywhere_and_prune_finds_what_it_left(project: Path) -> None:
    """The last test of the project: the study goes."""
    assert transfer(project, "import", "donors-recipients", "results/cells.csv", "--study", "again").returncode == 0
    (project / "results" / "one.csv").write_text("method,pair,size,query,gold,rank\nproc,en-de,5,a,b,1\n")
    assert transfer(project, "import", "bli", "results/one.csv", "--study", "other").returncode == 0
    removed = transfer(project, "rm", "published")
    assert removed.returncode == 0, removed.stderr
    assert "0 jobs that no other study asks for" in removed.stderr  # `again` asks for the same table
    assert published(project, "select count(*) from marts.fct_transfer") == [(0,)]
    assert not (project / "reports" / "published.html").exists()
    assert transfer(project, "rm", "again").returncode == 0
    with duckdb.connect(str(project / "warehouse.duckdb"), read_only=True) as connection:
        left = connection.execute(
            "select (select count(*) from raw.aggregate_scores), (select count(*) from raw.models), "
            "(select count(*) from raw.bli_ranks), (select list(study) from raw.studies), "
            "(select count(*) from marts.fct_transfer)"
        ).fetchone()
    assert left == (0, 0, 1, ["other"], 0)
    (project / "artifacts" / "0123").mkdir(parents=True)
    (project / "artifacts" / "0123" / "weights").write_bytes(b"x" * 2**20)
    listed = transfer(project, "prune")
    assert "1 artifacts (1.0 MiB) and 1 landed jobs are asked for by no study" in listed.stdout
    assert "nothing is removed without --yes" in listed.stderr and (project / "artifacts" / "0123").exists()
    broken = project / "studies" / "broken.yml"
    broken.write_text("study: [")
    assert "so nothing is pruned" in transfer(project, "prune", "--yes").stderr
    broken.unlink()
    assert transfer(project, "prune", "--yes").returncode == 0
    assert list((project / "artifacts").iterdir()) == [] and len(list((project / "landing" / "jobs").iterdir())) == 1
    assert "0 artifacts (0.0 MiB) and 0 landed jobs" in transfer(project, "prune").stdout
