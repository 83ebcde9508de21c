"""Items as tokens, cut where lm-evaluation-harness cuts them (`TemplateLM._encode_pair`, `HFLM.tok_encode`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jinja2 import TemplateError
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from compute.language_models.fidelity import added_at_the_end, check_letters, check_vectors, left_out
from compute.tasks.task import Item


@dataclass(frozen=True)
class Encoding:
    """How texts become tokens.

    Attributes:
        chat_template: an item's messages, or else its context as a user's message, are put in the tokenizer's chat
            template, which then asks for the assistant's answer; answers follow it without the delimiter that parts
            them from a plain context.
        truncate: a context too long for the model loses its beginning; else it is an error.
    """

    chat_template: bool = False
    truncate: bool = False


_CLOCK = (
    "{%- macro strftime_now(format) -%}{{ format | replace('%d', '26') | replace('%b', 'Jul') | replace('%B', 'July')"
    " | replace('%m', '07') | replace('%Y', '2024') }}{%- endmacro %}"
)
"""Today, to a chat template: 26 July 2024, which Llama 3's falls back to where there is no clock. A score that depended
on the day could not be computed again; lm-evaluation-harness agrees if given the date as `date_string`."""

PLAIN = Encoding()
"""Contexts as they are; too long is an error."""


@dataclass(frozen=True)
class EncodedItem:
    """Token ids of an item's context, and of each choice after it.

    Attributes:
        context: what of the context fits before the longest choice.
        choices: each choice's own tokens, at least one.
        truncated: tokens of the context that were cut off to make it fit; 0 normally.
        spare: the last of the tokens cut off, for which there is room before shorter choices; empty normally.
    """

    context: list[int]
    choices: list[list[int]]
    truncated: int = 0
    spare: tuple[int, ...] = ()

    @property
    def longest(self) -> int:
        """Tokens of the context and its longest choice."""
        return len(self.context) + max(map(len, self.choices))

    def context_of(self, choice: int) -> list[int]:
        """Return what of the context fits before that choice: lm-evaluation-harness cuts each choice's context for
        itself."""
        room = max(map(len, self.choices)) - len(self.choices[choice])
        return [*self.spare[max(0, len(self.spare) - room) :], *self.context]


def encode_items(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    items: Sequence[Item],
    encoding: Encoding = PLAIN,
) -> list[EncodedItem]:
    """Return the items as tokens, the same as in lm-evaluation-harness.

    Spaces that end the context move to the choices; a choice's tokens are those of context and choice together from
    the context's number of tokens on. An empty context is the tokenizer's beginning-of-text token, or else its
    end-of-text token. A model that takes n tokens scores n + 1, since the last one is only predicted. Tokens that the
    tokenizer puts after every text are left out, as they would stand between context and choice.

    Raises:
        ValueError: a choice of no tokens, or one too long for the model; a context too long, unless it is to be
            truncated; a tokenizer without chat template where one is asked for, or without a token to begin with; a
            token that the model has no vector for; texts in a script that the tokenizer does not know.
    """
    if not items:
        return []
    contexts = render_contexts(tokenizer, items, encoding)
    kept = [context.rstrip() for context in contexts]
    pairs = [
        (context, choice)
        for item, context in zip(items, contexts, strict=True)
        for choice in (item.chat_choices if encoding.chat_template else item.choices)
    ]
    context_ids = tokenize(tokenizer, kept)
    whole_ids = iter(tokenize(tokenizer, [context + choice for context, choice in pairs], [c == "" for c, _ in pairs]))
    limit = context_limit(model, tokenizer)
    encoded = []
    for item, text, ids in zip(items, contexts, context_ids, strict=True):
        wholes = [next(whole_ids) for _ in item.choices]
        if text:
            choices = [whole[len(ids) :] for whole in wholes]
            ids = ids or [first_token(tokenizer)]
        else:
            first = first_token(tokenizer)
            ids, choices = [first], [whole[1:] if whole[:1] == [first] else whole for whole in wholes]
        if not all(choices):
            empty = item.choices[choices.index([])]
            raise ValueError(f"{item.label}: choice {empty!r} has no tokens of its own")
        check_vectors(model, tokenizer, item.label, [token for part in (ids, *choices) for token in part])
        encoded.append(_fit(item, ids, choices, limit, encoding))
    labels = [item.label for item in items]
    check_letters(tokenizer, "contexts", labels, kept, context_ids)
    golds = [one.choices[item.gold] for item, one in zip(items, encoded, strict=True)]
    check_letters(tokenizer, "answers", labels, [item.choices[item.gold] for item in items], golds)
    return encoded


def _fit(
    item: Item, context: list[int], choices: list[list[int]], limit: int | None, encoding: Encoding
) -> EncodedItem:
    """Return the item, its context cut if it must and may be."""
    longest, shortest = max(map(len, choices)), min(map(len, choices))
    if limit is None or len(context) + longest <= limit + 1:
        return EncodedItem(context, choices)
    if longest > limit:
        raise ValueError(f"{item.label}: a choice of {longest} tokens, and the model takes {limit}")
    if not encoding.truncate:
        raise ValueError(
            f"{item.label}: {len(context)} tokens of context and {longest} of its longest choice, and the model "
            f"takes {limit}; with `truncate: true` the context's beginning is cut off"
        )
    cut = len(context) + longest - limit - 1
    spare = context[max(0, cut - (longest - shortest)) : cut]
    return EncodedItem(context[cut:], choices, cut, tuple(spare))


def render_contexts(tokenizer: PreTrainedTokenizerBase, items: Sequence[Item], encoding: Encoding) -> list[str]:
    """Return the items' contexts as text: as they are, or in the tokenizer's chat template.

    A template that writes today's date, as Llama 3.2's does, writes the same one every day. One that refuses a system's
    message, as Gemma 2's does, gets the others only, as in lm-evaluation-harness. One that leaves a message out without
    a word, as those do that expect a list of parts, is given lists of parts.

    Raises:
        ValueError: a chat template is asked for and the tokenizer has none, or it refuses a message or leaves it out.
    """
    if not encoding.chat_template:
        return [item.context for item in items]
    require_chat_template(tokenizer)
    template = str(tokenizer.get_chat_template())
    if "strftime_now" in template:
        template = _CLOCK + template
    texts = []
    for item in items:
        messages = [{"role": role, "content": text} for role, text in item.chat or (("user", item.context),)]
        begun = messages[-1]["role"] == "assistant"
        try:
            try:
                text = _rendered(tokenizer, template, messages, begun)
            except TemplateError:
                if messages[0]["role"] != "system":
                    raise
                text = _rendered(tokenizer, template, messages[1:], begun)
        except TemplateError as error:
            raise ValueError(f"{item.label}: the tokenizer's chat template refuses it: {error}") from error
        except ValueError as error:
            raise ValueError(f"{item.label}: {error}") from error
        texts.append(text)
    return texts


def _rendered(tokenizer: PreTrainedTokenizerBase, template: str, messages: list[dict[str, str]], begun: bool) -> str:
    """Return the chat up to the answer; `begun`: the last message is the answer's beginning.

    Raises:
        TemplateError: the template refuses a message.
        ValueError: it leaves one out.
    """
    text = _render(tokenizer, template, messages, begun)
    missing = left_out(messages, text)
    if missing is None:
        return text
    in_parts = [{**message, "content": [{"type": "text", "text": message["content"]}]} for message in messages]
    try:
        again = _render(tokenizer, template, in_parts, begun)
    except (TemplateError, TypeError, AttributeError):
        again = ""
    if left_out(messages, again) is None:
        return again
    raise ValueError(
        f"the tokenizer's chat template leaves out the {missing['role']}'s message {missing['content'][:60]!r}; set "
        "`chat_template: false`, or mend the template"
    )


def _render(tokenizer: PreTrainedTokenizerBase, template: str, messages: Sequence[Any], begun: bool) -> str:
    text = tokenizer.apply_chat_template(
        list(messages),
        chat_template=template,
        tokenize=False,
        add_generation_prompt=not begun,
        continue_final_message=begun,
    )
    return str(text)


def require_chat_template(tokenizer: PreTrainedTokenizerBase) -> None:
    """Raises ValueError, with what to do, if the tokenizer has no chat template."""
    if not tokenizer.chat_template:
        raise ValueError(
            "a chat template is asked for and the tokenizer has none; set `chat_template: false`, or take the "
            "model's instruction-tuned version"
        )


def tokenize(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], bare: Sequence[bool] | None = None
) -> list[list[int]]:
    """Token ids of each text, with the special tokens that the tokenizer adds.

    None are added where `bare` says so, nor to a text that begins with the first token already, as chat templates
    write it; and none after the text.
    """
    first, last = _decoded_first_token(tokenizer), added_at_the_end(tokenizer)
    plain = [first is not None and text.startswith(first) for text in texts]
    if bare is not None:
        plain = [one or other for one, other in zip(plain, bare, strict=True)]
    ids: list[list[int]] = [[] for _ in texts]
    for is_plain in (False, True):
        chosen = [i for i, value in enumerate(plain) if value is is_plain]
        if chosen:
            # Not verbose: a text beyond the model's limit is dealt with here.
            encoded = tokenizer([texts[i] for i in chosen], add_special_tokens=not is_plain, verbose=False)
            for i, row in zip(chosen, encoded["input_ids"], strict=True):
                ends_so = last and not is_plain and row[-len(last) :] == last
                ids[i] = list(row[: -len(last)] if ends_so else row)
    return ids


def first_token(tokenizer: PreTrainedTokenizerBase) -> int:
    """Return what an empty context is: the token that begins a text, or else the one that ends it."""
    token = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    if token is None:
        raise ValueError("the tokenizer has neither a beginning-of-text nor an end-of-text token to begin with")
    return int(token)


def _decoded_first_token(tokenizer: PreTrainedTokenizerBase) -> str | None:
    if tokenizer.bos_token_id is None and tokenizer.eos_token_id is None:
        return None
    return str(tokenizer.decode(first_token(tokenizer))) or None


_LIMITS = ("n_positions", "max_position_embeddings", "n_ctx", "max_seq_len", "seq_length")
_NO_LIMIT = 10**9
"""A tokenizer without a limit says so by a number beyond this."""


def context_limit(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int | None:
    """Return tokens that the model takes; None where nothing limits them, as with ALiBi (Press et al., arXiv
    2108.12409).

    Of a model of several modes the language model's own limit counts. Where the configuration gives none, the
    tokenizer's does.
    """
    taken = getattr(model, "virtual_tokens", 0)  # by vectors that an adapter puts before every text
    config = model.config.get_text_config(decoder=True)
    if not (config.model_type == "bloom" or getattr(config, "alibi", False)):
        for name in _LIMITS:
            value = getattr(config, name, None)
            if value is not None:
                return int(value) - taken
    value = getattr(tokenizer, "model_max_length", None)
    return int(value) - taken if value is not None and value < _NO_LIMIT else None


def pad_left(rows: Sequence[Sequence[int]], pad: int, device: str | torch.device) -> tuple[Tensor, Tensor]:
    """Token ids and mask (1: a token, 0: padding), both int64 [rows, longest]; the last tokens are aligned."""
    longest = max(map(len, rows))
    ids = torch.tensor([[pad] * (longest - len(row)) + list(row) for row in rows], device=device)
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows], device=device)
    return ids, mask


def positions(mask: Tensor) -> Tensor:
    """Position of each token counted from its row's first real one (0 in the padding): int64, shaped as `mask`."""
    return (mask.cumsum(-1) - 1).clamp(min=0)
