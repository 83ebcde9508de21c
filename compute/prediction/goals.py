"""What an adaptive study may choose for."""

from __future__ import annotations

from typing import Literal

Goal = Literal["best source", "harms", "all cells"]

ENOUGH: dict[Goal, float] = {"best source": 0.5, "harms": 0.02, "all cells": 1.0}
"""What is little enough to be left to learn: expected regret (pp), probability of a wrong verdict, deviation (pp)."""
