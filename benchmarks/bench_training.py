"""Times LoRA training of several sources, and grid cells from training to landed scores, against the published way.

    python -m benchmarks.bench_training                                                  # CPU, a small random Llama
    python -m benchmarks.bench_training --device cuda --shape qwen2.5-0.5b --dtype bfloat16 --items 270 --epochs 3

The published way (arXiv 2511.13368) is Hugging Face's `Trainer` with PEFT, one source at a time and padded to a fixed
length; and, for a cell, merging the adapter to disk, lm-evaluation-harness on all targets, and deleting. Sources are
the topic task in eight languages. Both sides start with the same matrices and see the items in the same order; the
losses of every step, and the log-probabilities of every answer, must agree. Each way is measured in a process of its
own. Prints Markdown tables, as in benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedConfig, Qwen2Config, Trainer, TrainingArguments
from transformers.utils import logging

from compute.landing import Landing
from compute.language_models.encoding import encode_items
from compute.language_models.loading import load_model
from compute.language_models.lora import LoraStack, initial_adapter, load_adapter, save_adapter
from compute.language_models.scoring import score_items
from compute.language_models.settings import Lora
from compute.language_models.tokenizer import train_tokenizer
from compute.language_models.training import TrainedAdapter, TrainingSource, item_order, train_stack
from compute.tasks import load_task
from compute.tasks.task import Item

LANGUAGES = ("ar", "de", "en", "es", "fr", "hi", "it", "pt")
SHAPES: dict[str, PreTrainedConfig] = {
    "small": LlamaConfig(
        hidden_size=256, num_hidden_layers=6, num_attention_heads=8, num_key_value_heads=2, intermediate_size=704,
        vocab_size=8192, max_position_embeddings=2048, tie_word_embeddings=True,
    ),
    "qwen2.5-0.5b": Qwen2Config(
        hidden_size=896, num_hidden_layers=24, num_attention_heads=14, num_key_value_heads=2, intermediate_size=4864,
        vocab_size=151936, max_position_embeddings=32768, tie_word_embeddings=True,
    ),
    "llama-3.2-1b": LlamaConfig(
        hidden_size=2048, num_hidden_layers=16, num_attention_heads=32, num_key_value_heads=8, head_dim=64,
        intermediate_size=8192, vocab_size=128256, max_position_embeddings=131072, tie_word_embeddings=True,
    ),
}  # fmt: skip
TOLERANCE = {"float32": 1e-3, "bfloat16": 0.1}
"""Of a step's loss and of an answer's log-probability, in nats."""


@dataclass(frozen=True)
class Bench:
    """What is asked for, and where its files are."""

    folder: Path
    device: str
    shape: str
    dtype: str
    items: int
    eval_items: int
    epochs: int
    target_items: int
    padding: int
    harness_batch: str

    @property
    def settings(self) -> Lora:
        return Lora(
            rank=32, alpha=64, epochs=self.epochs, batch_size=8, learning_rate=5e-5, warmup=0.1, best_checkpoint=True
        )

    def source(self, number: int) -> TrainingSource:
        task, language = load_task("topic"), LANGUAGES[number]
        train, dev = task.items(language, "train")[: self.items], task.items(language, "dev")[: self.eval_items]
        return TrainingSource(language, train, dev, seed=17 + number)

    def targets(self) -> dict[str, list[Item]]:
        task = load_task("topic")
        return {language: task.items(language, "test")[: self.target_items] for language in LANGUAGES}

    def load(self) -> tuple[Any, Any]:
        return load_model(self.folder / "base", dtype=self.dtype, device=self.device)

    def make_base(self) -> None:
        task = load_task("topic")
        texts = [item.context + choice for language in LANGUAGES for item in task.items(language, "train")
                 for choice in item.choices[:1]]  # fmt: skip
        config = SHAPES[self.shape]
        tokenizer = train_tokenizer(texts, min(config.vocab_size, 32768), config.max_position_embeddings)
        config.bos_token_id = config.eos_token_id = tokenizer.eos_token_id
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, self.dtype))
        model.save_pretrained(self.folder / "base")
        tokenizer.save_pretrained(self.folder / "base")

    def wait(self) -> None:
        if self.device != "cpu":
            torch.cuda.synchronize()

    def peak_gib(self) -> float:
        if self.device != "cpu":
            return torch.cuda.max_memory_allocated() / 2**30
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20

    def matmul_rate(self) -> float:
        """FLOP/s of a large square product, the best of a few."""
        n = 1024 if self.device == "cpu" else 8192
        a = torch.randn(n, n, device=self.device).to(getattr(torch, self.dtype))
        best = float("inf")
        for _ in range(8):
            self.wait()
            start = time.perf_counter()
            a @ a
            self.wait()
            best = min(best, time.perf_counter() - start)
        return 2 * n**3 / best


# What is run instead.


class _InOrder(Trainer):  # type: ignore[misc]
    """`Trainer`, but for the order of items."""

    orders: Sequence[Sequence[int]]

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        return _Orders(self.orders)


class _Orders:
    """A sampler that gives the next order each time it is gone through."""

    def __init__(self, orders: Sequence[Sequence[int]]) -> None:
        self.orders, self.epochs = orders, iter(orders)

    def __iter__(self) -> Iterator[int]:
        return iter(next(self.epochs))

    def __len__(self) -> int:
        return len(self.orders[0])


def _collate(rows: list[dict[str, list[int]]], padding: int) -> dict[str, Tensor]:
    longest = max(padding, *(len(row["input_ids"]) for row in rows))
    fills = {"input_ids": 0, "labels": -100, "attention_mask": 0}
    return {key: torch.tensor([row[key] + [fill] * (longest - len(row[key])) for row in rows])
            for key, fill in fills.items()}  # fmt: skip


def _rows(model: Any, tokenizer: Any, items: Sequence[Item]) -> list[dict[str, list[int]]]:
    rows = []
    for item, encoded in zip(items, encode_items(model, tokenizer, items), strict=True):
        answer = encoded.choices[item.gold]
        ids = encoded.context + answer
        labels = [-100] * len(encoded.context) + answer
        rows.append({"input_ids": ids, "labels": labels, "attention_mask": [1] * len(ids)})
    return rows


def train_with_trainer(
    bench: Bench, model: Any, tokenizer: Any, source: TrainingSource, padding: int
) -> tuple[Any, Any]:
    """PEFT's model after training, and `Trainer`'s log; the adapter is saved."""
    from peft import LoraConfig, get_peft_model

    settings = bench.settings
    start = initial_adapter(model, settings, source.seed)
    config = LoraConfig(
        r=settings.rank, lora_alpha=settings.alpha, target_modules="all-linear", task_type="CAUSAL_LM"
    )  # fmt: skip
    peft = get_peft_model(model, config)
    for name, parameter in peft.named_parameters():
        if parameter.requires_grad:
            layer, _, array = name.removeprefix("base_model.model.").partition(".lora_")
            parameter.data.copy_(start.array(layer, array[0].lower()))
    folder = bench.folder / "trainer"
    arguments = TrainingArguments(
        output_dir=str(folder), num_train_epochs=settings.epochs, per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=settings.batch_size, learning_rate=settings.learning_rate,
        warmup_steps=settings.warmup, max_grad_norm=settings.max_grad_norm, logging_steps=1, eval_strategy="epoch",
        save_strategy="epoch", save_total_limit=1, load_best_model_at_end=True, report_to=[],
        use_cpu=bench.device == "cpu", bf16=bench.dtype == "bfloat16", disable_tqdm=True, remove_unused_columns=False,
        prediction_loss_only=True,
    )  # fmt: skip
    trainer = _InOrder(
        model=peft, args=arguments, data_collator=lambda rows: _collate(rows, padding),
        train_dataset=_rows(model, tokenizer, source.items), eval_dataset=_rows(model, tokenizer, source.eval_items),
    )  # fmt: skip
    trainer.orders = item_order(source.seed, len(source.items), settings.epochs)
    trainer.train()
    peft.save_pretrained(folder / "adapter", save_embedding_layers=False)
    log = trainer.state.log_history
    shutil.rmtree(folder)
    return peft, log


def _published_training(bench: Bench, sources: int, padding: int) -> dict[str, Any]:
    losses, evals = [], []
    model, tokenizer = bench.load()
    for number in range(sources):
        peft, log = train_with_trainer(bench, model, tokenizer, bench.source(number), padding)
        model = peft.unload()
        losses.append([row["loss"] for row in log if "loss" in row])
        evals.append([row["eval_loss"] for row in log if "eval_loss" in row])
    return {"losses": losses, "evals": evals}


def _published_cells(bench: Bench, sources: int) -> dict[str, Any]:
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    _write_harness_tasks(bench)
    values = []
    for number in range(sources):
        model, tokenizer = bench.load()
        peft, _ = train_with_trainer(bench, model, tokenizer, bench.source(number), bench.padding)
        merged = bench.folder / "merged"
        peft.merge_and_unload().save_pretrained(merged)
        tokenizer.save_pretrained(merged)
        harness = HFLM(pretrained=str(merged), device=bench.device, dtype=bench.dtype, batch_size=bench.harness_batch)
        manager = TaskManager(include_path=str(bench.folder / "tasks"), include_defaults=False)
        samples = simple_evaluate(
            harness, tasks=list(LANGUAGES), task_manager=manager, log_samples=True, bootstrap_iters=0
        )["samples"]  # fmt: skip
        shutil.rmtree(merged)
        values.append(
            [[float(answer[0][0]) for answer in sample["resps"]] for language in LANGUAGES
             for sample in sorted(samples[language], key=lambda sample: sample["doc_id"])]
        )  # fmt: skip
    return {"logprobs": values}


def _write_harness_tasks(bench: Bench) -> None:
    folder = bench.folder / "tasks"
    folder.mkdir(exist_ok=True)
    for language, items in bench.targets().items():
        rows = [
            {"context": item.context, "choices": [choice[1:] for choice in item.choices], "gold": item.gold}
            for item in items
        ]
        path = folder / f"{language}.jsonl"
        path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
        task = {
            "task": language, "dataset_path": "json", "test_split": "test", "output_type": "multiple_choice",
            "dataset_kwargs": {"data_files": {"test": str(path)}, "cache_dir": str(folder / "cache")},
            "doc_to_text": "context", "doc_to_choice": "choices", "doc_to_target": "gold", "target_delimiter": " ",
            "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}],
        }  # fmt: skip
        (folder / f"{language}.yaml").write_text(json.dumps(task))  # JSON is YAML


# Ours.


def _our_training(bench: Bench, sources: int) -> dict[str, Any]:
    results = _train_and_save(bench, *bench.load(), sources)
    return {
        "losses": [[row.loss for row in result.log] for result in results],
        "evals": [[row.eval_loss for row in result.log if row.eval_loss is not None] for result in results],
    }


def _train_and_save(bench: Bench, model: Any, tokenizer: Any, sources: int) -> list[TrainedAdapter]:
    given = [bench.source(number) for number in range(sources)]
    results = [
        result for result in train_stack(model, tokenizer, given, bench.settings, bench.device)
        if isinstance(result, TrainedAdapter)
    ]  # fmt: skip
    assert len(results) == sources
    for result in results:
        save_adapter(result.adapter, bench.settings, bench.folder / "adapters" / result.key, "base")
    return results


def _our_cells(bench: Bench, sources: int) -> dict[str, Any]:
    model, tokenizer = bench.load()
    targets, landing = bench.targets(), Landing(bench.folder / "landing")
    values: list[list[list[float]]] = []
    for result in _train_and_save(bench, model, tokenizer, sources):
        values.append([])
        with LoraStack(model, [load_adapter(bench.folder / "adapters" / result.key)]):
            for language, items in targets.items():
                scores = score_items(model, tokenizer, items, device=bench.device)
                rows = [
                    {
                        "model": "base", "source_language": result.key, "target_language": language,
                        "item_id": item.item_id, "gold": item.gold, "logprobs": score.logprobs,
                        "token_counts": score.token_counts, "char_counts": score.char_counts,
                        "byte_counts": score.byte_counts,
                    }
                    for item, score in zip(items, scores, strict=True)
                ]  # fmt: skip
                landing.write(f"{result.key}-{language}", {"item_scores": rows}, {"state": "landed"})
                values[-1] += [score.logprobs for score in scores]
    return {"logprobs": values}


# Measuring.


def measure(bench: Bench, way: str, sources: int) -> dict[str, Any]:
    """Runs one way in this process: its results, seconds, memory and the machine's rate at that time."""
    logging.set_verbosity_error()
    run = {
        "published": lambda: _published_training(bench, sources, bench.padding),
        "unpadded": lambda: _published_training(bench, sources, 0),
        "ours": lambda: _our_training(bench, sources),
        "published cells": lambda: _published_cells(bench, sources),
        "our cells": lambda: _our_cells(bench, sources),
    }[way]
    if way == "published cells":
        import lm_eval  # noqa: F401  # like the other imports, before the clock starts
    bench.matmul_rate()  # the driver and its libraries start
    start, cpu_start = time.perf_counter(), time.process_time()
    found = run()
    bench.wait()
    found |= {"seconds": time.perf_counter() - start, "cpu": time.process_time() - cpu_start, "gib": bench.peak_gib()}
    return found | {"rate": bench.matmul_rate()}


