"""A healthy warehouse passes every check; each check sees the damage it is there for, and no other check does."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import duckdb
import pytest

from compute.store.raw_schema import BOOKKEEPING_TABLES, TABLES
from data_checks import runner
from data_checks.check import Check
from data_checks.runner import Finding, run_checks
from data_checks.suites import SUITES
from data_checks.views import MARTS, UserError, require, statements
from tests.helpers.damage import CELL, DAMAGE
from tests.helpers.warehouse_fixture import Cell, RawRows

ROOT = Path(__file__).parents[2]
STUDY = "both halves"
LANGUAGE_MODELS_ONLY = "language models only"
EMBEDDINGS_ONLY = "it's {embeddings}:only"

N_ITEMS = 24
TARGETS: list[Cell] = [(task, language) for task in ("parity", "compare") for language in ("de", "en", "nl")]
SOURCES: list[Cell] = [("parity", "de"), ("parity", "en"), ("compare", "nl"), ("compare", "en")]
CHECKS = {check.name: check for checks in SUITES.values() for check in checks}


# ---- the healthy warehouse ----


def _score(raw: RawRows, study: str, n_correct: int, **keys: object) -> None:
    """One scoring job; who is right more often is right on the same items and more, which are spread; gold takes turns,
    so no answer is constant."""
    right = [7 * i % N_ITEMS < n_correct for i in range(N_ITEMS)]
    golds = [i // 2 % 2 for i in range(N_ITEMS)]
    answers = [gold if is_right else 1 - gold for gold, is_right in zip(golds, right, strict=True)]
    raw.scores(
        study,
        logprobs=[[-2.0, -0.5] if answer else [-0.5, -2.0] for answer in answers],
        golds=golds,
        parallel_ids=[f"p{i}" for i in range(N_ITEMS)],
        **keys,  # type: ignore[arg-type]
    )


def _language_models(raw: RawRows, study: str) -> None:
    for model in ("small@1", "large@1"):
        for target in TARGETS:
            _score(raw, study, 18, model=model, target=target)
        for source in SOURCES:
            for control, seed in ((None, 1), (None, 2), ("placebo", 1)):
                arm = {"model": model, "source_task": source[0], "source_language": source[1], "control": control}
                key = raw.job(study, "transfer", step="train", variant="default", prompt="plain@1", seed=seed, **arm)
                for step in (1, 2):
                    raw.add("training_log", job_key=key, step=step, loss=1 / step)
                for target in TARGETS:
                    gain = 0 if control else 4 if target == source else 2 if target[0] == source[0] else -3
                    _score(raw, study, 18 + gain, model=model, source=source, control=control, seed=seed, target=target)


def _mixture(raw: RawRows, study: str) -> None:
    """A mixture, and one of its adapters on the way, of which no check of the whole training is to know."""
    raw.mixture(study, "mix", {("parity", "de"): 0.5, ("compare", "en"): 0.5})
    for seed in (1, 2):
        for target in TARGETS:
            keys = {"model": "small@1", "source": ("mul", "mul"), "source_name": "mix", "seed": seed, "target": target}
            _score(raw, study, 22, **keys)
            _score(raw, study, 20, **keys, fraction=0.5)


def _distances(raw: RawRows, study: str) -> None:
    key = raw.job(study, "uriel")
    for source, target in (("de", "en"), ("en", "de")):
        pair = {"source_language": source, "target_language": target}
        raw.add("language_distances", job_key=key, **pair, measure="syntactic", value=0.1)


def _items_to_train_on(raw: RawRows) -> None:
    test_items = [row for row in raw.rows["items"] if row["item_id"] in ("i0", "i1")]
    for row in test_items:
        number = row["item_id"][1:]
        raw.add("items", **row | {"item_id": f"t{number}", "parallel_id": f"q{number}", "split": "train"})


def _embeddings(raw: RawRows, study: str) -> None:
    for source, target in (("de", "en"), ("en", "de")):
        keys = {
            "method": "proc", "variant": "default", "vectors": "tiny@1", "source_language": source,
            "target_language": target, "dictionary_size": 100, "seed": 0,
        }  # fmt: skip
        key = raw.job(study, "bli", **keys)
        for retrieval in ("cosine", "csls"):
            for number, rank in enumerate([1, 2.5, 7, None]):
                raw.add(
                    "bli_ranks", job_key=key, **keys, retrieval=retrieval, pair_number=number, concept_id=f"c{number}",
                    query=f"q{number}", gold=f"g{number}", rank=rank, is_leaked=False, is_duplicate=False,
                    is_identical=False,
                )  # fmt: skip

        key = raw.job(study, "clir", **keys)
        for number in range(4):
            raw.add(
                "downstream_items", job_key=key, **keys, task="clir", collection="news", classifier="agg_idf",
                item_id=f"d{number}", gold="x", prediction=("x", None)[number % 2], score=0.4, words=9,
                known_words=number,
            )  # fmt: skip


def _record_landing(raw: RawRows) -> None:
    """What the loader would have recorded: every job landed, with the rows it brought."""
    recorded = {row["job_key"] for row in raw.rows["jobs"]}
    for key, plugin in {row["job_key"]: row["plugin"] for row in raw.rows["study_jobs"]}.items():
        if key not in recorded:
            raw.add("jobs", job_key=key, plugin=plugin, state="landed", attempts=1)
    landed = [name for name in TABLES if name not in BOOKKEEPING_TABLES]
    counts = {name: Counter(row.get("job_key") for row in raw.rows[name]) for name in landed}
    for job in raw.rows["jobs"]:
        job["rows"] = {name: n[job["job_key"]] for name, n in counts.items() if n[job["job_key"]]}
        job["label"] = f"job {job['job_key'][:8]}"


def _build(warehouse: Path, folder: Path) -> None:
    dbt = shutil.which("dbt", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert dbt
    command = [
        dbt, "run", "--quiet", "--project-dir", str(ROOT), "--profiles-dir", str(ROOT),
        "--target-path", str(folder / "target"), "--log-path", str(folder / "logs"),
        "--select", *(f"+{mart}" for mart in MARTS),
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"WAREHOUSE": str(warehouse)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def raw_only(tmp_path_factory: pytest.TempPathFactory) -> Path:
    raw = RawRows()
    contrasts = {"placebo": {"a": {}, "b": {"control": "placebo"}}}
    for study in (STUDY, LANGUAGE_MODELS_ONLY, EMBEDDINGS_ONLY):
        raw.study(study, **({"contrasts": contrasts} if study == STUDY else {}))
    for task in ("parity", "compare"):
        raw.task(task, chance=0.5)
    for model in ("small@1", "large@1"):
        raw.model(model, "llama")
    _language_models(raw, STUDY)
    _mixture(raw, STUDY)
    _embeddings(raw, STUDY)
    _distances(raw, STUDY)
    _items_to_train_on(raw)
    for row in [row for row in raw.rows["study_jobs"] if row["study"] == STUDY]:
        raw.add(
            "study_jobs",
            **row | {"study": EMBEDDINGS_ONLY if row["plugin"] in ("bli", "clir") else LANGUAGE_MODELS_ONLY},
        )
    _record_landing(raw)
    return raw.write(tmp_path_factory.mktemp("raw") / "warehouse.duckdb")


@pytest.fixture(scope="module")
def healthy(raw_only: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("healthy")
    warehouse = Path(shutil.copy(raw_only, folder / "50% of $HOME?.duckdb"))
    _build(warehouse, folder)
    return warehouse


def _failed(findings: list[Finding]) -> dict[str, str]:
    return {finding["expectation"]: finding["observed"] for finding in findings if not finding["success"]}


@pytest.mark.parametrize("study", [STUDY, LANGUAGE_MODELS_ONLY, EMBEDDINGS_ONLY])
def test_healthy_study_passes(healthy: Path, study: str) -> None:
    findings = run_checks(healthy, study)
    assert _failed(findings) == {}
    assert [(f["suite"], f["expectation"], f["severity"]) for f in findings] == [
        (suite, check.name, check.severity) for suite, checks in SUITES.items() for check in checks
    ]


# ---- damage ----


def test_every_check_is_seen_to_fail() -> None:
    assert {name for name, _ in DAMAGE} == set(CHECKS)
    assert len(CHECKS) == sum(map(len, SUITES.values())), "two checks have one name"


def _offended(warehouse: Path) -> list[str]:
    """Names of the checks with offenders, asked by plain SQL."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        for statement in statements(STUDY):
            connection.execute(statement)
        return [name for name, check in CHECKS.items() if connection.execute(check.sql).fetchone()]


