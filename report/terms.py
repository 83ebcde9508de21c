"""Words, orders and limits that layouts and sections share."""

from __future__ import annotations

REGIMES = ("MT-CL", "CT-ML", "CT-CL", "MT-ML", "transfer")
"""In the order in which they stand; `transfer` pools the first three, and so depends on how many targets each has."""
REGIME_WORDS = {
    "MT-CL": "same task, other language",
    "CT-ML": "other task, same language",
    "CT-CL": "other task, other language",
    "MT-ML": "the trained cell itself",
    "transfer": "all transfer: the first three",
}
VERDICTS = ("gain", "none", "undecided", "harm")
RECOMMENDERS = {
    "advice": "advice",
    "same_language": "the target's language",
    "same_task": "the target's task",
    "english": "English",
    "random": "at random",
}
COMPONENTS = {
    "model": "model",
    "source": "source",
    "target": "target",
    "model_source": "model × source",
    "model_target": "model × target",
    "source_target": "source × target",
    "run": "luck of runs",
    "sampling": "sampling of items",
    "residual": "all three, and the rest",
}
SIGNIFICANT = 0.05
NO_ERRORS = "no errors"

GRID, NEW_MODEL = "95 % interval of this grid", "95 % interval of a model not yet tried"
"""The two kinds of interval, as headings."""

POOL = ("variant", "prompt")
"""What tells the pools of cells of a study apart."""
BY_POOL = "variant != 'default', variant, prompt"