def _in_its_own_process(bench: Bench, way: str, sources: int) -> dict[str, Any]:
    print(f"{way}, {sources} sources ...", file=sys.stderr, flush=True)
    result = bench.folder / "result.json"
    command = [sys.executable, "-m", "benchmarks.bench_training", *sys.argv[1:]]
    command += ["--way", way, "--sources", str(sources), "--folder", str(bench.folder)]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(bench.folder / "datasets")}
    process = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    if process.returncode:
        sys.exit(process.stderr)
    found: dict[str, Any] = json.loads(result.read_text())
    return found


def _work(bench: Bench, sources: int) -> tuple[int, float]:
    """Tokens trained on by all sources, and the FLOP that cannot be saved.

    The base's layers run once forward, and once backward to their inputs; the adapters' matrices twice backward; the
    output layer at the answers only.
    """
    model, tokenizer = load_model(bench.folder / "base")
    adapter = initial_adapter(model, bench.settings, 0)
    base = sum(b.shape[0] * a.shape[1] for a, b in adapter.matrices.values())
    lora = sum(a.numel() + b.numel() for a, b in adapter.matrices.values())
    output = model.get_output_embeddings().weight.numel()
    tokens = answers = 0
    for number in range(sources):
        for row in _rows(model, tokenizer, bench.source(number).items):
            tokens += bench.epochs * len(row["input_ids"])
            answers += bench.epochs * (len(row["labels"]) - row["labels"].count(-100))
    return tokens, 4.0 * base * tokens + 6.0 * lora * tokens + 4.0 * output * answers