@pytest.mark.parametrize(("check", "damage"), DAMAGE, ids=[name for name, _ in DAMAGE])
def test_damage_is_seen_by_its_check_alone(
    healthy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, check: str, damage: str
) -> None:
    warehouse = Path(shutil.copy(healthy, tmp_path))
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute(damage)
    assert _offended(warehouse) == [check]
    # All checks were seen to pass on the undamaged one; here the runner, a second a time, is asked about this one.
    monkeypatch.setattr(runner, "SUITES", {"suite": (CHECKS[check],)})
    [finding] = runner.run_checks(warehouse, STUDY)
    assert (finding["expectation"], finding["success"]) == (check, False)
    assert "\n" not in finding["observed"] and " row" in finding["observed"]
    assert finding["details"]["count"] >= len(finding["details"]["rows"]) >= 1
    json.dumps(finding, allow_nan=False)


_TO_COMPARE_DE = "target_task = 'compare' and target_language = 'de' and control is null"

SOUND: dict[str, str] = {
    "all gain alike, but little": f"update marts.fct_transfer set delta_pp = 3 where {_TO_COMPARE_DE}",
    "sources of one task gain alike": f"""update marts.fct_transfer set delta_pp = 8
        where {_TO_COMPARE_DE} and source_task = 'compare'""",
    "all gain, some much more": f"""update marts.fct_transfer set delta_pp = 4 + 9 * (ascii(source_language) % 4)
        where {_TO_COMPARE_DE}""",
    "a placebo moves by chance, and its error says so": """update marts.fct_transfer set delta_pp = 6, delta_se = 6
        where regime != 'MT-ML' and control = 'placebo'""",
    "embeddings of another study are as asked": """update raw.studies set config = json_merge_patch(config,
        '{"sources": {}, "compare_with": "it''s {embeddings}:only", "bli_map": {"dictionary_size": 100}}')
        where study = 'both halves'""",
    "a talk is of no topic": "update raw.downstream_items set task = 'cldc', gold = null, prediction = null",
    "baselines differ by rounding": f"update marts.fct_transfer set baseline_score = 0.75001 where {CELL}",
}


