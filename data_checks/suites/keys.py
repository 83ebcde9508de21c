"""Is every row identified by its key, and is no key lacking?"""

from __future__ import annotations

from data_checks.check import CELL, Check, not_null, repeated

_ITEM_SCORE = ("job_key", "model", "target_task", "target_language", "item_id")
_NAMES_OF_CELL = ("model", "source_task", "source_language", "source", "target_task", "target_language", "metric")
_MAPPED = ("method", "vectors", "source_language", "target_language", "dictionary_size")
_MAPPING = (*_MAPPED, "variant", "seed")
_DOWNSTREAM_ITEM = ("job_key", "task", "classifier", "item_id")

CHECKS = (
    Check(
        name="items_are_unique",
        severity="error",
        description="An item stands once in its task, language, prompt and split.",
        sql=repeated("items", ("task", "language", "prompt", "split", "item_id")),
    ),
    Check(
        name="item_scores_are_unique",
        severity="error",
        description="A scoring job scored an item once.",
        sql=repeated("item_scores", ("job_key", "item_id")),
    ),
    Check(
        name="bli_ranks_are_unique",
        severity="error",
        description="A job ranked a test pair once under each retrieval.",
        sql=repeated("bli_ranks", ("job_key", "retrieval", "pair_number")),
    ),
    Check(
        name="mappings_are_ranked_once",
        severity="error",
        description="The ranks of a mapping are one job's: a file that was corrected and imported again counts twice, "
        "and is to be a study of another name.",
        sql=f"""
            select {", ".join(_MAPPING)}, retrieval, count(distinct job_key) as n_jobs
            from bli_ranks
            group by all
            having count(distinct job_key) > 1
        """,
    ),
    Check(
        name="downstream_items_are_unique",
        severity="error",
        description="A job's classifier answered an item of a downstream task once.",
        sql=repeated("downstream_items", _DOWNSTREAM_ITEM),
    ),
    Check(
        name="tuned_scores_are_unique",
        severity="error",
        description="A tuned model has one score for a seed, target, prompt and metric.",
        sql=repeated("fct_scores", (*CELL, "seed", "metric"), where="source_task is not null"),
    ),
    Check(
        name="items_are_whole",
        severity="error",
        description="Items name their task, language, id, split and prompt; choice items their gold and choices too.",
        sql=not_null(
            "items",
            ("task", "language", "item_id"),
            {
                "true": ("task", "language", "item_id", "split", "prompt"),
                "task in (select task from tasks where kind = 'choice')": ("gold", "choices"),
            },
        ),
    ),
    Check(
        name="item_scores_are_whole",
        severity="error",
        description="Item scores have their keys, and log-probabilities with gold and lengths (in tokens where "
        "computed here: other programs do not write them), or else a verdict.",
        sql=not_null(
            "item_scores",
            _ITEM_SCORE,
            {
                "true": ("model", "target_task", "target_language", "prompt", "item_id"),
                "logprobs is not null": ("gold", "char_counts", "byte_counts"),
                "logprobs is not null and (select origin from studies) = 'computed'": ("token_counts",),
                "logprobs is null and correct is null": ("logprobs", "correct"),
            },
        ),
    ),
    Check(
        name="cells_are_whole",
        severity="error",
        description="Transfer cells have their keys, regime (but of sources that are several or unknown) and metric, "
        "computed ones a score, seeds and prompt too.",
        sql=not_null(
            "fct_transfer",
            CELL,
            {
                "true": _NAMES_OF_CELL,
                "source_task not in ('mul', 'und') and source_language not in ('mul', 'und')": ("regime",),
                "origin = 'computed'": ("prompt", "score", "n_seeds", "n_items"),
            },
        ),
    ),
    Check(
        name="mixtures_have_parts",
        severity="error",
        description="A mixture that a model was tuned on has its parts, two at least, each with items.",
        sql="""
            select planned.label, planned.source, count(parts.job_key) as n_parts, planned.job_key
            from planned_jobs as planned
            left join source_parts as parts on planned.job_key = parts.job_key and parts.items > 0
            where
                planned.state = 'landed'
                and planned.step = 'train'
                and planned.source_name is not null
                and planned.fraction is null
            group by all
            having count(parts.job_key) < 2
            order by all
        """,
    ),
    Check(
        name="bli_ranks_are_whole",
        severity="error",
        description="Lexicon-induction rows have all but their rank, which is NULL out of vocabulary.",
        sql=not_null(
            "bli_ranks",
            ("job_key", "retrieval", "pair_number"),
            {"true": (*_MAPPED, "retrieval", "pair_number", "query", "gold")},
        ),
    ),
    Check(
        name="downstream_items_are_whole",
        severity="error",
        description="Items of downstream tasks have their keys and the right answer (a document may be of no class), "
        "and of inference the one given (a search may find nothing).",
        sql=not_null(
            "downstream_items",
            _DOWNSTREAM_ITEM,
            {
                "true": ("task", "classifier", "item_id"),
                "task != 'cldc'": ("gold",),
                "task = 'xnli'": ("prediction",),
            },
        ),
    ),
)
