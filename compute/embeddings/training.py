"""Monolingual vectors trained with gensim.

Skip-gram with negative sampling (Mikolov et al. 2013), or the same with a word's vector being the mean of
its own and its character n-grams' vectors (FastText: Bojanowski et al. 2017).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from compute.embeddings.settings import TrainedVectors
from compute.embeddings.vectors import Vectors


def train_vectors(sentences: Iterable[list[str]], settings: TrainedVectors) -> Vectors:
    """Return vectors of the words of `sentences` (lists of tokens), most frequent word first.

    Frequent words are left out at random above a share of 0.001 of the text (gensim's default `sample`), and the
    learning rate falls from 0.025 to 0.0001. With one worker the same sentences and settings give the same bytes;
    several update the weights in the order in which the machine happens to run them.

    Args:
        sentences: iterated over once for the vocabulary and once for each epoch.
        settings: of the training; nothing is read of the corpus here.

    Raises:
        ValueError: no word occurs `min_count` times.
    """
    from gensim.models import FastText, Word2Vec

    common = {
        "vector_size": settings.dimension,
        "window": settings.window,
        "epochs": settings.epochs,
        "min_count": settings.min_count,
        "negative": settings.negative,
        "seed": settings.seed + 1,  # gensim treats 0 as "no seed given"
        "sg": 1,
        "workers": settings.workers,
    }
    if settings.algorithm == "word2vec":
        model = Word2Vec(**common)
    else:
        model = FastText(**common, min_n=settings.shortest_ngram, max_n=settings.longest_ngram, bucket=settings.buckets)
    model.build_vocab(sentences)
    words = list(model.wv.index_to_key)
    if not words:
        raise ValueError(f"no word occurs {settings.min_count} times in {model.corpus_count} sentences")
    model.train(sentences, total_examples=model.corpus_count, epochs=model.epochs)
    return Vectors(words, np.ascontiguousarray(model.wv.vectors, dtype=np.float32))