@pytest.mark.parametrize("change", SOUND.values(), ids=SOUND)
def test_what_only_resembles_damage_passes(healthy: Path, tmp_path: Path, change: str) -> None:
    warehouse = Path(shutil.copy(healthy, tmp_path))
    with duckdb.connect(str(warehouse)) as connection:
        [(changed,)] = connection.execute(change).fetchall()
    assert changed > 0
    assert _offended(warehouse) == []


def test_check_is_written_in_plain_sql(healthy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sql = """
        select study, '{"a": 50}'::json ->> '$.a' as "100%", [1, 2, 3][2:3] as part, 'nan'::double as n from studies
    """
    monkeypatch.setattr(runner, "SUITES", {"suite": (Check("plain", "warning", "Braces {and} :colons.", sql),)})
    [finding] = runner.run_checks(healthy, EMBEDDINGS_ONLY)
    assert finding["observed"] == f"1 row: study={EMBEDDINGS_ONLY} 100%=50 part=[2, 3] n=nan"
    assert finding["details"]["rows"] == [{"study": EMBEDDINGS_ONLY, "100%": "50", "part": [2, 3], "n": "nan"}]


def test_data_docs_show_every_check_and_fetch_nothing(healthy: Path, tmp_path: Path) -> None:
    hostile = '<script src="https://x.y/z.js">alert(1)</script>'
    warehouse = Path(shutil.copy(healthy, tmp_path))
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute(f"update marts.fct_transfer set delta_pp = -150, model = ? where {CELL}", [hostile])
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "old.html").write_text("of an earlier run")
    findings = run_checks(warehouse, STUDY, tmp_path / "docs")
    pages = {path.relative_to(tmp_path / "docs"): path.read_text() for path in (tmp_path / "docs").rglob("*.html")}
    assert Path("old.html") not in pages
    index = pages[Path("index.html")]
    assert all(name in index for name in CHECKS)
    assert index.count('<span class="fails">') == sum(not finding["success"] for finding in findings) > 0
    assert "&lt;script" in index
    links = set(re.findall(r'<a href="([^"]+)"', index))
    assert len(links) == len(SUITES) and all(Path(link) in pages for link in links)
    for page in pages.values():
        assert "default-src 'none'" in page and "<script" not in page
        assert not re.search(r"<(link|img|iframe|object)[^>]*https?:|url\(['\"]?https?:|@import", page)
    [transfer] = [text for path, text in pages.items() if path.parts[:2] == ("validations", "transfer")]
    assert CHECKS["deltas_are_possible"].description in transfer and "fa-times" in transfer


