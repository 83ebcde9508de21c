"""Can these be ranks, and means of them? Is every language placed among the others?"""

from __future__ import annotations

from data_checks.check import Check

CHECKS = (
    Check(
        name="ranks_start_at_one",
        severity="error",
        description="Ranks are finite and at least 1.",
        sql="""
            select job_key, method, source_language, target_language, retrieval, query, gold, rank
            from bli_ranks
            where rank < 1 or not isfinite(rank)
        """,
    ),
    Check(
        name="bli_scores_are_shares",
        severity="error",
        description="MAP, precision and coverage of lexicon induction lie between 0 and 1.",
        sql="""
            select
                method, vectors, source_language, target_language, dictionary_size, seed, retrieval, clean,
                map, map_all, p_at_1, p_at_5, p_at_10, coverage
            from fct_bli
            where
                map not between 0 and 1
                or map_all not between 0 and 1
                or p_at_1 not between 0 and 1
                or p_at_5 not between 0 and 1
                or p_at_10 not between 0 and 1
                or coverage not between 0 and 1
        """,
    ),
    Check(
        name="downstream_scores_are_shares",
        severity="error",
        description="Scores of downstream items lie between 0 and 1, and of an item's words at most all are known.",
        sql="""
            select
                job_key, task, classifier, method, source_language, target_language, item_id, score, words, known_words
            from downstream_items
            where score not between 0 and 1 or isnan(score) or known_words not between 0 and words
        """,
    ),
    Check(
        name="languages_have_distances",
        severity="warning",
        description="Every language whose distances were asked for has some: its source covers it.",
        sql="""
            select source_language as language, measure, count(*) as n_pairs
            from language_distances
            group by all
            having count(value) = 0
            order by all
        """,
    ),
    Check(
        name="compared_mappings_exist",
        severity="warning",
        description="Where transfer stands beside embeddings, their study has the lexicon induction that `bli_map` "
        "asks for.",
        # Of the other study, so not from the view, which has the audited one's rows alone.
        sql="""
            with asked as (
                select
                    coalesce(config ->> '$.compare_with', study) as embedding_study,
                    lower(coalesce(config ->> '$.bli_map.method', 'proc')) as method,
                    cast(config ->> '$.bli_map.dictionary_size' as bigint) as dictionary_size,
                    coalesce(config ->> '$.bli_map.retrieval', 'csls') as retrieval
                from studies
                where
                    (config ->> '$.sources') is not null
                    and coalesce(config ->> '$.compare_with', config ->> '$.embeddings') is not null
            ),

            found as (
                select distinct study, lower(method) as method, dictionary_size, retrieval
                from marts.fct_bli
            )

            select
                asked.*,
                (select list(distinct method order by method) from found where study = asked.embedding_study) as methods
            from asked
            anti join found
                on asked.embedding_study = found.study
                and asked.method = found.method
                and asked.retrieval = found.retrieval
                and coalesce(asked.dictionary_size, found.dictionary_size) = found.dictionary_size
        """,
    ),
)
