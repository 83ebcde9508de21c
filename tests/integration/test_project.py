"""A project's files lie in its folder wherever one stands, and a path means the same to all who are given it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

ROOT = Path(__file__).parents[2]

RANKS = "method,pair,size,query,gold,rank\nproc,en-{},5,a,b,1\n"
ODD = "it's 100% #1ü $HOME=%20.v2"
NAMES = ("raw", "temp", "System", "main", "marts", "a-b.c d?e=1")


def run(folder: Path, *command: str | Path, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TRANSFER_MIRROR": "", **settings}
    return subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def transfer(folder: Path, *arguments: str | Path, **settings: str) -> subprocess.CompletedProcess[str]:
    return run(folder, sys.executable, "-P", "-m", "compute.cli", *arguments, **settings)


def project(folder: Path, profile: str = "transfer_warehouse") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dbt_project.yml").write_text(f"name: x\nprofile: {profile}\n")
    return folder


def jobs(path: Path) -> int:
    connection = duckdb.connect()
    connection.execute(f"attach '{str(path).replace(chr(39), 2 * chr(39))}' as w (read_only)")
    (found,) = connection.execute("select count(*) from w.raw.study_jobs").fetchone() or (0,)
    connection.close()
    return int(found)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A project with a folder within a folder of another project."""
    root = project(tmp_path / "home")
    project(root / "other", profile="company")
    (root / "other" / "sub").mkdir()
    for language in ("de", "fr"):
        (root / "other" / "sub" / f"{language}.csv").write_text(RANKS.format(language))
    return root


def test_a_project_is_found_upwards_and_another_is_not_taken_for_it(home: Path) -> None:
    below = home / "other" / "sub"
    assert transfer(below, "import", "bli", "de.csv", "--study", "s").returncode == 0
    assert transfer(home, "import", "bli", below / "fr.csv", "--study", "s").returncode == 0
    assert jobs(home / "warehouse.duckdb") == 2
    assert sorted(path.name for path in below.iterdir()) == ["de.csv", "fr.csv"]
    assert len(list((home / "landing" / "jobs").iterdir())) == 2


def test_variables_are_below_the_project_and_arguments_where_one_stands(home: Path) -> None:
    below = home / "other" / "sub"
    assert transfer(below, "import", "bli", "de.csv", WAREHOUSE="mine.duckdb").returncode == 0
    assert jobs(home / "mine.duckdb") == 1
    assert transfer(below, "import", "bli", "de.csv", "--warehouse", "here.duckdb").returncode == 0
    assert jobs(below / "here.duckdb") == 1
    assert (home / "landing").is_dir() and not (below / "landing").exists()


def test_without_a_project_all_lies_where_one_stands_or_where_one_says(tmp_path: Path, home: Path) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "de.csv").write_text(RANKS.format("de"))
    assert transfer(alone, "import", "bli", "de.csv").returncode == 0
    assert (alone / "landing").is_dir()
    assert transfer(alone, "import", "bli", "de.csv", "--project-dir", "../home").returncode == 0
    assert jobs(home / "warehouse.duckdb") == 1
    wrong = transfer(alone, "plan", "--project-dir", "nowhere")
    assert (wrong.returncode, wrong.stderr) == (2, "transfer: --project-dir nowhere: no such folder\n")


def test_a_home_folder_is_the_same_to_all(home: Path) -> None:
    table = home / "other" / "sub" / "de.csv"
    for warehouse in ("~/w.duckdb", str(home / "w.duckdb")):
        done = transfer(home / "other", "import", "bli", table, "--warehouse", warehouse, HOME=str(home))
        assert done.returncode == 0
    assert jobs(home / "w.duckdb") == 1
    report = transfer(home, "report", "--study", "bli", WAREHOUSE="~/w.duckdb", HOME=str(home))
    assert "run `transfer build` first" in report.stderr and "no such warehouse" not in report.stderr
    other = transfer(home, "plan", "--warehouse", "~nobody/w.duckdb")
    assert other.returncode == 2 and other.stderr.startswith("transfer: ~nobody/w.duckdb: expected a path from /")
    assert transfer(home, "plan", WAREHOUSE="~nobody/w.duckdb").returncode == 2


