"""The commands as a user runs them: real processes in an empty directory."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

ROOT = Path(__file__).parents[2]
TINY = ROOT / "tests" / "studies" / "tiny.yml"
TRANSFER = [sys.executable, "-m", "compute.cli"]


def transfer(folder: Path, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key not in ("STUDY", "WAREHOUSE", "EXECUTOR")}
    return subprocess.run(
        [*TRANSFER, *arguments], cwd=folder, env=environment | {"DEVICE": "cpu"}, capture_output=True, text=True,
        timeout=300, check=False, **options,
    )  # type: ignore[call-overload,no-any-return]  # fmt: skip


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory in which the tiny study has been computed."""
    folder = tmp_path_factory.mktemp("computed")
    done = transfer(folder, "compute", "--study", str(TINY))
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def copy(computed: Path, tmp_path: Path) -> Iterator[Path]:
    shutil.copytree(computed, tmp_path / "copy")
    yield tmp_path / "copy"


def ask(folder: Path, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_help_of_every_verb() -> None:
    for verb in ("plan", "compute", "load", "check", "report", "advise", "ls"):
        done = transfer(Path.cwd(), verb, "--help")
        assert done.returncode == 0
        assert "usage" in done.stdout


def test_a_mistyped_verb_is_exit_code_2() -> None:
    done = transfer(Path.cwd(), "comptue")
    assert done.returncode == 2
    assert "did you mean 'compute'?" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_study_lands_whole(computed: Path) -> None:
    assert ask(computed, "select distinct state from raw.jobs") == [("landed",)]
    jobs = ask(computed, "select count(*) from raw.study_jobs")
    assert ask(computed, "select count(*) from raw.jobs") == jobs
    # 4 targets x (base + 2 sources x (1 seed + 1 placebo)) x 20 items
    assert ask(computed, "select count(*) from raw.item_scores") == [(4 * 5 * 20,)]
    assert ask(computed, "select count(*) from raw.item_scores where source_task is null and seed is not null") == [
        (0,)
    ]
    # 2 directions x 50 test pairs x 2 retrievals
    assert ask(computed, "select count(*) from raw.bli_ranks") == [(200,)]
    assert ask(computed, "select count(distinct measure) from raw.isometry") == [(2,)]
    assert ask(computed, "select count(*) from raw.training_log where loss is null") == [(0,)]
    assert ask(computed, "select bool_and(len(logprobs) = len(char_counts)) from raw.item_scores") == [(True,)]


def test_running_again_computes_nothing(copy: Path) -> None:
    shards = {path: path.stat().st_mtime_ns for path in (copy / "landing").rglob("*.parquet")}
    done = transfer(copy, "compute", "--study", str(TINY))
    assert done.returncode == 0
    assert "0 to run" in done.stderr
    assert {path: path.stat().st_mtime_ns for path in (copy / "landing").rglob("*.parquet")} == shards


def test_plan_says_what_changed_and_touches_nothing(copy: Path, tmp_path: Path) -> None:
    study = tmp_path / "changed.yml"
    study.write_text(TINY.read_text().replace("lora: {epochs: 1}", "lora: {epochs: 2}"))
    before = sorted(copy.rglob("*"))
    done = transfer(copy, "plan", "--study", str(study))
    assert done.returncode == 0
    assert "changed: lora.epochs 1 -> 2" in done.stdout
    assert sorted(copy.rglob("*")) == before


def test_plan_on_a_fresh_machine_creates_no_warehouse(tmp_path: Path) -> None:
    done = transfer(tmp_path, "plan", "--study", str(TINY))
    assert done.returncode == 0
    assert not list(tmp_path.iterdir())


def test_a_lost_warehouse_is_refilled_from_shards(copy: Path, computed: Path) -> None:
    (copy / "warehouse.duckdb").unlink()
    assert transfer(copy, "load", "--study", str(TINY)).returncode == 0
    query = "select count(*), sum(hash(item_id, logprobs)) from raw.item_scores"
    assert ask(copy, query) == ask(computed, query)


def test_a_damaged_shard_is_computed_again(copy: Path, computed: Path) -> None:
    (copy / "warehouse.duckdb").unlink()
    shard = next((copy / "landing" / "item_scores").glob("*.parquet"))
    shard.write_bytes(shard.read_bytes()[:100])
    first = transfer(copy, "load", "--study", str(TINY))
    assert first.returncode == 1
    assert "withdrawn" in first.stderr
    assert transfer(copy, "compute", "--study", str(TINY)).returncode == 0
    query = "select count(*), sum(hash(item_id, logprobs)) from raw.item_scores"
    assert ask(copy, query) == ask(computed, query)


def test_a_failing_job_leaves_the_others(tmp_path: Path) -> None:
    study = tmp_path / "diverging.yml"
    embeddings = TINY.read_text().index("embeddings:")
    text = TINY.read_text()[:embeddings].replace(
        "lora: {epochs: 1}", "lora: {epochs: 1, learning_rate: 1.0e+30, warmup: 0}"
    )
    study.write_text(text.replace("study: tiny", "study: diverging"))
    done = transfer(tmp_path, "compute", "--study", str(study))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    states = dict(ask(tmp_path, "select plugin, string_agg(distinct state) from raw.jobs group by 1"))
    assert states["baseline"] == "landed"
    assert "failed" in str(states["transfer"])
    [(error,)] = ask(
        tmp_path,
        "select any_value(error) from raw.jobs where label like 'tune%' and state = 'failed' and label not like '%->%'",
    )
    assert "step" in str(error)
    again = transfer(tmp_path, "plan", "--study", str(study))
    assert "failed before (attempt 1)" in again.stdout


def test_a_disk_that_refuses_fails_jobs_and_loses_nothing(tmp_path: Path, computed: Path) -> None:
    """A file-size limit stands for a full disk: every write beyond it is refused by the system."""

    def limit() -> None:
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, resource.RLIM_INFINITY))

    study = tmp_path / "tiny.yml"
    shutil.copy(TINY, study)
    transfer(tmp_path, "plan", "--study", str(study))
    duckdb.connect(str(tmp_path / "warehouse.duckdb")).close()
    done = transfer(tmp_path, "compute", "--study", str(study), preexec_fn=limit)
    assert done.returncode in (1, 2), done.stderr
    assert "Traceback" not in done.stderr
    assert "File too large" in done.stderr
    assert not list(tmp_path.glob("landing/*/.*.tmp"))
    assert transfer(tmp_path, "compute", "--study", str(study)).returncode == 0
    query = "select count(*), sum(hash(item_id, logprobs)) from raw.item_scores"
    assert ask(tmp_path, query) == ask(computed, query)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--study", "nowhere.yml"], "nowhere.yml: no such file"),
        (["--study", str(TINY), "--executor", "locl"], "did you mean 'local'?"),
        (["--study", str(TINY), "--device", "gpu"], "unknown device 'gpu'"),
        (["--study", str(TINY), "--warehouse", "no/such/place.duckdb"], "its directory does not exist"),
        (["--worker", "two"], "--workers: expected a whole number, 1 or more, found 'two'"),
        (["--wait", "-1"], "--wait: expected seconds, 0 or more, found '-1'"),
        (["--studdy", "x"], "unknown argument '--studdy'; did you mean '--study'?"),
    ],
)
def test_wrong_arguments_are_one_line_and_exit_code_2(arguments: list[str], expected: str, tmp_path: Path) -> None:
    done = transfer(tmp_path, "compute", *arguments)
    assert done.returncode == 2
    assert expected in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_second_run_waits_and_then_says_for_whom(tmp_path: Path) -> None:
    import fcntl

    (tmp_path / "landing").mkdir()
    with open(tmp_path / "landing" / ".lock", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        held.write("4711")
        held.flush()
        done = transfer(tmp_path, "compute", "--study", str(TINY), "--wait", "1")
    assert done.returncode == 2
    assert "process 4711 is at work here" in done.stderr


@pytest.mark.parametrize("commands", [("transfer", "python", "duckdb"), ("duckdb",)], ids=["ours", "DuckDB's alone"])
def test_make_sql_opens_a_warehouse_of_any_name(commands: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    for name in commands:
        (tmp_path / ".venv" / "bin" / name).symlink_to(Path(sys.executable).with_name(name))
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / ".venv" / ".installed").touch()
    name = 'my data/it\'s a "w" #1; x.duckdb'
    (tmp_path / "my data").mkdir()
    with duckdb.connect(str(tmp_path / name)) as connection:
        connection.execute("create table t as select 42 as answer")
    before = sorted(tmp_path.rglob("*"))
    done = subprocess.run(
        ["make", "sql", f"WAREHOUSE={name}"], cwd=tmp_path, input="select answer from t;\n",
        env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "42" in done.stdout
    wrong = subprocess.run(["make", "sql", "WAREHOUSE=n o"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert wrong.returncode
    assert sorted(tmp_path.rglob("*")) == before


def test_ls_lists_and_refuses() -> None:
    assert "parity" in transfer(Path.cwd(), "ls", "tasks").stdout
    wrong = transfer(Path.cwd(), "ls", "task")
    assert wrong.returncode == 2
    assert "did you mean 'tasks'?" in wrong.stderr
