"""Scoring items of four choices against lm-evaluation-harness's `hf` backend: the same model, items and results.

    python -m benchmarks.bench_scoring                                   # 13 M parameters on the CPU
    python -m benchmarks.bench_scoring --device cuda --shape llama-3.2-1b --dtype bfloat16
    python -m benchmarks.bench_scoring --checkpoint FOLDER              # a real one

Without a checkpoint the model and the text are random, prompts have 100 to 300 tokens. Each contender runs in a
process of its own, from texts to log-likelihoods, loading left out; the harness at several batch sizes, of which the
best counts. Where lm-eval is not installed, its stand-in takes its place (`benchmarks.by_harness`). With `--result
FILE` findings are kept after each contender, so that parts may be run one at a time. Prints Markdown tables, as in
benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.by_harness import LM_EVAL, STAND_IN, TITLES, installed_harness, open_scorer
from benchmarks.results import Results
from compute.engine.devices import available_cores

SHAPES: dict[str, dict[str, Any]] = {
    "tiny": {
        "vocab_size": 4000, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "intermediate_size": 128,
    },
    "13m": {
        "vocab_size": 32000, "hidden_size": 256, "num_hidden_layers": 6, "num_attention_heads": 4,
        "num_key_value_heads": 4, "intermediate_size": 768,
    },
    "llama-3.2-1b": {
        "vocab_size": 128256, "hidden_size": 2048, "num_hidden_layers": 16, "num_attention_heads": 32,
        "num_key_value_heads": 8, "head_dim": 64, "intermediate_size": 8192,
    },
}  # fmt: skip
"""Llama configurations, embeddings tied."""

BATCH_SIZES = {"cpu": (1, 4, 8, 16), "cuda": (16, 32, 64, 128)}
ITEMS = {"cpu": 64, "cuda": 1024}
PROMPT_TOKENS, CHOICE_TOKENS = (100, 300), (2, 8)
CHOICES = {"many": "several tokens a choice", "one": "one token a choice"}
TASKS = {"topic": "topic, German: seven choices", "sentiment": "sentiment, German: three choices"}
OURS = "ours"

_Question = dict[str, Any]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=sorted(ITEMS), default="cpu")
    parser.add_argument("--shape", choices=sorted(SHAPES), default="13m")
    parser.add_argument("--checkpoint", type=Path, help="folder of a real model, in place of a shape")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--items", type=int, help="of each kind; 64 on a CPU, 1024 on a GPU")
    parser.add_argument("--repeats", type=int, default=3, help="runs, of which the quickest counts")
    parser.add_argument("--rounds", type=int, default=1, help="in which contenders take turns; medians are told")
    parser.add_argument("--threads", type=int, default=available_cores())
    parser.add_argument("--batch-sizes", type=int, nargs="+", help="the harness's")
    parser.add_argument("--parts", choices=(OURS, LM_EVAL, STAND_IN), nargs="+", help="ours, and the harness's or its")
    parser.add_argument("--result", type=Path, help="JSON file that findings are kept in, and taken from")
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.items = arguments.items or ITEMS[arguments.device]
    arguments.batch_sizes = arguments.batch_sizes or BATCH_SIZES[arguments.device]
    arguments.parts = arguments.parts or [OURS, installed_harness()]
    if arguments.contender:
        contend(arguments)
        return
    if LM_EVAL in arguments.parts and installed_harness() == STAND_IN:
        sys.exit("part lm-eval: lm-eval is not installed; take stand-in")
    with tempfile.TemporaryDirectory(prefix="bench-scoring-") as folder:
        arguments.folder = Path(folder)
        results, broken = compare(arguments)
    if not results.found:
        sys.exit("nothing was measured")
    facts = results.facts
    print(
        f"{_kind_of_model(arguments)}, {facts['parameters'] / 1e6:.1f} M parameters, vocabulary {facts['vocabulary']}, "
        f"{arguments.dtype}, {facts['machine']}, load before {facts['load']:.1f}; {arguments.items} items of each "
        f"kind, median of {arguments.rounds} rounds, best of {arguments.repeats} in each; matrix products at "
        f"{facts['matmul_rate'] / 1e12:.3g} TFLOP/s"
    )
    for kind, text in _kinds(arguments).items():
        print_table(text, facts, facts["work"][kind], {name: found[kind] for name, found in results.found.items()})
    if broken:
        sys.exit(f"{broken} contenders broke")


def compare(arguments: argparse.Namespace) -> tuple[Results, int]:
    """Runs the contenders asked for, by turns: a machine's rate changes by the minute; all findings, and how many
    contenders broke."""
    import torch
    import transformers

    names = ("device", "dtype", "items", "repeats", "rounds", "threads")
    settings = {name: getattr(arguments, name) for name in names} | {"shape": _kind_of_model(arguments)}
    results = Results(
        arguments.result, settings | {"torch": torch.__version__, "transformers": transformers.__version__}
    )
    results.facts = (prepare_checkpoint if arguments.checkpoint else prepare)(arguments) | {"load": os.getloadavg()[0]}
    contenders = [
        name
        for part in arguments.parts
        for name in ([OURS] if part == OURS else [f"{part} {size}" for size in arguments.batch_sizes])
    ]
    turns = [(name, run_contender(arguments, name)) for _ in range(arguments.rounds) for name in contenders]
    whole = [name for name in contenders if all(found is not None for of, found in turns if of == name)]
    for name in whole:
        results.add(name, _median_of([found for of, found in turns if of == name and found is not None]))
    return results, len(contenders) - len(whole)


def _median_of(rounds: Sequence[dict[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """One contender's results by kind of choices."""
    figures = ("seconds", "cpu_seconds", "bytes")
    return {
        kind: one | {name: statistics.median(found[kind][name] for found in rounds) for name in figures}
        for kind, one in rounds[0].items()
    }


