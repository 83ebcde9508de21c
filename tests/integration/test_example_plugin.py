"""The package of `examples/plugin`, with a part of every kind, is installed as any other and does what it should."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import Distribution
from pathlib import Path

import duckdb
import pytest

from compute.embeddings.downstream import CLASSIFIERS, COLLECTIONS
from compute.embeddings.isometry import MEASURES
from compute.embeddings.mappings import METHODS
from compute.engine.executors import EXECUTORS
from compute.importers import IMPORTERS
from compute.plugin import PLUGINS
from compute.prediction.predictors import PREDICTORS
from compute.tasks import TASKS

ROOT = Path(__file__).parents[2]
REGISTRIES = (
    PLUGINS, TASKS, METHODS, MEASURES, *CLASSIFIERS.values(), *COLLECTIONS.values(), IMPORTERS, EXECUTORS, PREDICTORS,
)  # fmt: skip


def transfer(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(folder / "site"), str(ROOT)])
    return subprocess.run(
        [sys.executable, "-P", "-m", "compute.cli", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of the example, installed into `site`."""
    folder = tmp_path_factory.mktemp("example")
    shutil.copytree(ROOT / "examples", folder / "examples", ignore=shutil.ignore_patterns("build", "*.egg-info"))
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run(
        [*command, "--target", str(folder / "site"), str(folder / "examples" / "plugin")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_it_has_a_part_of_every_kind(installed: Path) -> None:
    (info,) = (installed / "site").glob("*.dist-info")
    groups = {point.group for point in Distribution.at(info).entry_points}
    kinds = {re.sub("cldc|clir|xnli", "cldc", registry.group) for registry in REGISTRIES}
    assert groups == kinds


def test_a_study_of_all_its_parts_is_computed_by_its_executor(installed: Path) -> None:
    study = ["--study", "examples/plugin/study.yml"]
    done = transfer(installed, "compute", *study, "--executor", "serial")
    assert done.returncode == 0, done.stderr
    with duckdb.connect(str(installed / "warehouse.duckdb"), read_only=True) as connection:
        found = {
            table: connection.execute(f"select distinct {column} from raw.{table}").fetchall()
            for table, column in (
                ("language_distances", "measure"),
                ("tasks", "task"),
                ("bli_ranks", "method"),
                ("isometry", "measure"),
                ("downstream_items", "(collection, classifier)"),
            )
        }
        versions = connection.execute(
            "select distinct config ->> '$.method_version' from raw.jobs where plugin = 'mapping'"
        ).fetchall()
    assert found == {
        "language_distances": [("letters_not_shared",)],
        "tasks": [("longer",)],
        "bli_ranks": [("mean_shift",)],
        "isometry": [("mean_distance",)],
        "downstream_items": [(("word_classes", "nearest_centroid"),)],
    }
    assert versions == [("2",)]
    again = transfer(installed, "plan", *study)
    assert ", 0 to run\n" in again.stdout


def test_its_importer_imports(installed: Path) -> None:
    (installed / "far.txt").write_text("de en 0.25\nen de 0.5\n")
    done = transfer(installed, "import", "key-value", "far.txt", "--warehouse", "imported.duckdb")
    assert done.returncode == 0, done.stderr
    with duckdb.connect(str(installed / "imported.duckdb"), read_only=True) as connection:
        rows = connection.execute("select source_language, value from raw.language_distances order by 1").fetchall()
    assert rows == [("de", 0.25), ("en", 0.5)]


def test_a_mistyped_name_of_a_part_is_told_and_listings_say_whose_a_part_is(installed: Path) -> None:
    study = installed / "wrong.yml"
    study.write_text((installed / "examples" / "plugin" / "study.yml").read_text().replace("mean_shift", "mean_shfit"))
    done = transfer(installed, "plan", "--study", "wrong.yml")
    assert done.returncode == 2 and "did you mean 'mean_shift'?" in done.stderr
    assert transfer(installed, "import", "key-valu", "far.txt").stderr.endswith("did you mean 'key-value'?\n")
    assert "mean_shift (transfer-example)" in transfer(installed, "ls", "methods").stdout
    assert "letters_shared (transfer-example)" in transfer(installed, "ls", "predictors").stdout


def add_package(folder: Path, group: str, entry: str, code: str = "") -> None:
    info = folder / f"other{group[-3:]}-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: other-{group[-3:]}\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{entry}\n")
    (folder / "other_part.py").write_text(code)


@pytest.mark.parametrize(
    ("entry", "code", "expected"),
    [
        ("proc = other_part:X", "", "is offered by other-ods and by transfer-warehouse; uninstall one of them"),
        ("mine = other_part:X", "", "module other_part has no 'X'"),
        ("mine = other_prat:X", "", "cannot import other_prat: No module named 'other_prat'"),
        ("mine = other_part:X", "X = int", "other_part:X is not a compute.embeddings.mappings.MappingMethod"),
    ],
)
def test_a_part_that_is_none_is_told_in_a_line(
    tmp_path: Path, entry: str, code: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_package(tmp_path, "transfer.mapping_methods", entry, code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "other_part", raising=False)
    with pytest.raises(Exception, match=re.escape(expected)) as error:
        METHODS.load(entry.partition(" ")[0])
    assert len(str(error.value).splitlines()) == 1
