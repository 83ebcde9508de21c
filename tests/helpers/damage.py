"""What each check is there to see: its name, and SQL that does the damage to the healthy warehouse of `test_checks`."""

from __future__ import annotations

_JOB = """(
    select job_key from raw.item_scores
    where model = 'small@1' and source_language = 'de' and seed = 1 and control is null
    and target_task = 'parity' and target_language = 'nl' limit 1
)"""
_TRAINING = "(select min(job_key) from raw.training_log)"
CELL = """
    study = 'both halves' and model = 'small@1' and source_language = 'de' and control is null
    and target_task = 'compare' and target_language = 'en'
"""
_BASELINE = """
    study = 'both halves' and model = 'small@1' and source_task is null
    and target_task = 'parity' and target_language = 'de'
"""

DAMAGE: list[tuple[str, str]] = [
    (
        "planned_jobs_have_run",
        "insert into raw.study_jobs values ('both halves', 'k', 'transfer', 'tune m', '{}')",
    ),
    (
        "no_job_failed",
        f"update raw.jobs set state = 'failed', error = 'CUDA out of memory' where job_key = {_TRAINING}",
    ),
    ("recorded_rows_are_there", f"delete from raw.training_log where step = 2 and job_key = {_TRAINING}"),
    ("landed_scores_are_in_fct_scores", f"delete from marts.fct_scores where seed = 2 and {CELL}"),
    ("landed_cells_are_in_fct_transfer", f"delete from marts.fct_transfer where {CELL}"),
    ("landed_cells_are_in_fct_transfer", f"update marts.fct_transfer set n_seeds = 1 where {CELL}"),
    ("landed_mappings_are_in_fct_bli", "delete from marts.fct_bli where source_language = 'de'"),
    ("items_are_unique", "update raw.items set item_id = 'i0' where item_id = 'i1' and language = 'nl'"),
    (
        "item_scores_are_unique",
        "update raw.item_scores set item_id = 'i0' where item_id = 'i1' and target_language = 'nl'",
    ),
    ("bli_ranks_are_unique", "update raw.bli_ranks set pair_number = 0 where pair_number = 1 and retrieval = 'csls'"),
    (
        "mappings_are_ranked_once",
        "update raw.bli_ranks set source_language = 'de', target_language = 'en' where source_language = 'en'",
    ),
    (
        "tuned_scores_are_unique",
        f"insert into marts.fct_scores from marts.fct_scores where seed = 1 and metric = 'acc' and {CELL}",
    ),
    ("items_are_whole", "update raw.items set choices = null where item_id = 't0' and language = 'de'"),
    ("items_are_whole", "update raw.items set split = null where item_id = 't0' and language = 'de'"),
    (
        "item_scores_are_whole",
        f"update raw.item_scores set byte_counts = null where item_id = 'i3' and job_key = {_JOB}",
    ),
    ("item_scores_are_whole", f"update raw.item_scores set logprobs = null where item_id = 'i3' and job_key = {_JOB}"),
    ("cells_are_whole", f"update marts.fct_transfer set regime = null where {CELL}"),
    ("mixtures_have_parts", "update raw.source_parts set items = 0 where language = 'en'"),
    ("bli_ranks_are_whole", "update raw.bli_ranks set gold = null where pair_number = 3"),
    ("item_ids_in_one_split", "update raw.items set item_id = 'i0' where item_id = 't0' and language = 'de'"),
    ("parallel_ids_in_one_split", "update raw.items set parallel_id = 'p0' where item_id = 't0' and language = 'de'"),
    ("gold_is_a_choice", f"update raw.item_scores set gold = 2 where item_id = 'i3' and job_key = {_JOB}"),
    ("gold_is_a_choice", "update raw.items set gold = -1 where item_id = 't0' and language = 'de'"),
    (
        "same_items_for_every_model",
        f"update raw.item_scores set item_id = 'x' where item_id = 'i3' and job_key = {_JOB}",
    ),
    *(
        (
            "logprobs_are_possible",
            f"update raw.item_scores set logprobs = {bad} where item_id = 'i3' and job_key = {_JOB}",
        )
        for bad in ("[0.5, -1.0]", "['nan'::float, -1]", "['-inf'::float, -1]", "[null, -1.0]")
    ),
    ("lengths_fit_choices", f"update raw.item_scores set char_counts = [1] where item_id = 'i3' and job_key = {_JOB}"),
    ("scores_are_shares", f"update marts.fct_scores set score = 1.2 where seed = 1 and {CELL}"),
    ("scores_are_shares", f"update marts.fct_transfer set baseline_score = 'nan' where {CELL}"),
    ("answers_vary", f"update raw.item_scores set logprobs = [-1.0, -2.0] where job_key = {_JOB}"),
    ("one_baseline_per_target", f"insert into marts.fct_scores from marts.fct_scores where {_BASELINE}"),
    (
        "one_baseline_per_target",
        f"""delete from marts.fct_scores where {_BASELINE};
        delete from raw.study_jobs where plugin = 'baseline' and (config ->> '$.model') = 'small@1'
        and (config ->> '$.target_task') = 'parity' and (config ->> '$.target_language') = 'de'""",
    ),
    ("baselines_have_no_seed", f"update marts.fct_scores set seed = 7 where {_BASELINE}"),
    ("no_target_alone_at_chance", f"update marts.fct_scores set score = 0.5 where {_BASELINE}"),
    ("baselines_agree", f"update marts.fct_transfer set baseline_score = 0.7 where {CELL}"),
    (
        "baselines_agree",
        """insert into raw.study_jobs values ('both halves', 'k', 'import', 'import x.csv', '{}');
        insert into raw.jobs (job_key, state) values ('k', 'landed');
        insert into raw.aggregate_scores by name
        select 'k' as job_key, 'm' as model, 'default' as variant, 'parity' as source_task, 'de' as source_language,
            seed, 'parity' as target_task, 'en' as target_language, 'acc' as metric, 0.5 + seed / 100 as baseline_score
        from (values (1), (2)) as seeds (seed)""",
    ),
    ("deltas_are_possible", f"update marts.fct_transfer set delta_pp = -150 where {CELL}"),
    (
        "predictions_are_current",
        """insert into marts.rpt_prediction_fits by name select
            study, 'default' as variant, false as is_trained_cell, true as is_stale
        from raw.studies""",
    ),
    (
        "tuning_beats_placebo",
        "update marts.fct_transfer set delta_pp = 50 where regime = 'MT-ML' and control = 'placebo'",
    ),
    (
        "transfer_exceeds_placebo",
        "update marts.fct_transfer set delta_pp = 20, delta_se = 5 where regime != 'MT-ML' and control = 'placebo'",
    ),
    (
        "gains_depend_on_the_source",
        """update marts.fct_transfer set delta_pp = 8 + ascii(source_task) % 7
        where target_task = 'compare' and target_language = 'de' and control is null""",
    ),
    (
        "trained_and_asked_alike",
        """update raw.study_jobs set config = json_merge_patch(config, '{"prompt": "chatty@2"}')
        where (config ->> '$.step') = 'train' and (config ->> '$.source_language') = 'de'""",
    ),
    ("ranks_start_at_one", "update raw.bli_ranks set rank = 0 where pair_number = 0 and retrieval = 'csls'"),
    (
        "languages_have_distances",
        "update raw.language_distances set value = null where source_language = 'de'",
    ),
    ("downstream_items_are_unique", "update raw.downstream_items set item_id = 'd0' where item_id = 'd1'"),
    *(
        (
            "downstream_items_are_whole",
            f"update raw.downstream_items set {change} where item_id = 'd0' and source_language = 'de'",
        )
        for change in ("gold = null", "classifier = null", "task = 'xnli', prediction = null")
    ),
    ("downstream_scores_are_shares", "update raw.downstream_items set score = 1.5 where item_id = 'd0'"),
    ("downstream_scores_are_shares", "update raw.downstream_items set score = 'nan' where item_id = 'd0'"),
    ("downstream_scores_are_shares", "update raw.downstream_items set known_words = 10 where item_id = 'd0'"),
    *(
        (
            "compared_mappings_exist",
            f"""update raw.studies set config = json_merge_patch(config, '{{"sources": {{}}, {asked}}}')
            where study = 'both halves'""",
        )
        for asked in (
            '"compare_with": "never landed"',
            '"compare_with": "it\'\'s {embeddings}:only", "bli_map": {"method": "prok"}',
            '"embeddings": {}, "bli_map": {"dictionary_size": 50}',
        )
    ),
    *(
        ("probabilities_are_possible", f"update marts.{change}")
        for change in (
            "rpt_advice set p_harm = 1.5",
            "rpt_roles set p_top = -0.1 where axis = 'cell'",
            "rpt_consistency set p_value = 'nan'",
            "rpt_advice_worth set ndcg = 1.1 where recommender = 'advice'",
        )
    ),
    ("adjusted_rates_are_no_smaller", "update marts.fct_transfer_probability set q_value = p_value / 2"),
    ("adjusted_rates_are_no_smaller", "update marts.rpt_contrasts set q_harm = null"),
    *(
        ("intervals_hold_their_estimate", f"update marts.{change}")
        for change in (
            "fct_transfer_probability set delta_pp = ci_high + 1 where control is null",
            "rpt_roles set donor_effect_low = null where axis = 'cell'",
            "rpt_regimes set ci_high = 'inf' where scope = 'all'",
            "rpt_bli_methods set map_low = mean_map + 0.1",
        )
    ),
    ("verdicts_follow_from_intervals", "update marts.rpt_contrasts set verdict = 'loss'"),
    ("verdicts_follow_from_intervals", "update marts.rpt_contrasts set verdict = 'gain', ci_low = difference_pp - 99"),
    ("verdicts_follow_from_intervals", "update marts.rpt_source_effects set verdict = null"),
    (
        "shares_add_up",
        """insert into marts.rpt_variance by name
        select study, variant, regime, 'source' as component, 2 as share from marts.rpt_regimes""",
    ),
    ("shares_add_up", "update marts.rpt_regimes set verdict_none_pct = verdict_none_pct + 1"),
    ("parts_are_no_larger", "update marts.rpt_items set n_losing = n_could_lose + 1"),
    ("parts_are_no_larger", "update marts.rpt_advice_coverage set in_grid_pct = 101"),
    ("regrets_are_possible", "update marts.rpt_advice_worth set regret = 'inf'"),
    ("bli_scores_are_shares", "update marts.fct_bli set p_at_1 = 1.01 where source_language = 'de'"),
]
