"""Greedy generation of one text at a time by transformers' own `generate`, as lm-evaluation-harness calls it.

It follows whatever the model's generation settings ask for (bans of n-grams, beams, biases, forced tokens), and keeps
the state of models that are not attention alone as they need it. `in_batches` says which models and settings allow the
batches of `compute.language_models.generation`, which are faster and equal.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase, StoppingCriteria

from compute.language_models.regimes import reads_alone
from compute.language_models.stored_reading import OWN_MASK, WITHOUT_EFFECT

_BY_THE_MASK = frozenset({"bloom", "mpt"})
"""Families that take no positions and read them off the mask (ALiBi, Press et al., arXiv 2108.12409)."""


def in_batches(model: PreTrainedModel, settings: Mapping[str, Any]) -> bool:
    """Return whether texts of unlike lengths may be generated together, padded on the left, over a cache of attention.

    Not where the model has a state besides attention, or layers that go by the place of a token in the row; nor where
    its generation settings, or `settings` of the task, ask for more than the most likely token.
    """
    return not (settings or _altering(model.generation_config)) and _takes_padding(model)


def _altering(config: GenerationConfig | None) -> set[str]:
    """Return names of the settings by which a greedy text may differ from that of the most likely tokens."""
    names = () if config is None else config.to_diff_dict()
    return {name for name in names if not name.startswith("_")} - WITHOUT_EFFECT


def _takes_padding(model: PreTrainedModel) -> bool:
    config = model.config.get_text_config(decoder=True)
    arguments = inspect.signature(type(model).forward).parameters
    return (
        type(model).__module__.startswith("transformers.")
        and "past_key_values" in arguments
        and ("position_ids" in arguments or model.config.model_type in _BY_THE_MASK)
        and not getattr(model, "_is_stateful", False)
        and not reads_alone(model)
        and set(getattr(config, "layer_types", None) or ()) <= OWN_MASK
    )


class _Stop(StoppingCriteria):
    """Ends when a text has appeared among the last tokens; of several beams the first is looked at."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, text: str, start: int) -> None:
        self.tokenizer, self.text, self.start = tokenizer, text, start
        self.tail = len(tokenizer.encode(text, add_special_tokens=False)) + 2

    def __call__(self, input_ids: Any, scores: Any, **others: Any) -> Any:
        done = self.text in self.tokenizer.decode(input_ids[0, self.start :][-self.tail :])
        return torch.full((len(input_ids),), done, device=input_ids.device)


def generate_one(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    context: Sequence[int],
    stop: Sequence[str],
    max_new_tokens: int,
    settings: Mapping[str, Any],
) -> list[int]:
    """Return the tokens that follow `context`, with what ended them.

    Args:
        model: in evaluation mode.
        tokenizer: the model's.
        context: token ids, at least one.
        stop: texts that end the answer; the tokenizer's end-of-text token ends it as well.
        max_new_tokens: the longest answer, unless the model's generation settings say otherwise.
        settings: of the task, for `generate`.

    Raises:
        ValueError: transformers refuses to generate with these settings.
    """
    ids = torch.tensor([list(context)], device=model.device)
    end = "" if tokenizer.eos_token_id is None else str(tokenizer.decode(tokenizer.eos_token_id))
    texts = [text for text in dict.fromkeys((*stop, end)) if text]
    try:
        rows: Any = model.generate(  # type: ignore[operator]
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            stopping_criteria=[_Stop(tokenizer, text, len(context)) for text in texts],
            pad_token_id=tokenizer.pad_token_id,
            use_cache=True,
            **{"do_sample": False, "max_length": len(context) + max_new_tokens, **settings},
        )
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # of whatever the settings lead to
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ValueError(f"transformers cannot generate with this model and its settings: {reason}") from error
    new: list[int] = rows[0, len(context) :].tolist()
    return new
