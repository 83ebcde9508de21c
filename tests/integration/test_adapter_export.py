"""`transfer export adapters`: folders that PEFT loads as they stand, and cards that say what is known."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from peft import AutoPeftModelForCausalLM, PeftModel

from compute.cli import main
from compute.language_models.given_adapters import find_adapter
from compute.language_models.revisions import pin
from compute.store.artifacts import ArtifactStore
from compute.study.schema import Study
from tests.helpers.given_adapters import lora, train_adapter
from tests.helpers.tiny_model import tiny_model
from tests.helpers.warehouse_fixture import RawRows

COMMIT = "0123456789" * 4
STUDY = "it's <b>one</b>"
Told = pytest.CaptureFixture[str]
SETTINGS = {"rank": 8, "alpha": 16.0, "target_modules": ["q_proj"]}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with artifacts and a warehouse: adapters of a base from the hub, in a folder, and made here."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WAREHOUSE", raising=False)
    model, tokenizer = tiny_model()
    for part in (model, tokenizer):
        part.save_pretrained(tmp_path / "base")
    raw = RawRows()
    checkpoints = {"hubbed": "owner/hubbed", "foldered": "./base"}
    raw.study(STUDY, models=[{"name": name, "checkpoint": there} for name, there in checkpoints.items()])
    raw.add("tasks", task="parity", licence="a | b <i>", source_url="https://example.org/x_y", sha256="5" * 64)
    store = ArtifactStore(tmp_path / "artifacts")
    revisions = {"hubbed": COMMIT, "foldered": pin("./base", "main").identity, "made": "f" * 64}
    for name, revision in revisions.items():
        base = raw.job(STUDY, "pretrain" if name == "made" else "checkpoint", name=name)
        raw.add("models", model=f"{name}@1", family="llama", revision=revision, job_key=base)
        if name == "made":
            with store.commit([base]) as folders:
                shutil.copytree(tmp_path / "base", folders[base], dirs_exist_ok=True)
                (folders[base] / "training_log.json").write_text("[]")
        for seed, control, variant in ((1, None, "default"), (1, None, "r 4|`x`"), (1, "placebo", "default")):
            key = raw.job(
                STUDY, "transfer", step="train", model=f"{name}@1", variant=variant, source_task="parity",
                source_language="ru", control=control, seed=seed, prompt="p_1@2", train_items=96, lora=SETTINGS,
            )  # fmt: skip
            with store.commit([key]) as folders:
                train_adapter(model, lora(base_model_name_or_path=f"{name}@1"), folders[key], seed=len(variant))
    raw.write(tmp_path / "warehouse.duckdb")
    return tmp_path


def export(*arguments: object) -> int:
    return main(["export", "adapters", "--study", STUDY, "--to", "out", *map(str, arguments)])


def config_of(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path("out", name, "adapter_config.json").read_text())
    return found


def test_folders_are_named_for_people_and_name_their_base(place: Path) -> None:
    assert export() == 0
    made = [f"{name}-parity-ru{variant}-seed1" for name in ("hubbed", "foldered", "made") for variant in ("", "-r-4-x")]
    assert sorted(path.name for path in Path("out").iterdir()) == sorted([*made, "made@1"])
    hubbed, foldered, own = (config_of(f"{name}-parity-ru-seed1") for name in ("hubbed", "foldered", "made"))
    assert (hubbed["base_model_name_or_path"], hubbed["revision"]) == ("owner/hubbed", COMMIT)
    assert (foldered["base_model_name_or_path"], foldered["revision"]) == (str(place / "base"), None)
    assert own["base_model_name_or_path"] == str(place / "out" / "made@1")
    assert not (place / "out" / "made@1" / "training_log.json").exists()


@pytest.mark.parametrize("name", ["foldered", "made"])
def test_peft_loads_it_as_it_stands(place: Path, name: str) -> None:
    assert export("--source", "parity/ru", "--model", name, "--variant", "default") == 0
    loaded = AutoPeftModelForCausalLM.from_pretrained(f"out/{name}-parity-ru-seed1").eval()
    model, _ = tiny_model()
    adapter = train_adapter(model, lora(), place / "again", seed=len("default"))
    expected = PeftModel.from_pretrained(model, str(adapter)).eval()
    tokens = torch.tensor([[5, 6, 7, 8]])
    assert torch.equal(loaded(input_ids=tokens).logits, expected(input_ids=tokens).logits)


def test_what_is_exported_is_a_source_again(place: Path) -> None:
    export("--model", "foldered", "--variant", "default")
    source = {"name": "back", "adapter": "out/foldered-parity-ru-seed1", "task": "parity", "language": "ru"}
    models = [{"name": "tiny", "checkpoint": "./base", "sources": [source]}]
    grid = {"tasks": ["parity"], "languages": ["ru"]}
    assert Study.model_validate({"study": "s", "models": models, "targets": grid}).models[0].sources
    moved = shutil.copytree("out/foldered-parity-ru-seed1", "moved")
    assert find_adapter("out/foldered-parity-ru-seed1").digest == find_adapter(f"./{moved}").digest


def test_a_card_without_marts_says_what_is_missing(place: Path, capsys: Told) -> None:
    """Whatever names hold is shown as it is, and is no markup."""
    assert export("--model", "hubbed") == 0
    said = capsys.readouterr().err
    assert "run `transfer build`" in said and "run `transfer check`" in said
    card = Path("out", "hubbed-parity-ru-r-4-x-seed1", "README.md").read_text()
    metadata = yaml.safe_load(card.split("---\n")[1])
    assert metadata["base_model"] == "owner/hubbed" and metadata["language"] == ["ru"]
    assert "Not known: what it gains and harms" in card and "Not known: whether checks passed" in card
    assert "it's \\<b\\>one\\</b\\>" in card and "variant r 4\\|\\`x\\`," in card
    assert "| licence of the data | a \\| b \\<i\\> |" in card and "| training items | 96 |" in card
    assert f'"owner/hubbed", revision="{COMMIT}"' in card and "| target\\_modules | q\\_proj |" in card


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--source", "parity/rx"), "unknown source 'parity/rx'; did you mean 'parity/ru'?"),
        (("--model", "mad"), "unknown model 'mad'; did you mean 'made'?"),
        (("--variant", "defualt"), "unknown variant 'defualt'; did you mean 'default'?"),
        (("--warehouse", "none.duckdb"), "none.duckdb: no such warehouse"),
    ],
)
def test_what_is_not_there(place: Path, capsys: Told, arguments: tuple[str, ...], said: str) -> None:
    assert export(*arguments) == 2
    [line] = capsys.readouterr().err.strip().splitlines()
    assert said in line


def test_a_base_that_has_changed_is_told(place: Path, capsys: Told) -> None:
    path = place / "base" / "config.json"
    path.write_text(path.read_text().replace("}", " }"))
    assert export("--variant", "default") == 1
    said = capsys.readouterr().err
    assert "not exported: foldered-parity-ru-seed1: its base ./base has changed since it was tuned" in said
    assert "out: 2 adapters exported" in said


def test_given_sources_are_listed(tmp_path: Path, capsys: Told) -> None:
    raw = RawRows()
    sources = [
        {"name": "mine", "adapter": "./a", "task": "parity", "language": "ru", "seed": seed} for seed in (1, 2)
    ] + [{"name": "whole", "checkpoint": "./b", "task": "mul", "language": "und", "seed": 0}]
    raw.study("one", models=[{"name": "tiny", "sources": sources}, {"name": "plain"}])
    raw.study("words")
    path = raw.write(tmp_path / "warehouse.duckdb")
    assert main(["ls", "sources", "--warehouse", str(path)]) == 0
    listed = "mine (adapter of tiny on parity/ru, study one), whole (checkpoint of tiny on mul/und, study one)"
    assert capsys.readouterr().out == f"sources: {listed}\n"
    assert main(["ls", "sources", "--warehouse", str(tmp_path / "none.duckdb")]) == 0
    assert capsys.readouterr().out == "sources: (none)\n"