def _greatest_difference(one: Any, other: Any) -> float:
    if isinstance(one, list):
        return max((_greatest_difference(a, b) for a, b in zip(one, other, strict=True)), default=0.0)
    return abs(one - other)


def _compare_training(bench: Bench, most: int) -> float:
    """Prints the table of training; the greatest difference of two losses."""
    published = _in_its_own_process(bench, "published", most)
    ways = [(f"Trainer, padded to {bench.padding}", most, published)]
    ways.append(("Trainer, padded to the batch", most, _in_its_own_process(bench, "unpadded", most)))
    sizes = [size for size in (1, 2, 4, 8) if size <= most]
    ways += [(f"stack of {size}", size, _in_its_own_process(bench, "ours", size)) for size in sizes]
    print("| training | sources | s a source | CPU s a source | × published | tokens/s | peak GiB | of matmul rate |")
    print("|---|---|---|---|---|---|---|---|")
    difference = 0.0
    for name, sources, found in ways:
        tokens, flop = _work(bench, sources)
        times = published["seconds"] / most / (found["seconds"] / sources)
        share = flop / found["seconds"] / found["rate"]
        print(
            f"| {name} | {sources} | {found['seconds'] / sources:.2f} | {found['cpu'] / sources:.2f} | {times:.1f} "
            f"| {tokens / found['seconds']:,.0f} | {found['gib']:.2f} | {share:.0%} |"
        )
        for kind in ("losses", "evals"):
            difference = max(difference, _greatest_difference(found[kind], published[kind][:sources]))
    return difference


