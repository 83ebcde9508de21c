"""Every mistake in a study file is one clear line with its place and the nearest valid name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compute.errors import UserError
from compute.study.file import read_study
from compute.yaml_file import read_yaml

TINY = (Path(__file__).parents[2] / "studies" / "tiny.yml").read_text()

MISTAKES = {
    "unknown key": (("items: {", "itmes: {"), 9, "itmes", "did you mean 'items'?"),
    "unknown nested key": (("{epochs: 1}", "{epochs: 1, lerning_rate: 1}"), 12, "lora", "'learning_rate'"),
    "unknown task": (("[parity]", "[pairty]"), 7, "sources.tasks[0]", "did you mean 'parity'?"),
    "unknown language": (("tasks: [parity], languages: [en, de]", "tasks: [parity], languages: [en, dee]"), 7,
                         "sources", "did you mean 'de'?"),
    "unknown family": (("family: llama", "family: lama"), 5, "models[0].architecture.family", "'llama'"),
    "unknown method": (("[proc]", "[prok]"), 16, "embeddings.methods[0]", "did you mean 'proc'?"),
    "unknown method setting": (("[proc]", "[{name: proc, settings: {x: 1}}]"), 16, "methods[0].settings.x", "'x'"),
    "unknown measure": (("eigenvector_similarity", "eigenvector_similarty"), 19, "isometry[0]", "did you mean"),
    "negative rank": (("{epochs: 1}", "{epochs: 1, rank: -4}"), 12, "lora.rank", "found -4"),
    "empty list": (("tasks: [parity]", "tasks: []"), 7, "sources.tasks", "empty"),
    "no seeds": (("seeds: [1]\nplacebo", "seeds: []\nplacebo"), None, "", "seeds is empty"),
    "one task twice": (("[parity, compare]", "[parity, parity]"), 8, "targets.tasks", "'parity' is listed twice"),
    "no date": (("study: tiny", "study: 2020-99-99"), 2, "", "'2020-99-99' is read as a value of YAML's type"),
    "no truth": (("train: 100", "train: !!bool maybe"), 9, "", "'maybe' is read as a value of YAML's type bool"),
    "too many digits": (("train: 100", f"train: {'9' * 5000}"), 9, "", "9999... is read as a value of YAML's type int"),
    "too many bits": (("train: 100", f"train: 0x{'f' * 20}"), 9, "", "is a number of more than 64 bits"),
    "a long name": (("study: tiny", f"study: {'x' * 5000}"), 2, "study", "at most 64 characters, found 'xxx"),
    "one key twice": (("seeds: [1]\nplacebo", "seeds: [1]\nseeds: [1]\nplacebo"), 11, "", "'seeds' is written twice"),
    "syntax": (("seeds: [1]\nplacebo", "seeds: [1\nplacebo"), 11, "", "expected"),
    "a number is text": (("test: 20", "test: many"), 9, "items.test", "found 'many'"),
    "text for a list": (("tasks: [parity]", "tasks: parity"), 7, "sources.tasks", "expected a list"),
    "a truth for a text": (("tasks: [parity], languages: [en, de]", "tasks: [parity], languages: [en, true]"), 7,
                           "sources.languages[1]", "in quotes"),
    "name is a path": (("study: tiny", "study: ../tiny"), 2, "study", "found '../tiny'"),
    "dictionary too large": (("[100]", "[100000]"), None, "embeddings", "allow 600"),
    "compared with itself": (("study: tiny", "study: tiny\ncompare_with: tiny"), None, "", "names the study itself"),
    "compared with a path": (("study: tiny", "study: tiny\ncompare_with: ../w"), 3, "compare_with", "found '../w'"),
    "unknown method of bli_map": (("study: tiny", "study: tiny\nbli_map: {method: prok}"), None, "",
                                  "did you mean 'proc'?"),
    "unknown retrieval of bli_map": (("study: tiny", "study: tiny\nbli_map: {retrieval: cslx}"), 3, "bli_map.retrieval",
                                     "'csls'"),
    "unknown size of bli_map": (("study: tiny", "study: tiny\nbli_map: {dictionary_size: 200}"), None, "",
                                "bli_map.dictionary_size is 200; expected one of embeddings.dictionary_sizes: 100"),
    "unknown plugin": (("study: tiny", "study: tiny\nplugins: {foo: {}}"), 3, "plugins", "unknown plugin 'foo'"),
    "a variant that selects the placebo": (("study: tiny", "study: tiny\nvariants: {v: {best_checkpoint: true}}"), None,
                                           "", "variants.v.best_checkpoint would select the placebo"),
    "unknown variant key": (("study: tiny", "study: tiny\nvariants: {low: {rnak: 2}}"), 3, "variants.low.rnak",
                            "did you mean 'rank'?"),
    "pair of an unlisted language": (("  methods", "  pairs: [[en, fr]]\n  methods"), None, "embeddings", "'fr'"),
    "heads that do not divide": (("heads: 2", "heads: 3"), 5, "models[0].architecture", "multiple"),
    "neither made nor found": (("    pretrain: {languages: [en, de], steps: 20, batch_tokens: 1024}\n", ""), 4,
                               "models[0]", "give its `checkpoint`"),
    "made and found": (("  - name: small\n", "  - name: small\n    checkpoint: ./x\n"), 4, "models[0]", "already"),
    "a checkpoint's key": (("  - name: small\n", "  - name: small\n    chat_template: true\n"), 4, "models[0]",
                           "chat_template belong to a checkpoint"),
    "unknown task in a block": (("targets: {tasks: [parity, compare], languages: [en, de]}",
                                 "targets: [{tasks: [parity], languages: [en]}, {tasks: [raed], languages: [de]}]"), 8,
                                "targets[1].tasks[0]", "did you mean 'read'?"),
    "a cell in two blocks": (("targets: {tasks: [parity, compare], languages: [en, de]}",
                              "targets: [{tasks: [parity], languages: [en]}, {tasks: [parity], languages: [en]}]"), 8,
                             "targets", "parity/en is in two blocks"),
    "unknown prompt": (("study: tiny", "study: tiny\nprompts: {evaluate: clozed}"), 3, "prompts.evaluate",
                       "unknown prompt 'clozed' of task"),
    "unknown train prompt": (("study: tiny", "study: tiny\nvariants: {v: {train_prompt: x}}"), 3,
                             "variants.v.train_prompt", "unknown prompt"),
    "source without training data": (("sources: {tasks: [parity], languages: [en, de]}",
                                      "sources: {tasks: [arithmetic], languages: [en]}"), 7, "sources.tasks[0]",
                                     "no training data"),
    "no pretrain language": (("{languages: [en, de], steps", "{languages: [en, xx], steps"), 6,
                             "models[0].pretrain", "'xx'"),
    "unknown pretrain task": (("steps: 20", "corpus: tasks, tasks: [pairty], steps: 20"), 6,
                              "models[0].pretrain.tasks", "did you mean 'parity'?"),
    "no such language of a pretrain task": (("{languages: [en, de], steps: 20", "{languages: [en, xx], corpus: tasks, "
                                             "tasks: [parity], steps: 20"), 6, "models[0].pretrain.languages", "'xx'"),
    "unknown prompt of a pretrain task": (("    pretrain: {languages: [en, de], steps: 20, batch_tokens: 1024}\n",
                                           "    pretrain: {languages: [en], corpus: tasks, tasks: [round], steps: 20}\n"
                                           "prompts: {evaluate: {round: clozed}}\n"), 7, "prompts.evaluate",
                                          "unknown prompt 'clozed' of task"),
    "pretrain task without training data": (("{languages: [en, de], steps: 20", "{languages: [en], corpus: tasks, "
                                             "tasks: [arithmetic], steps: 20"), 6, "models[0].pretrain.tasks",
                                            "no training data"),
    "a checkpoint's folder mistyped": (("models:\n", "models:\n  - {name: x, checkpoint: ./tests/unti}\n"), 4,
                                       "models[0].checkpoint", "no such folder; did you mean 'tests/unit'?"),
    "own task of a built-in's name": (("study: tiny", "study: tiny\ntasks: {parity: {folder: x}}"), 3, "tasks.parity",
                                      "'parity' is the name of a built-in task"),
    "a folder's revision": (("models:\n", "models:\n  - {name: x, checkpoint: ./x, revision: v1}\n"), 4,
                            "models[0].revision", "a folder has no revision 'v1'"),
    "prompt of no task": (("study: tiny", "study: tiny\nprompts: {evaluate: {pairty: even-odd}}"), 3,
                          "prompts.evaluate.pairty", "did you mean 'parity'?"),
    "train prompt of a target": (("study: tiny", "study: tiny\nprompts: {train: {compare: larger}}"), 3,
                                 "prompts.train.compare", "unknown task to tune on"),
    "train prompt of no task": (("study: tiny", "study: tiny\nvariants: {v: {train_prompt: {pairty: x}}}"), 3,
                                "variants.v.train_prompt.pairty", "did you mean 'parity'?"),
    "PEFT's name for a key": (("{epochs: 1}", "{r: 4}"), 12, "lora.r", "unknown key 'r'; here it is called 'rank'"),
    "truth for a number": (("{epochs: 1}", "{epochs: true}"), 12, "lora.epochs", "expected a number, found True"),
    "truth for a seed": (("seeds: [1]\nplacebo", "seeds: [0, true]\nplacebo"), 10, "seeds[1]", "found True"),
    "contrast of nothing": (("study: tiny", "study: tiny\ncontrasts: {c: {a: {variant: default}}}"), 3, "contrasts.c",
                            "the arms are the same"),
    "contrast of an unknown variant": (("study: tiny", "study: tiny\nvariants: {r64: {rank: 64}}\n"
                                        "contrasts: {c: {a: {variant: r46}}}"), 4, "contrasts.c.a.variant",
                                       "did you mean 'r64'?"),
    "contrast of an unknown source": (("study: tiny", "study: tiny\ncontrasts: {c: {a: {source: parity/fr}, "
                                       "b: {source: parity/en}}}"), 3, "contrasts.c.a.source", "did you mean"),
    "contrast with a source in one arm": (("study: tiny", "study: tiny\ncontrasts: {c: {a: {source: parity/en}}}"), 3,
                                          "contrasts.c", "source is said of arm a alone"),
    "contrast on an unknown target": (("study: tiny", "study: tiny\ncontrasts: {c: {b: {control: placebo}, "
                                       "targets: [pairty/en]}}"), 3, "contrasts.c.targets[0]", "'parity/en'?"),
    "contrast by prompt": (("study: tiny", "study: tiny\ncontrasts: {c: {a: {prompt: x}, b: {prompt: y}}}"), 3,
                           "contrasts.c.a.prompt", "one prompt"),
    "infinite rate": (("{epochs: 1}", "{learning_rate: .inf}"), 12, "lora.learning_rate", "finite"),
    "seed without bounds": (("seeds: [1]\nplacebo", "seeds: [99999999999]\nplacebo"), 10, "seeds[0]", "less"),
    "nothing to adapt": (("{epochs: 1}", "{target_modules: []}"), 12, "lora.target_modules", "empty"),
    "required key mistyped": (("hidden_size", "hiden_size"), 5, "architecture.hiden_size", "'hidden_size'?"),
    "list for a text": (("study: tiny", "study: [tiny]"), 2, "study", "expected text, found a list"),
    "half a pair": (("[proc]", "[{name: proc, pairs: [[en]]}]"), 16, "methods[0].pairs[0]", "a pair is expected"),
    "neither of a union": (("  methods", "  pairs: twice\n  methods"), 16, "embeddings.pairs", "or expected a list"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line_with_its_place(name: str, tmp_path: Path) -> None:
    (old, new), line, place, hint = MISTAKES[name]
    assert old in TINY
    path = tmp_path / "study.yml"
    path.write_text(TINY.replace(old, new, 1))
    with pytest.raises(UserError) as caught:
        read_study(path)
    message = str(caught.value)
    assert len(message.splitlines()) == 1, message
    assert message.startswith(f"{path}:{line}: " if line else str(path))
    assert place in message
    assert hint in message


def test_only_true_and_false_are_truths(tmp_path: Path) -> None:
    """As in YAML 1.2: `no` is Norwegian, a key too."""
    path = tmp_path / "x.yml"
    path.write_text("languages: [en, no, NO, y, on, off, Yes]\nno: arc/no\ntruths: [true, False, TRUE]\nnumber: 1\n")
    assert read_yaml(path, "anything").content == {
        "languages": ["en", "no", "NO", "y", "on", "off", "Yes"],
        "no": "arc/no",
        "truths": [True, False, True],
        "number": 1,
    }


TRAIN_ONLY = (
    TINY[: TINY.index("sources:")]
    + "tasks: {mine: {folder: FOLDER}}\nsources: {tasks: [mine], languages: [de]}\nseeds: [1]\n"
)


@pytest.mark.parametrize(
    ("more", "line", "place", "hint"),
    [
        ("targets: {tasks: [mine], languages: [de]}\n", 10, "targets.tasks[0]", "no test data in 'de'"),
        (
            "targets: {tasks: [parity], languages: [de]}\nvariants: {v: {best_checkpoint: true}}\n", 8,
            "sources.tasks[0]", "no dev data in 'de'",
        ),
    ],
)  # fmt: skip
def test_a_split_that_is_asked_for_must_be_there(more: str, line: int, place: str, hint: str, tmp_path: Path) -> None:
    (tmp_path / "de").mkdir()
    row = {"item_id": "1", "context": "a", "choices": ["b", "c"], "gold": 0}
    (tmp_path / "de" / "train.jsonl").write_text(json.dumps(row))
    path = tmp_path / "study.yml"
    path.write_text(TRAIN_ONLY.replace("FOLDER", str(tmp_path)) + more)
    with pytest.raises(UserError) as caught:
        read_study(path)
    message = str(caught.value)
    assert message.startswith(f"{path}:{line}: ") and place in message and hint in message


def test_two_models_of_one_name_are_refused(tmp_path: Path) -> None:
    entry = TINY[TINY.index("  - name: small") : TINY.index("sources:")]
    path = tmp_path / "study.yml"
    path.write_text(TINY.replace(entry, entry * 2))
    with pytest.raises(UserError, match="'small' is listed twice"):
        read_study(path)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "expected a mapping"),
        (b"- a\n", "expected a mapping"),
        (b"study: x\n", "the grid is empty"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"study: " + b"[" * 3000, "nested too deeply|expected"),
        (b"#" * 1_000_001, "larger than"),
        (b"a0: &a0 [1]\n" + b"".join(b"a%d: &a%d [*a%d, *a%d]\n" % (n + 1, n + 1, n, n) for n in range(40)), "aliases"),
        (b"a: &a [*a]\n", "recursive"),
        (b"? [a, b]\n: c\n", "yml:1: a key is expected to be text"),
        (b"study: x\ndescription: \x01\n", "yml:2: character 0x1 is not allowed"),
        (b"study: x\nmodels:\n  - name: a\n   dtype: auto\n", "yml:4: indented by 3 spaces; expected 0 or 2 or 4"),
        (b"study: x\n  seeds: [1]\n", "yml:2: indented by 2 spaces; expected 0, like the lines above"),
        (b"study: x\nlora:\n  rank: 4\n seeds: [1]\n", "yml:4: indented by 1 spaces; expected 0 or 2"),
        (b"study: x\nlora:\n\trank: 4\n", "yml:3: indented by a tab"),
        (b"study: x\nlora: {rank: 4\n   alpha: 3}\n", "yml:3: expected ',' or '}'|yml:3: .*not allowed|found ':'"),
    ],
)
def test_a_file_that_is_no_study(content: bytes, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "study.yml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=expected):
        read_study(path)


def test_a_missing_file_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "quickstart.yml").write_text(TINY)
    with pytest.raises(UserError, match=r"no such file; did you mean .*quickstart\.yml"):
        read_study(tmp_path / "quickstrat.yml")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_text_is_a_study_or_a_user_error(data: st.DataObject, tmp_path: Path) -> None:
    start = data.draw(st.integers(0, len(TINY) - 1))
    length = data.draw(st.integers(0, 40))
    filler = data.draw(st.text(alphabet="[]{}:,-&*!|>\n\t 'a1\"", max_size=5))
    path = tmp_path / "study.yml"
    path.write_text(TINY[:start] + filler + TINY[start + length :])
    try:
        read_study(path)
    except UserError as error:
        assert str(path) in str(error)


def test_every_study_in_the_repository_is_valid() -> None:
    for path in (Path(__file__).parents[3] / "studies").glob("*.yml"):
        assert read_study(path).study == path.stem
