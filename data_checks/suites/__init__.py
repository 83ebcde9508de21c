"""The suites: which checks there are. A new suite is one file here and one entry below."""

from __future__ import annotations

from collections.abc import Mapping

from data_checks.check import Check
from data_checks.suites import baselines, conclusions, embeddings, grid, items, keys, scores, transfer

SUITES: Mapping[str, tuple[Check, ...]] = {
    "grid": grid.CHECKS,
    "keys": keys.CHECKS,
    "items": items.CHECKS,
    "scores": scores.CHECKS,
    "baselines": baselines.CHECKS,
    "transfer": transfer.CHECKS,
    "conclusions": conclusions.CHECKS,
    "embeddings": embeddings.CHECKS,
}
