"""Scoring items of four choices against lm-evaluation-harness's `hf` backend: the same model, items and results.

    python -m benchmarks.bench_scoring                                   # 13 M parameters on the CPU
    python -m benchmarks.bench_scoring --device cuda --shape llama-3.2-1b --dtype bfloat16

The model and the text are random, prompts have 100 to 300 tokens. Each contender runs in a process of its own, from
texts to log-likelihoods, loading left out; the harness at several batch sizes, of which the best counts. Prints
Markdown tables, as in benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

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

_Question = dict[str, Any]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=sorted(ITEMS), default="cpu")
    parser.add_argument("--shape", choices=sorted(SHAPES), default="13m")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--items", type=int, help="of each kind; 64 on a CPU, 1024 on a GPU")
    parser.add_argument("--repeats", type=int, default=3, help="runs, of which the quickest counts")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--batch-sizes", type=int, nargs="+", help="the harness's")
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.items = arguments.items or ITEMS[arguments.device]
    arguments.batch_sizes = arguments.batch_sizes or BATCH_SIZES[arguments.device]
    if arguments.contender:
        contend(arguments)
        return
    with tempfile.TemporaryDirectory(prefix="bench-scoring-") as folder:
        arguments.folder = Path(folder)
        facts = prepare(arguments)
        load = os.getloadavg()[0]
        names = ["ours"]
        if find_spec("lm_eval") is None:
            print("lm-eval is not installed: ours alone", file=sys.stderr)
        else:
            names += [f"lm-eval {size}" for size in arguments.batch_sizes]
        results = {name: run_contender(arguments, name) for name in names}
    print(
        f"{facts['parameters'] / 1e6:.1f} M parameters, vocabulary {facts['vocabulary']}, {arguments.dtype}, "
        f"{facts['device']}, {arguments.threads} threads, load before {load:.1f}; {arguments.items} items of each kind"
    )
    for kind, text in CHOICES.items():
        print_table(kind, text, facts, {name: result[kind] for name, result in results.items()})


def prepare(arguments: argparse.Namespace) -> dict[str, Any]:
    """A random model, a tokenizer for random words, and questions, in the folder; what there is to tell of them."""
    import torch
    from transformers import LlamaConfig
    from transformers.models.auto.modeling_auto import AutoModelForCausalLM

    from compute.language_models.tokenizer import train_tokenizer

    shape = SHAPES[arguments.shape]
    draw = random.Random(0)
    syllables = [consonant + vowel for consonant in "bcdfghjklmnpqrstvwz" for vowel in "aeiou"]
    words = sorted({"".join(draw.choices(syllables, k=draw.randint(1, 4))) for _ in range(30000)})
    documents = [" ".join(draw.sample(words, 50)) for _ in range(1500)]
    tokenizer = train_tokenizer(documents, min(shape["vocab_size"], 32000), 2048)
    lengths = [len(ids) - 1 for ids in tokenizer([f" {word}" for word in words])["input_ids"]]

    def text(most_tokens: int) -> str:
        chosen: list[str] = []
        while True:
            i = draw.randrange(len(words))
            most_tokens -= lengths[i]
            if most_tokens < 0 and chosen:
                return " ".join(chosen)
            chosen.append(words[i])

    single = [word for word, length in zip(words, lengths, strict=True) if length == 1]
    for kind in CHOICES:
        questions = []
        for i in range(arguments.items):
            choices = draw.sample(single, 4)
            if kind == "many":
                choices = [text(draw.randint(*CHOICE_TOKENS)) for _ in range(4)]
            questions.append({"id": str(i), "context": text(draw.randint(*PROMPT_TOKENS)), "choices": choices})
        (arguments.folder / f"{kind}.json").write_text(json.dumps(questions))

    torch.manual_seed(0)
    config = LlamaConfig(**shape, max_position_embeddings=2048, tie_word_embeddings=True)
    dtype = getattr(torch, arguments.dtype)
    model: Any = AutoModelForCausalLM.from_config(config, dtype=dtype)
    model.save_pretrained(arguments.folder)
    tokenizer.save_pretrained(arguments.folder)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    embedding = shape["vocab_size"] * shape["hidden_size"]
    return {
        "parameters": parameters,
        "vocabulary": shape["vocab_size"],
        "flops_a_token": 2 * (parameters - embedding),
        "flops_a_prediction": 2 * embedding,
        "device": torch.cuda.get_device_name() if arguments.device == "cuda" else "CPU",
        "matmul_rate": matmul_rate(arguments.device, dtype, arguments.threads),
    }


def matmul_rate(device: str, dtype: Any, threads: int) -> float:
    """Floating-point operations a second of large square matrix products, the best of many."""
    import torch

    torch.set_num_threads(threads)
    n = 8192 if device == "cuda" else 1024
    a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
    best = float("inf")
    for _ in range(20):
        started = time.perf_counter()
        a @ b
        if device == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - started)
    return 2 * n**3 / best


def run_contender(arguments: argparse.Namespace, name: str) -> dict[str, dict[str, Any]]:
    """A contender's results by kind of choices, from a process of its own."""
    command = [
        sys.executable, "-m", "benchmarks.bench_scoring", "--contender", name, "--folder", str(arguments.folder),
        "--device", arguments.device, "--dtype", arguments.dtype, "--threads", str(arguments.threads),
        "--repeats", str(arguments.repeats),
    ]  # fmt: skip
    quiet = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": str(arguments.threads > 1).lower()}
    print(f"{name} ...", file=sys.stderr, flush=True)
    output = subprocess.run(command, env=os.environ | quiet, stdout=subprocess.PIPE, check=True).stdout
    results: dict[str, dict[str, Any]] = json.loads(output.splitlines()[-1])
    return results


