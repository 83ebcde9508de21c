"""A mixture is one `Trainer` run on the mixed data: its losses, its adapter's answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from compute.language_models.adapters import load_adapter
from compute.language_models.loading import load_model
from compute.language_models.training_records import TrainingSource
from compute.plugin import Context
from compute.plugins.transfer import Transfer
from compute.store.artifacts import ArtifactStore
from compute.study.file import read_study
from compute.study.schema import Study
from compute.tasks import open_task
from tests.conformance.test_trainer import scores, train_with_peft
from tests.unit.plugins.test_transfer_visit import visit_of

STUDY = read_study(Path(__file__).parents[1] / "studies" / "mixed.yml")


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("even", {("parity", "en"): 12, ("compare", "de"): 36}),
        ("parity-both", {("parity", "en"): 48, ("parity", "de"): 48}),
    ],
)
def test_a_mixture_is_one_run_of_trainer_on_the_mixed_data(
    name: str, parts: dict[tuple[str, str], int], tmp_path: Path
) -> None:
    context = Context("cpu", ArtifactStore(tmp_path / "artifacts"))
    lora = {"epochs": 2, "batch_size": 8, "learning_rate": 1e-2, "rank": 4}
    train, _ = visit_of(Study.model_validate(STUDY.model_dump() | {"lora": lora}), context)
    job = next(job for job in train if job.config.source_name == name and job.config.seed == 1)
    ((_, outcome),) = Transfer().run([job], context)
    model, tokenizer = load_model(context.artifacts.path(job.inputs["base"]))
    # The data as a user would mix them, from the tasks.
    mixed, dev = (
        [
            item
            for (task, language), n in parts.items()
            for item in open_task(task, language, {}).items(language, split)[: n if split == "train" else 10]
        ]
        for split in ("train", "dev")
    )
    source = TrainingSource("mixed", mixed, dev, 1)
    peft, history = train_with_peft(model, tokenizer, job.config.lora, source, tmp_path / "trainer")
    steps, evals = ([row[key] for row in history if key in row] for key in ("loss", "eval_loss"))
    log = outcome["training_log"]
    assert len(log) == len(steps) == 2 * -(-sum(parts.values()) // 8)
    assert [row["loss"] for row in log] == pytest.approx(steps, abs=1e-3)
    assert [row["eval_loss"] for row in log if row["eval_loss"] is not None] == pytest.approx(evals, abs=1e-3)
    assert steps[0] - min(steps) > 0.1  # something was learnt
    adapter = load_adapter(context.artifacts.path(job.key))
    for ours, theirs in zip(*scores(model, tokenizer, adapter, peft), strict=True):
        assert ours == pytest.approx(theirs, abs=5e-3)