def _compare_cells(bench: Bench, most: int, published_sources: int) -> float:
    """Prints the table of grid cells; the greatest difference of two answers' log-probabilities."""
    published = _in_its_own_process(bench, "published cells", published_sources)
    ours = _in_its_own_process(bench, "our cells", most)
    print("\n| from training to scores | sources | s a source | CPU s a source | × published | peak GiB |")
    print("|---|---|---|---|---|---|")
    for name, sources, found in (
        ("Trainer, merge, lm-eval, delete", published_sources, published),
        ("stack, score, land", most, ours),
    ):
        times = published["seconds"] / published_sources / (found["seconds"] / sources)
        seconds, cpu = found["seconds"] / sources, found["cpu"] / sources
        print(f"| {name} | {sources} | {seconds:.2f} | {cpu:.2f} | {times:.1f} | {found['gib']:.2f} |")
    return _greatest_difference(ours["logprobs"][:published_sources], published["logprobs"])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--shape", choices=sorted(SHAPES), default="small")
    parser.add_argument("--dtype", choices=sorted(TOLERANCE), default="float32")
    parser.add_argument("--sources", type=int, default=8, help="trained at once, up to 8")
    parser.add_argument("--items", type=int, default=40, help="trained on, a source")
    parser.add_argument("--eval-items", type=int, default=8, help="held out, a source")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--target-items", type=int, default=25, help="of each of the eight targets")
    parser.add_argument("--published-sources", type=int, default=2, help="cells that are timed of the published way")
    parser.add_argument("--padding", type=int, default=256, help="the published fixed length")
    parser.add_argument("--harness-batch", default="16", help="lm-eval's batch size, or auto")
    parser.add_argument("--way", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-training-") as temporary:
        bench = Bench(
            given.folder or Path(temporary), given.device, given.shape, given.dtype, given.items, given.eval_items,
            given.epochs, given.target_items, given.padding, given.harness_batch,
        )  # fmt: skip
        if given.way:
            (bench.folder / "result.json").write_text(json.dumps(measure(bench, given.way, given.sources)))
            return
        bench.make_base()
        print(f"{given.shape}, {given.dtype}, {given.device}, {torch.get_num_threads()} threads\n")
        loss_difference = _compare_training(bench, given.sources)
        difference = _compare_cells(bench, given.sources, given.published_sources)
    print(f"\nGreatest difference: {loss_difference:.1e} of a loss, {difference:.1e} of an answer's log-probability.")
    if max(loss_difference, difference) > TOLERANCE[given.dtype]:
        sys.exit(f"that is more than {TOLERANCE[given.dtype]}")


if __name__ == "__main__":
    main()