def _kind_of_model(arguments: argparse.Namespace) -> str:
    return str(arguments.checkpoint.resolve().name if arguments.checkpoint else arguments.shape)


def _kinds(arguments: argparse.Namespace) -> dict[str, str]:
    return TASKS if arguments.checkpoint else CHOICES


def _model_folder(arguments: argparse.Namespace) -> Path:
    folder: Path = arguments.checkpoint or arguments.folder
    return folder


def prepare_checkpoint(arguments: argparse.Namespace) -> dict[str, Any]:
    """Questions of cataloged tasks, in the folder; what there is to tell of them and of the model."""
    import torch

    from benchmarks.machine import describe, matmul_rate
    from compute.language_models.encoding import encode_items
    from compute.language_models.loading import load_model
    from compute.tasks import load_task

    torch.set_num_threads(arguments.threads)
    model, tokenizer = load_model(arguments.checkpoint, dtype=arguments.dtype, device="cpu")
    work = {}
    for kind in TASKS:
        items = load_task(kind).items("de", "test")[: arguments.items]
        rows = [{"id": item.item_id, "context": item.context, "choices": item.choices} for item in items]
        (arguments.folder / f"{kind}.json").write_text(json.dumps(rows))
        encoded = encode_items(model, tokenizer, items)
        rest = sum(len(choice) - 1 for item in encoded for choice in item.choices)
        work[kind] = {"read": sum(len(item.context) for item in encoded) + rest, "predicted": len(items) + rest}
    embedding: int = model.get_output_embeddings().weight.numel()
    return {
        "parameters": model.num_parameters(),
        "vocabulary": model.get_output_embeddings().weight.shape[0],
        "flops_a_token": 2 * (model.num_parameters() - embedding),
        "flops_a_prediction": 2 * embedding,
        "work": work,
        "machine": describe(arguments.device),
        "matmul_rate": matmul_rate(arguments.device, arguments.dtype),
    }


