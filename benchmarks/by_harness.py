"""Log-likelihoods by lm-evaluation-harness's `hf` backend, and by a stand-in where it is not installed.

The stand-in does with transformers alone what the backend does: every choice is a row of its own after its context
(rows that read the same tokens are one, so that choices of one token share theirs), the longest rows first, padded to
the longest of a batch, logits at every position, a log-softmax over all of them in the model's dtype, and then row by
row the answer's sum and whether it is the greedy one. What the harness does around that is left out: building of tasks
and requests, results, metrics.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

Pair = tuple[str, str]
"""A context and what follows it."""

Scorer = Callable[[Sequence[Pair]], list[tuple[float, bool]]]
"""Log-probability of each continuation, and whether it is what the model finds likeliest."""

LM_EVAL, STAND_IN = "lm-eval", "stand-in"
TITLES = {LM_EVAL: "lm-eval", STAND_IN: "stand-in for lm-eval (plain transformers)"}


def installed_harness() -> str:
    """The harness, else its stand-in."""
    return LM_EVAL if find_spec("lm_eval") else STAND_IN


def open_scorer(name: str, folder: Path, device: str, dtype: str, batch_size: int) -> Scorer:
    """The scorer of that name with the model in the folder, loaded."""
    return {LM_EVAL: _lm_eval, STAND_IN: StandIn}[name](folder, device, dtype, batch_size)


def _lm_eval(folder: Path, device: str, dtype: str, batch_size: int) -> Scorer:
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    model = HFLM(pretrained=str(folder), device=device, dtype=dtype, batch_size=batch_size)

    def score(pairs: Sequence[Pair]) -> list[tuple[float, bool]]:
        requests = [Instance("loglikelihood", {}, pair, i) for i, pair in enumerate(pairs)]
        answers: list[tuple[float, bool]] = model.loglikelihood(requests, disable_tqdm=True)
        return answers

    return score


class StandIn:
    """See the module."""

    def __init__(self, folder: Path, device: str, dtype: str, batch_size: int) -> None:
        from transformers import AutoTokenizer
        from transformers.models.auto.modeling_auto import AutoModelForCausalLM

        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype))
        self.model = model.to(device).eval()
        self.batch_size = batch_size

    @torch.no_grad()
    def __call__(self, pairs: Sequence[Pair]) -> list[tuple[float, bool]]:
        asked: dict[tuple[int, ...], list[tuple[int, list[int]]]] = {}
        for i, pair in enumerate(pairs):
            before, answer = self._encode(*pair)
            asked.setdefault(tuple((before + answer)[:-1]), []).append((i, answer))
        answers = [(0.0, False)] * len(pairs)
        rows = sorted(asked, key=len, reverse=True)
        for start in range(0, len(rows), self.batch_size):
            batch = rows[start : start + self.batch_size]
            for row, logprobs in zip(batch, self._read(batch), strict=True):
                for i, answer in asked[row]:
                    answers[i] = _judge(logprobs[len(row) - len(answer) : len(row)], answer)
        return answers

    def _encode(self, context: str, answer: str) -> tuple[list[int], list[int]]:
        bare = context.rstrip()
        before = self.tokenizer(bare)["input_ids"]
        return before, self.tokenizer(bare + context[len(bare) :] + answer)["input_ids"][len(before) :]

    def _read(self, rows: Sequence[tuple[int, ...]]) -> Tensor:
        """Log-probabilities [rows, positions, vocabulary]."""
        ids = torch.zeros(len(rows), len(rows[0]), dtype=torch.long)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = torch.tensor(row)
        return self.model(ids.to(self.model.device)).logits.log_softmax(-1)


def _judge(logprobs: Tensor, answer: list[int]) -> tuple[float, bool]:
    tokens = torch.tensor(answer, device=logprobs.device)
    greedy = bool((logprobs.argmax(-1) == tokens).all())
    return float(logprobs.gather(-1, tokens[:, None]).sum()), greedy
