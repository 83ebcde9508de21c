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
PREDICTORS = {
    "together": "all together",
    "same_task": "habit: the target's task",
    "same_language": "habit: the target's language",
    "english": "habit: English",
    "nearest_language": "habit: the nearest language",
    "random": "at random",
    "shared_script": "shared script",
    "uriel": "URIEL distances",
    "lexical_overlap": "lexical overlap",
    "base_score": "base score of the source",
    "headroom": "headroom on the target",
    "isometry": "isometry of word vectors",
    "bli": "word translation (BLI)",
    "nn_rank": "NN-Rank",
}
"""One of another package stands under its own name."""
MEASURES = {
    "regret_1": "Regret@1, percentage points behind the best source: less is better",
    "ndcg_3": "NDCG@3, 1 is the best order: more is better",
    "rank_correlation": "Rank correlation (Spearman): more is better",
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