def prepare(arguments: argparse.Namespace) -> dict[str, Any]:
    """A random model, a tokenizer for random words, and questions, in the folder; what there is to tell of them."""
    import torch
    from transformers import LlamaConfig
    from transformers.models.auto.modeling_auto import AutoModelForCausalLM

    from benchmarks.machine import describe, matmul_rate
    from benchmarks.made_up import MadeUpTexts

    torch.set_num_threads(arguments.threads)
    shape = SHAPES[arguments.shape]
    texts = MadeUpTexts(min(shape["vocab_size"], 32000), 2048)
    draw, work = texts.draw, {}
    for kind in CHOICES:
        questions: list[_Question] = []
        read = predicted = 0
        for i in range(arguments.items):
            lengths = [1 if kind == "one" else draw.randint(*CHOICE_TOKENS) for _ in range(4)]
            context_tokens = draw.randint(*PROMPT_TOKENS)
            choices = [f" {word}" for word in draw.sample(texts.single, 4)]
            if kind == "many":
                choices = [texts.text(length) for length in lengths]
            questions.append({"id": str(i), "context": texts.text(context_tokens)[1:], "choices": choices})
            # Each context, and the token that begins it, once; of a choice all but the last token.
            read += 1 + context_tokens + sum(lengths) - 4
            predicted += 1 + sum(lengths) - 4
        (arguments.folder / f"{kind}.json").write_text(json.dumps(questions))
        work[kind] = {"read": read, "predicted": predicted}

    torch.manual_seed(0)
    config = LlamaConfig(**shape, max_position_embeddings=2048, tie_word_embeddings=True)
    with torch.device(arguments.device):
        model: Any = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, arguments.dtype))
    model.save_pretrained(arguments.folder)
    texts.tokenizer.save_pretrained(arguments.folder)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    del model
    embedding = shape["vocab_size"] * shape["hidden_size"]
    facts = {
        "parameters": parameters,
        "vocabulary": shape["vocab_size"],
        "flops_a_token": 2 * (parameters - embedding),
        "flops_a_prediction": 2 * embedding,
        "work": work,
        "machine": describe(arguments.device),
        "matmul_rate": matmul_rate(arguments.device, arguments.dtype),
    }
    if arguments.device == "cuda":
        torch.cuda.empty_cache()
    return facts


def run_contender(arguments: argparse.Namespace, name: str) -> dict[str, dict[str, Any]] | None:
    """A contender's results by kind of choices, from a process of its own; None where it broke."""
    command = [
        sys.executable, "-m", "benchmarks.bench_scoring", "--contender", name, "--folder", str(arguments.folder),
        "--device", arguments.device, "--dtype", arguments.dtype, "--threads", str(arguments.threads),
        "--repeats", str(arguments.repeats),
    ]  # fmt: skip
    if arguments.checkpoint:
        command += ["--checkpoint", str(arguments.checkpoint)]
    quiet = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": str(arguments.threads > 1).lower()}
    print(f"{name} ...", file=sys.stderr, flush=True)
    process = subprocess.run(command, env=os.environ | quiet, stdout=subprocess.PIPE, check=False)
    if process.returncode:
        return None
    results: dict[str, dict[str, Any]] = json.loads(process.stdout.splitlines()[-1])
    for kind, found in results.items():
        print(f"{name}, {kind}: {found['items'] / found['seconds']:.2f} items/s", file=sys.stderr, flush=True)
    return results


