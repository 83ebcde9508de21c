"""A mistyped layer is told before any model is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest
from tiny_model import tiny_model

from compute.errors import UserError
from compute.language_models.adapters import initial_adapter
from compute.language_models.settings import Family, Lora
from compute.language_models.stored_layers import _layers, check_target_modules
from compute.names import UnknownName
from compute.plan import study_jobs
from compute.study import Study
from compute.study_file import read_study

TINY = Path(__file__).parents[1] / "studies" / "tiny.yml"


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


def test_a_plan_names_setting_model_and_nearest_layer(tmp_path: Path) -> None:
    tiny_model()[0].save_pretrained(tmp_path)
    models = [{"name": "mine", "checkpoint": str(tmp_path)}]
    settings = read_study(TINY).model_dump() | {"models": models, "plugins": {}}
    lora = settings["lora"]
    wrong = Study.model_validate(settings | {"lora": lora | {"target_modules": ["qq_proj"]}})
    with pytest.raises(UserError, match=r"^lora\.target_modules: model mine: .*'qq_proj'; did you mean 'q_proj'\?$"):
        study_jobs(wrong)
    wrong = Study.model_validate(settings | {"variants": {"few": {"target_modules": ["v_prj"]}}})
    with pytest.raises(UserError, match=r"^variants\.few\.target_modules: model mine: .*did you mean 'v_proj'\?$"):
        study_jobs(wrong)
    right = Study.model_validate(settings | {"variants": {"few": {"target_modules": ["v_proj", "1.mlp.up_proj"]}}})
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