def test_a_broken_project_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "dbt_project.yml").write_text("name: [")
    done = transfer(tmp_path, "plan")
    assert done.returncode == 2 and done.stderr.startswith(f"transfer: {tmp_path}/dbt_project.yml: cannot be read")


@pytest.mark.parametrize("name", NAMES)
def test_a_warehouse_may_be_called_anything(tmp_path: Path, name: str) -> None:
    """Both of the imports land, and the registered study is read back."""
    warehouse = tmp_path / ODD / f"{name}.duckdb"
    warehouse.parent.mkdir()
    for number, language in enumerate(("de", "fr"), start=1):
        (tmp_path / "ranks.csv").write_text(RANKS.format(language))
        done = transfer(tmp_path, "import", "bli", "ranks.csv", "--study", "s", WAREHOUSE=str(warehouse))
        assert done.returncode == 0, done.stderr
        assert jobs(warehouse) == number
    assert [path.name for path in warehouse.parent.iterdir()] == [warehouse.name]


def test_a_folder_that_duckdb_cannot_write_in_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    (tmp_path / "a?b").mkdir()
    (tmp_path / "ranks.csv").write_text(RANKS.format("de"))
    done = transfer(tmp_path, "import", "bli", "ranks.csv", "--warehouse", "a?b/w.duckdb")
    assert done.returncode == 2 and "takes no folder with a question mark" in done.stderr
    assert not (tmp_path / "landing").exists()


@pytest.mark.parametrize("name", ["raw", "temp.v2"])
def test_dbt_checks_and_shell_take_that_name_too(tmp_path: Path, name: str) -> None:
    """Run where a `data_checks` and a `dbt` of someone else lie, and after dbt was told of another project."""
    for package in ("data_checks", "dbt"):
        (tmp_path / package).mkdir()
        for file in ("__init__.py", "__main__.py"):
            (tmp_path / package / file).write_text("raise SystemExit('another')")
    (tmp_path / "ranks.csv").write_text(RANKS.format("de"))
    warehouse = tmp_path / ODD / f"{name}.duckdb"
    warehouse.parent.mkdir()
    settings = {"WAREHOUSE": str(warehouse), "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    assert transfer(tmp_path, "import", "bli", "ranks.csv", WAREHOUSE=str(warehouse)).returncode == 0
    theirs = {"DBT_PROFILES_DIR": "/x", "DBT_TARGET": "prod", "DBT_PROJECT_DIR": "/y", "DBT_TARGET_PATH": "/z"}
    built = transfer(tmp_path, "build", "--quiet", WAREHOUSE=str(warehouse), **theirs)
    assert built.returncode == 0, built.stdout
    checked = transfer(tmp_path, "check", "--study", "bli", **settings)
    assert checked.returncode == 0, checked.stderr
    assert "bli: " in checked.stderr and (tmp_path / "published" / "warehouse.duckdb").exists()
    shell = transfer(tmp_path, "sql", "select map from marts.fct_bli limit 1;", WAREHOUSE=str(warehouse))
    assert "1.0" in shell.stdout, shell.stderr


def test_a_build_before_anything_is_computed_leaves_no_warehouse(tmp_path: Path) -> None:
    missing = "warehouse.duckdb: no such warehouse; run `transfer compute` first\n"
    for verb in ("build", "docs"):
        done = transfer(tmp_path, verb)
        assert (done.returncode, list(tmp_path.iterdir())) == (2, [])
        assert done.stderr == f"transfer: {missing}"
    dbt = [sys.executable, "-c", "from dbt.cli.main import cli; cli(prog_name='dbt')", "run", "--select", "stg_tasks"]
    places = [f"--{name}-path={tmp_path / name}" for name in ("target", "log")]
    at = os.environ | {"WAREHOUSE": str(tmp_path / "warehouse.duckdb"), "NO_COLOR": "1"}
    by_itself = subprocess.run([*dbt, *places], cwd=ROOT, env=at, capture_output=True, text=True, check=False)
    assert by_itself.returncode == 2 and missing in by_itself.stdout
    assert not list(tmp_path.glob("*.duckdb*"))
    for verb in ("build", "sql", "docs"):
        done = transfer(tmp_path, verb, "--warehouse", str(tmp_path))
        assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr
