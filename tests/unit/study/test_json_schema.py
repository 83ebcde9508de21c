"""The schema takes what the reader takes, and refuses what it refuses for its keys and shapes."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from compute.study.json_schema import study_schema
from compute.yaml_file import read_yaml

ROOT = Path(__file__).parents[3]
STUDIES = sorted([*ROOT.glob("studies/*.yml"), *ROOT.glob("examples/*/**/*.yml"), *ROOT.glob("tests/studies/*.yml")])
SCHEMA = Draft202012Validator(study_schema())


def content(path: Path) -> Any:
    return read_yaml(path, "a study").content


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_study_fits(path: Path) -> None:
    assert [error.message for error in SCHEMA.iter_errors(content(path))] == []


DOCUMENTS = {"task": "cldc", "collection": "sib-200"}
WRONG = {
    "a key of the study": lambda study: study.update(modles=[]),
    "a key of lora": lambda study: study["lora"].update(r=4),
    "a key of a model": lambda study: study["models"][0].update(familly="llama"),
    "a key of a grid": lambda study: study["targets"].update(task=["read"]),
    "a value": lambda study: study["models"][0]["architecture"].update(family="lama"),
    "a type": lambda study: study["lora"].update(rank="four"),
    "a range": lambda study: study.update(harm_threshold_pp=-1),
    "a key of vectors": lambda study: study["embeddings"]["vectors"]["fasttext"].update(sentence=3),
    "a name of dictionaries": lambda study: study["embeddings"].update(dictionaries="xling"),
    "a key of a variant": lambda study: study.update(variants={"wide": {"rnk": 4}}),
    "a setting of a method": lambda study: study["embeddings"].update(
        methods=[{"name": "muse", "settings": {"epoch": 3}}]
    ),
    "a value of a method's": lambda study: study["embeddings"].update(
        methods=[{"name": "rcsls", "settings": {"neighbours": 0}}]
    ),
    "a setting where there is none": lambda study: study["embeddings"].update(
        methods=[{"name": "proc", "settings": {"epochs": 1}}]
    ),
    "a setting of a classifier": lambda study: study["embeddings"].update(
        downstream=[DOCUMENTS | {"classifiers": [{"name": "cnn", "settings": {"epoch": 3}}]}]
    ),
    "a setting of another task's": lambda study: study["embeddings"].update(
        downstream=[DOCUMENTS | {"classifiers": [{"name": "averages", "settings": {"smoothing": 0.5}}]}]
    ),
    "a key of a plugin": lambda study: study.update(plugins={"uriel": {"meassures": []}}),
    "no name": lambda study: study.pop("study"),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_does_not(wrong: Any) -> None:
    study = deepcopy(content(ROOT / "studies" / "quickstart.yml"))
    assert SCHEMA.is_valid(study)
    wrong(study)
    assert not SCHEMA.is_valid(study)


def test_short_forms_fit() -> None:
    study = content(ROOT / "studies" / "quickstart.yml") | {
        "models": ["org/model", {"checkpoint": "./here"}],
        "targets": [{"tasks": ["read"], "languages": ["de"]}, {"tasks": ["parity"], "languages": ["en"]}],
        "prompts": {"evaluate": "cloze", "train": {"read": "cloze"}},
        "tasks": {"own": {"folder": "x", "prompts": {"a": "{context}", "b": {"template": "{context}"}}}},
        "variants": {"wide": {"rank": 4, "train_prompt": "cloze"}},
    }
    assert [error.message for error in SCHEMA.iter_errors(study)] == []


def test_every_key_says_what_it_means() -> None:
    schema = study_schema()
    silent = [
        f"{name}.{key}"
        for name, section in (("Study", schema), *schema["$defs"].items())
        for key, field in section.get("properties", {}).items()
        if not field.get("description")
    ]
    assert not silent