def contend(arguments: argparse.Namespace) -> None:
    """One contender: prints its results as JSON, by kind of choices."""
    import torch

    from benchmarks.machine import PeakMemory, wait

    torch.set_num_threads(arguments.threads)
    name, _, batch_size = arguments.contender.partition(" ")
    score = ours(arguments) if name == OURS else theirs(arguments, name, int(batch_size))
    results = {}
    for kind in _kinds(arguments):
        questions: list[_Question] = json.loads((arguments.folder / f"{kind}.json").read_text())
        score(questions[:4])
        memory = PeakMemory(arguments.device)
        seconds, cpu_seconds = float("inf"), float("inf")
        for _ in range(arguments.repeats):
            started, cpu_started = time.perf_counter(), time.process_time()
            logprobs = score(questions)
            wait(arguments.device)
            seconds = min(seconds, time.perf_counter() - started)
            cpu_seconds = min(cpu_seconds, time.process_time() - cpu_started)
        results[kind] = {
            "items": len(questions), "seconds": seconds, "cpu_seconds": cpu_seconds, "bytes": memory.grown(),
            "logprobs": logprobs,
        }  # fmt: skip
    print(json.dumps(results))


def ours(arguments: argparse.Namespace) -> Callable[[Sequence[_Question]], list[list[float]]]:
    """Our scorer, loaded."""
    from compute.language_models.loading import load_model
    from compute.language_models.scoring import score_items
    from compute.tasks.task import Item

    model, tokenizer = load_model(_model_folder(arguments), dtype=arguments.dtype, device=arguments.device)

    def score(questions: Sequence[_Question]) -> list[list[float]]:
        items = [
            Item(question["id"], None, question["context"], tuple(question["choices"]), 0) for question in questions
        ]
        return [scored.logprobs for scored in score_items(model, tokenizer, items, device=arguments.device)]

    return score


def theirs(
    arguments: argparse.Namespace, name: str, batch_size: int
) -> Callable[[Sequence[_Question]], list[list[float]]]:
    """The scorer of lm-evaluation-harness, or its stand-in, loaded."""
    scorer = open_scorer(name, _model_folder(arguments), arguments.device, arguments.dtype, batch_size)

    def score(questions: Sequence[_Question]) -> list[list[float]]:
        answers = iter(
            scorer([(question["context"], choice) for question in questions for choice in question["choices"]])
        )
        return [[next(answers)[0] for _ in question["choices"]] for question in questions]

    return score


def print_table(text: str, facts: dict[str, Any], work: dict[str, int], results: dict[str, dict[str, Any]]) -> None:
    """One kind of choices: every contender, then ours against the best of the others.

    The share of the matmul rate counts matrix products of tokens that must be read, each context once.
    """
    flops = work["read"] * facts["flops_a_token"] + work["predicted"] * facts["flops_a_prediction"]
    own = results.get(OURS)
    print(f"\n{text[0].upper()}{text[1:]}:\n")
    print("| contender | items/s | items/CPU s | GiB beyond the model | of matmul rate | largest difference to ours |")
    print("|---|---|---|---|---|---|")
    for name, result in results.items():
        part, _, size = name.partition(" ")
        title = f"{TITLES[part]}, batch {size}" if size else name
        print(
            f"| {title} | {result['items'] / result['seconds']:.2f} | {result['items'] / result['cpu_seconds']:.2f} | "
            f"{result['bytes'] / 2**30:.2f} | {flops / result['seconds'] / facts['matmul_rate']:.1%} | "
            f"{largest_difference(own, result)} |"
        )
    for part in (LM_EVAL, STAND_IN):
        others = {name: result for name, result in results.items() if name.startswith(part)}
        if own and others:
            best = min(others, key=lambda name: others[name]["seconds"])
            print(
                f"\nOurs against {TITLES[part]} at its best: {others[best]['seconds'] / own['seconds']:.1f} times the "
                f"items a second ({min(r['cpu_seconds'] for r in others.values()) / own['cpu_seconds']:.1f} times by "
                "CPU time)."
            )


def largest_difference(own: dict[str, Any] | None, other: dict[str, Any]) -> str:
    """Of two log-probabilities; nothing where there are none to compare with."""
    if own is None or own is other:
        return ""
    pairs = zip(own["logprobs"], other["logprobs"], strict=True)
    return f"{max(abs(x - y) for one, two in pairs for x, y in zip(one, two, strict=True)):.1e}"


if __name__ == "__main__":
    main()
