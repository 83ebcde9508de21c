"""Plugin `xnli`: inference between sentences of a language that the model was not trained in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import numpy as np

from compute.embeddings.downstream.classifiers import Classifier, InferenceModel
from compute.embeddings.downstream.collections import Collection, Inference, SentencePair
from compute.embeddings.downstream.texts import embed
from compute.plugins.downstream import DownstreamPlugin, LanguagePair


class InferRelations(DownstreamPlugin):
    """Rows of `raw.downstream_items`: gold and predicted relation of each test pair, and `score`, the probability
    given to the right one."""

    name = "xnli"
    version = "2"
    seconds = 600.0

    def rows(
        self, pair: LanguagePair, collection: Collection, classifier: Classifier, seed: int, device: str
    ) -> Iterator[dict[str, Any]]:
        pairs = cast(Inference, collection)
        train, test = pairs.train(pair.source_language), pairs.test(pair.target_language)
        relations = sorted({one.label for one in train})
        if len(relations) < 2:
            raise ValueError(f"the training pairs are all of one label, {''.join(relations)!r}")
        labels = np.array([relations.index(one.label) for one in train], dtype=np.int64)
        learnt = [pair.source_words(sentences) for sentences in _sides(train)]
        asked = [pair.target_words(sentences) for sentences in _sides(test)]
        known = [embed(words, pair.target) for words in asked]
        premises, hypotheses = (embed(words, pair.source) for words in learnt)
        model = cast(InferenceModel, classifier)
        probabilities = model.predict((premises, hypotheses), labels, (known[0], known[1]), device, seed)
        for place, one in enumerate(test):
            own = probabilities[place]
            yield {
                "item_id": one.item_id,
                "gold": one.label,
                "prediction": relations[int(own.argmax())],
                "score": float(own[relations.index(one.label)]) if one.label in relations else 0.0,
                "words": sum(len(side[place]) for side in asked),
                "known_words": sum(len(side.rows[place]) for side in known),
            }


def _sides(pairs: list[SentencePair]) -> tuple[list[str], list[str]]:
    """Premises and hypotheses."""
    return [one.premise for one in pairs], [one.hypothesis for one in pairs]
