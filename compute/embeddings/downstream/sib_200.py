"""SIB-200 (Adelani et al. 2024): sentences on seven topics, translated by people; the task `topic` reads them."""

from __future__ import annotations

from compute.embeddings.downstream.collections import Classification, Labelled, Problem
from compute.plugin import digest
from compute.tasks.task import Split
from compute.tasks.topic import TOPIC


class Sib200(Classification):
    """One problem: 701 training sentences of the source language, 204 test sentences of the target language. The
    development sentences are not used. Training and test sentences are different ones, translated."""

    def covers(self, source: str, target: str) -> bool:
        return source in TOPIC.languages and target in TOPIC.languages

    def digest(self, source: str, target: str) -> str:
        return digest([TOPIC.digest(source), TOPIC.digest(target)])

    def problems(self, source: str, target: str) -> list[Problem]:
        return [Problem(_labelled(source, "train"), _labelled(target, "test"))]


def _labelled(language: str, split: Split) -> list[Labelled]:
    return [
        Labelled(question.item_id, question.fields["text"], question.choices[question.gold])
        for question in TOPIC.questions(language, split)
    ]
