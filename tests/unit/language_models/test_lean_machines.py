"""What trains, scores and maps on a GPU machine needs no more than is named for it (benchmarks/README.md)."""

from __future__ import annotations

import subprocess
import sys

MISSING = (
    "altair", "conllu", "dbt", "duckdb", "gensim", "great_expectations", "lm_eval", "num2words", "numba", "ot",
    "polars", "pooch", "rich",
)  # fmt: skip

USED = """
import compute.embeddings.bli
import compute.embeddings.retrieval
import compute.language_models.generation
import compute.language_models.scoring
import compute.language_models.training
from compute.embeddings.mappings import load_method

for name in ("proc", "rcsls", "vecmap"):
    load_method(name)
"""


def test_the_rest_of_the_house_is_not_needed() -> None:
    code = f"import sys\nsys.modules.update(dict.fromkeys({MISSING!r}))\n{USED}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
