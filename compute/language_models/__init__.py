"""Language models: pre-training tiny ones, loading, stacked LoRA, training and scoring."""

from collections.abc import Callable

Progress = Callable[[int, int, str], None]
"""Called now and then with (steps done, steps in all, what is being done)."""
