"""A mistyped layer is told before any model is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest

from compute.engine.plan import study_jobs
from compute.errors import UserError
from compute.language_models.adapters import initial_adapter
from compute.language_models.settings import Family, Lora
from compute.language_models.stored_layers import _layers, check_target_modules
from compute.names import UnknownName
from compute.study.file import read_study
from compute.study.schema import Study
from tests.helpers.tiny_model import tiny_model

TINY = Path(__file__).parents[2] / "studies" / "tiny.yml"


@pytest.mark.parametrize("family", get_args(Family))
def test_layers_are_called_in_the_file_as_in_the_model(tmp_path: Path, family: Family) -> None:
    model, _ = tiny_model(family)
    model.save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    layers = _layers(tmp_path)
    assert layers == set(initial_adapter(model, Lora(), 0).matrices)
    whole = min(layers)
    check_target_modules(str(tmp_path), Lora(target_modules=(whole, whole.rpartition(".")[2])))
    with pytest.raises(UnknownName, match=f"did you mean '{whole.rpartition('.')[2]}'"):
        check_target_modules(str(tmp_path), Lora(target_modules=(whole.rpartition(".")[2] + "x",)))


def test_a_mistyped_layer_is_told_with_its_place(tmp_path: Path) -> None:
    tiny_model()[0].save_pretrained(tmp_path / "model")
    text = TINY.read_text()
    models = text[text.index("models:") : text.index("sources:")]
    text = text.replace(models, f"models:\n  - {{name: mine, checkpoint: {tmp_path / 'model'}}}\n")
    study = tmp_path / "study.yml"

    def written(lora: str, few: str) -> Study:
        study.write_text(text.replace("lora: {epochs: 1}", f"lora: {lora}\nvariants:\n  few: {few}"))
        return read_study(study)

    line = 1 + text[: text.index("lora:")].count("\n")
    for lora, few, place, layer in (
        ("{target_modules: [qq_proj]}", "{rank: 2}", f"{line}: lora.target_modules", "q_proj"),
        ("{epochs: 1}", "{target_modules: [v_prj]}", f"{line + 2}: variants.few.target_modules", "v_proj"),
    ):
        with pytest.raises(UserError) as told:
            written(lora, few)
        assert str(told.value).startswith(f"{study}:{place}: model mine: unknown target module")
        assert str(told.value).endswith(f"did you mean {layer!r}?")
    right = written("{epochs: 1}", '{target_modules: [v_proj, "1.mlp.up_proj"]}')
    assert any(job.label.startswith("tune mine few") for job in study_jobs(right).values())


def test_what_cannot_be_told_is_left_to_the_worker(tmp_path: Path) -> None:
    wrong = Lora(target_modules=("qq_proj",))
    check_target_modules("some/model", wrong)
    tiny_model()[0].save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"model_type": "baichuan"}))
    check_target_modules(str(tmp_path), wrong)
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    check_target_modules(str(tmp_path), wrong)
