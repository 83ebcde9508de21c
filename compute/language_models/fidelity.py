"""What a tokenizer or a chat template does to a text unasked: adds, drops, or has no vector for. Refused with a line
that says so, or set right, before anything is scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

_LOOKED_AT = 200
"""Texts of a list that are decoded again; evenly spread, so that the same ones are looked at each time."""


def added_at_the_end(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Return the tokens that the tokenizer puts after every text, as one with `add_eos_token` does; normally none.

    Left in place, they would stand between a context and its answer.
    """
    encoded = tokenizer("a", return_special_tokens_mask=True, verbose=False)
    ids, added = list(encoded["input_ids"]), list(encoded["special_tokens_mask"])
    if all(added):
        return []
    last = max(place for place, is_added in enumerate(added) if not is_added)
    return ids[last + 1 :]


def vectors(model: PreTrainedModel) -> int:
    """Return how many tokens the model has a vector for, as input and as output."""
    embeddings: Any = model.get_input_embeddings()  # type: ignore[no-untyped-call]
    output: Any = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    known = len(embeddings.weight)
    # Of a quantized layer what it says of itself; of others the weight: PEFT says another thing of one that it tied.
    weight = getattr(output, "weight", None)
    if isinstance(weight, Tensor) and weight.dim() == 2 and weight.is_floating_point():
        return min(known, len(weight))
    return min(known, getattr(output, "out_features", known))


def check_vectors(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, label: str, ids: Sequence[int]) -> None:
    """Raises ValueError, naming the text by `label`, for a token that the model has no vector for."""
    known = vectors(model)
    if not ids or max(ids) < known:
        return
    token = next(token for token in ids if token >= known)
    raise ValueError(
        f"{label}: its token {tokenizer.convert_ids_to_tokens(token)!r} is number {token} and the model has vectors "
        f"for {known}: tokens were added to the tokenizer and not to the model; take the tokenizer that belongs to it, "
        "or call `resize_token_embeddings` and train the new vectors"
    )


def check_letters(
    tokenizer: PreTrainedTokenizerBase, what: str, labels: Sequence[str], texts: Sequence[str], ids: Sequence[list[int]]
) -> None:
    """Refuse texts of which the tokenizer keeps less than half: a script that it does not know.

    Letters and digits are counted, so that spaces, signs and marks may be normalized away.

    Args:
        tokenizer: the model's.
        what: the texts are, for the error.
        labels: of the items they belong to.
        texts: as they should be.
        ids: as they are tokens.

    Raises:
        ValueError: with the share that is kept, and the text that loses most.
    """
    step = max(1, len(texts) // _LOOKED_AT)
    kept = [[token for token in row if token != tokenizer.unk_token_id] for row in ids[::step]]
    wanted = [_letters(text) for text in texts[::step]]
    found = [min(_letters(text), most) for text, most in zip(tokenizer.batch_decode(kept), wanted, strict=True)]
    if 2 * sum(found) < sum(wanted):
        lost = [most - some for most, some in zip(wanted, found, strict=True)]
        worst = lost.index(max(lost)) * step
        becomes = " ".join(map(str, tokenizer.convert_ids_to_tokens(ids[worst][:8])))
        share, example = 100 * sum(found) / sum(wanted), texts[worst].strip()[:40]
        raise ValueError(
            f"the tokenizer keeps {share:.0f} % of the letters of these {what} ({labels[worst]}: {example!r} becomes "
            f"{becomes!r}): it does not know their script; take a model that does"
        )


def _letters(text: str) -> int:
    return sum(map(str.isalnum, text))


def left_out(messages: Sequence[Mapping[str, Any]], text: str) -> Mapping[str, Any] | None:
    """Return the first message whose content is not in the rendered text, white space apart; None if all are there."""
    rendered = "".join(text.split())
    return next((m for m in messages if "".join(m["content"].split()) not in rendered), None)