# ---- the command ----


def _command(warehouse: Path, study: str, findings: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "data_checks", str(warehouse), study, str(findings), *more]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_command_writes_findings_and_leaves_the_warehouse_alone(healthy: Path, tmp_path: Path) -> None:
    before = healthy.read_bytes()
    done = _command(healthy, EMBEDDINGS_ONLY, tmp_path / "findings.json")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    findings = json.loads((tmp_path / "findings.json").read_text(encoding="utf-8"))
    assert {finding["expectation"] for finding in findings} == set(CHECKS)
    assert healthy.read_bytes() == before


def test_command_says_in_a_line_that_marts_are_missing(raw_only: Path, tmp_path: Path) -> None:
    done = _command(raw_only, STUDY, tmp_path / "findings.json")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "marts" in done.stderr and "transfer build" in done.stderr
    assert not (tmp_path / "findings.json").exists()


def test_the_checks_end_with_the_process_that_began_them(healthy: Path, tmp_path: Path) -> None:
    done = _command(healthy, EMBEDDINGS_ONLY, tmp_path / "findings.json", "--parent", "1")
    assert done.returncode == 1
    assert not (tmp_path / "findings.json").exists()


def test_command_says_in_a_line_that_docs_cannot_be_written(healthy: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = _command(healthy, EMBEDDINGS_ONLY, tmp_path / "findings.json", "--docs", str(tmp_path / "file" / "docs"))
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert "file: cannot be written" in done.stderr


def test_unknown_study_is_named_with_the_known_ones(healthy: Path) -> None:
    with pytest.raises(UserError, match="no study 'nope'; it has: both halves, "):
        require(healthy, "nope")


def test_column_that_an_old_build_lacks_is_named(healthy: Path, tmp_path: Path) -> None:
    warehouse = Path(shutil.copy(healthy, tmp_path))
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("alter table marts.fct_bli drop column p_at_5")
    with pytest.raises(UserError, match=r"bli_scores_are_shares.*p_at_5.*transfer build"):
        run_checks(warehouse, STUDY)


def test_file_that_is_no_warehouse_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.duckdb").write_text("not a database " * 1000)
    for name in ("text.duckdb", "absent.duckdb"):
        with pytest.raises(UserError, match=name):
            require(tmp_path / name, STUDY)