def contend(arguments: argparse.Namespace) -> None:
    """One contender: prints its results as JSON, by kind of choices."""
    import torch

    torch.set_num_threads(arguments.threads)
    name, _, batch_size = arguments.contender.partition(" ")
    score = ours(arguments) if name == "ours" else harness(arguments, int(batch_size))
    results = {}
    for kind in CHOICES:
        questions: list[_Question] = json.loads((arguments.folder / f"{kind}.json").read_text())
        score(questions[:4])
        memory = PeakMemory(arguments.device)
        seconds, cpu_seconds = float("inf"), float("inf")
        for _ in range(arguments.repeats):
            started, cpu_started = time.perf_counter(), time.process_time()
            logprobs = score(questions)
            seconds = min(seconds, time.perf_counter() - started)
            cpu_seconds = min(cpu_seconds, time.process_time() - cpu_started)
        results[kind] = {
            "items": len(questions), "seconds": seconds, "cpu_seconds": cpu_seconds, "bytes": memory.grown(),
            "logprobs": logprobs, **(tokens_needed(arguments, questions) if name == "ours" else {}),
        }  # fmt: skip
    print(json.dumps(results))


def ours(arguments: argparse.Namespace) -> Callable[[Sequence[_Question]], list[list[float]]]:
    """Our scorer, loaded."""
    from compute.language_models.loading import load_model
    from compute.language_models.scoring import score_items
    from compute.tasks.task import Item

    model, tokenizer = load_model(arguments.folder, dtype=arguments.dtype, device=arguments.device)

    def score(questions: Sequence[_Question]) -> list[list[float]]:
        items = [
            Item(question["id"], None, question["context"], tuple(f" {choice}" for choice in question["choices"]), 0)
            for question in questions
        ]
        return [scored.logprobs for scored in score_items(model, tokenizer, items, device=arguments.device)]

    return score


def harness(arguments: argparse.Namespace, batch_size: int) -> Callable[[Sequence[_Question]], list[list[float]]]:
    """lm-evaluation-harness's scorer, loaded."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    model = HFLM(
        pretrained=str(arguments.folder), device=arguments.device, dtype=arguments.dtype, batch_size=batch_size
    )

    def score(questions: Sequence[_Question]) -> list[list[float]]:
        requests = [
            Instance("loglikelihood", {}, (question["context"], f" {choice}"), i)
            for question in questions
            for i, choice in enumerate(question["choices"])
        ]
        answers = iter(model.loglikelihood(requests, disable_tqdm=True))
        return [[next(answers)[0] for _ in question["choices"]] for question in questions]

    return score


def tokens_needed(arguments: argparse.Namespace, questions: Sequence[_Question]) -> dict[str, int]:
    """Tokens that must be read, each context once, and places where something is predicted."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(arguments.folder)
    read = predicted = 0
    for question in questions:
        context = len(tokenizer(question["context"])["input_ids"])
        rest = [
            len(tokenizer(f"{question['context']} {choice}")["input_ids"]) - context - 1
            for choice in question["choices"]
        ]
        read += context + sum(rest)
        predicted += 1 + sum(rest)
    return {"read": read, "predicted": predicted}


class PeakMemory:
    """Bytes that a process needs beyond those it has now: of the GPU, else of the machine."""

    def __init__(self, device: str) -> None:
        self.device = device
        if device == "cuda":
            import torch

            torch.cuda.reset_peak_memory_stats()
            self.before = torch.cuda.memory_allocated()
        else:
            # Starts the kernel's record of the peak anew.
            Path("/proc/self/clear_refs").write_text("5")
            self.before = self._status("VmRSS")

    def grown(self) -> int:
        """The peak since then, less what there was."""
        if self.device == "cuda":
            import torch

            return int(torch.cuda.max_memory_allocated()) - self.before
        return self._status("VmHWM") - self.before

    def _status(self, name: str) -> int:
        found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
        return 1024 * (int(found[1]) if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def print_table(kind: str, text: str, facts: dict[str, Any], results: dict[str, dict[str, Any]]) -> None:
    """One kind of choices: every contender, then ours against the best of the others."""
    own = results["ours"]
    print(f"\n{text[0].upper()}{text[1:]}:\n")
    print("| contender | items/s | items/CPU s | GiB beyond the model | largest difference to ours |")
    print("|---|---|---|---|---|")
    for name, result in results.items():
        pairs = zip(own["logprobs"], result["logprobs"], strict=True)
        difference = max(abs(x - y) for one, other in pairs for x, y in zip(one, other, strict=True))
        print(
            f"| {name} | {result['items'] / result['seconds']:.2f} | {result['items'] / result['cpu_seconds']:.2f} | "
            f"{result['bytes'] / 2**30:.2f} | {difference:.1e} |"
        )
    others = {name: result for name, result in results.items() if name != "ours"}
    flops = own["read"] * facts["flops_a_token"] + own["predicted"] * facts["flops_a_prediction"]
    if others:
        best = min(others, key=lambda name: others[name]["seconds"])
        print(
            f"\nOurs against {best}: {others[best]['seconds'] / own['seconds']:.1f} times the items a second "
            f"({min(r['cpu_seconds'] for r in others.values()) / own['cpu_seconds']:.1f} times by CPU time)."
        )
    print(
        f"\nOurs: {100 * flops / own['seconds'] / facts['matmul_rate']:.0f} % of the measured matmul rate "
        f"({facts['matmul_rate'] / 1e9:.0f} GFLOP/s), counting matrix products of tokens that must be read."
    )


if __name__ == "__main__":
    main()
