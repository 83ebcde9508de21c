"""Stand-ins for the topic task's items where its files are not at hand: made-up words, the real lengths in tokens.

The lengths are those of SIB-200's prompts (cloze; train, dev and test together) under the tokenizer that
`benchmarks.training_setup` trains on their texts, a byte-level BPE of 32,768 entries. To get them again, with the
files in `TRANSFER_MIRROR`:

    python -m benchmarks.made_up_topic
"""

from __future__ import annotations

import numpy as np

from benchmarks.made_up import MadeUpTexts
from compute.tasks.task import SPLITS, Item, Split

QUANTILES = (0, 0.1, 0.25, 0.5, 0.75, 0.9, 1)
CONTEXT_TOKENS = {
    "ar": (14, 25, 30, 37, 45, 55, 110),
    "de": (14, 25, 31, 38, 46, 57, 121),
    "en": (13, 24, 28, 34, 41, 49, 116),
    "es": (15, 26, 32, 39, 47, 56, 120),
    "fr": (17, 28, 34, 41, 50, 60, 133),
    "hi": (30, 55, 70, 87, 108, 130, 264),
    "it": (15, 26, 32, 39, 47, 57, 116),
    "pt": (13, 24, 29, 36, 44, 52, 114),
}
"""Of a context, the token that begins a document included: at each of the quantiles."""

ANSWER_TOKENS = (1, 2, 1, 2, 5, 1, 1)
ITEMS: dict[Split, int] = {"train": 701, "dev": 99, "test": 204}


def made_up_items(texts: MadeUpTexts, language: str) -> dict[Split, list[Item]]:
    """As many items a split as the task has, each of seven choices, the right one random."""
    around = len(texts.tokenizer(f"Text: {texts.single[0]}\nTopic:")["input_ids"]) - 1
    choices = tuple(texts.text(tokens) for tokens in ANSWER_TOKENS)

    def item(name: str) -> Item:
        tokens = round(float(np.interp(texts.draw.random(), QUANTILES, CONTEXT_TOKENS[language])))
        context = f"Text:{texts.text(tokens - around)}\nTopic:"
        return Item(name, None, context, choices, texts.draw.randrange(len(choices)))

    return {split: [item(f"{split}-{i}") for i in range(ITEMS[split])] for split in SPLITS}


def main() -> None:
    """Prints the lengths of the task's own items."""
    from compute.language_models.tokenizer import train_tokenizer
    from compute.tasks import load_task

    task = load_task("topic")
    documents = [
        item.context + item.choices[0] for language in CONTEXT_TOKENS for item in task.items(language, "train")
    ]
    tokenizer = train_tokenizer(documents, 32768, 2048)
    for language in CONTEXT_TOKENS:
        items = {split: task.items(language, split) for split in SPLITS}
        lengths = [len(tokenizer(item.context)["input_ids"]) for part in items.values() for item in part]
        answers = [len(tokenizer(choice)["input_ids"]) - 1 for choice in items["test"][0].choices]
        counts = {split: len(part) for split, part in items.items()}
        print(language, [round(float(value)) for value in np.quantile(lengths, QUANTILES)], answers, counts)


if __name__ == "__main__":
    main()
