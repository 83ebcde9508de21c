"""What a built warehouse says of each study, by the judges of its world."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb

from tests.truth.judges import Judge
from tests.truth.worlds import WORLDS

VIEWS = {
    "cells": (
        "fct_transfer",
        """
        select
            t.*, p.accuracy, p.luck_pp, p.true_pp, p.true_of_runs_pp, p.placebo_pp as true_placebo_pp, p.is_own,
            p.n_seeds_planted, s.world, s.planted
        from marts.fct_transfer as t
        inner join planted.cells as p using (
            study, model, source_task, source_language, target_task, target_language
        )
        inner join planted.studies as s using (study)
        """,
    ),
    "probability_cells": (
        "fct_transfer_probability",
        """
        select t.*, p.true_pp, p.is_own, s.world
        from marts.fct_transfer_probability as t
        inner join planted.cells as p using (
            study, model, source_task, source_language, target_task, target_language
        )
        inner join planted.studies as s using (study)
        """,
    ),
    "contrasts": (
        "rpt_contrasts",
        """
        select p.*, c.* exclude (study, contrast, target_task, target_language), s.world
        from planted.contrasts as p
        inner join planted.studies as s using (study)
        left join marts.rpt_contrasts as c
            on p.study = c.study and p.contrast = c.contrast and not c.is_trained_cell
            and p.target_task is not distinct from c.target_task
            and p.target_language is not distinct from c.target_language
        """,
    ),
    "mixtures": (
        "rpt_mixtures",
        """
        select p.*, m.* exclude (study, target_task, target_language), s.world
        from planted.mixtures as p
        inner join planted.studies as s using (study)
        left join marts.rpt_mixtures as m
            on p.study = m.study and m.scope = 'all' and not m.is_trained_cell
            and p.target_task is not distinct from m.target_task
            and p.target_language is not distinct from m.target_language
        """,
    ),
    "items": (
        "rpt_items",
        """
        select p.*, i.* exclude (study, target_task, parallel_id), s.world
        from planted.items as p
        inner join planted.studies as s using (study)
        left join marts.rpt_items as i using (study, target_task, parallel_id)
        """,
    ),
    "roles": (
        "rpt_roles",
        """
        select r.* exclude (study, entity), p.* exclude (axis), s.world, s.planted
        from planted.effects as p
        inner join planted.studies as s using (study)
        left join marts.rpt_roles as r on p.study = r.study and p.axis = r.axis and p.entity = r.entity
            and r.scope = 'all'
        """,
    ),
    "learners": (
        "rpt_roles",
        """
        select m.* exclude (study), p.study, p.true_pp as true_own_pp, s.world
        from planted.cells as p
        inner join planted.studies as s using (study)
        left join marts.rpt_roles as m on p.study = m.study and p.source_language = m.entity
            and m.scope = 'all' and m.axis = 'language'
        where p.is_own
        """,
    ),
    "consistency": (
        "rpt_consistency",
        """
        with sources as (select distinct study, source_task, source_language from planted.cells)
        select m.* exclude (study, source_task, source_language), sources.*, s.world
        from sources
        inner join planted.studies as s using (study)
        left join marts.rpt_consistency as m on sources.study = m.study and sources.source_task = m.source_task
            and sources.source_language = m.source_language
        """,
    ),
    "all_roles": (
        "rpt_roles",
        """
        select s.study, r.* exclude (study), s.world
        from planted.studies as s
        left join marts.rpt_roles as r on s.study = r.study
        """,
    ),
    "regimes": (
        "rpt_regimes",
        """
        with regimes as (
            select
                *,
                case when is_own then 'MT-ML' when source_task = target_task then 'MT-CL'
                    when source_language = target_language then 'CT-ML' else 'CT-CL' end as regime
            from planted.cells
            where is_complete
        ),
        listed as (
            select * exclude (regime), unnest(case when is_own then [regime] else [regime, 'transfer'] end) as regime
            from regimes
        ),
        truth as (select study, regime, avg(true_pp) as true_pp, count(*) as n_complete from listed group by all)
        select m.* exclude (study, regime), truth.*, s.world, s.planted
        from truth
        inner join planted.studies as s using (study)
        left join marts.rpt_regimes as m on truth.study = m.study and truth.regime = m.regime and m.scope = 'all'
        """,
    ),
    "shares": (
        "rpt_variance",
        """
        select s.*, v.* exclude (study)
        from planted.studies as s
        left join marts.rpt_variance as v on s.study = v.study and v.regime = 'transfer'
        """,
    ),
    "source_effects": (
        "rpt_source_effects",
        """
        with truth as (
            select
                study, source_task, source_language, target_task, target_language,
                any_value(mean_over_models_pp) as true_pp
            from planted.cells group by all
        )
        select m.*, truth.true_pp, s.world, s.planted
        from truth
        inner join planted.studies as s using (study)
        inner join marts.rpt_source_effects as m using (
            study, source_task, source_language, target_task, target_language
        )
        """,
    ),
    "advice": (
        "rpt_advice",
        """
        with truth as (
            select
                study, source_task, source_language, target_task, target_language,
                any_value(mean_over_models_pp) as mean_over_models_pp, any_value(new_model_pp) as new_model_pp
            from planted.cells where is_complete and not is_own group by all
        )
        select truth.study, a.* exclude (study), truth.mean_over_models_pp, truth.new_model_pp, s.world, s.planted
        from truth
        inner join planted.studies as s using (study)
        left join marts.rpt_advice as a on truth.study = a.study and truth.source_task = a.source_task
            and truth.source_language = a.source_language and truth.target_task = a.target_task
            and truth.target_language = a.target_language
        """,
    ),
    "advice_eval": (
        "rpt_advice_eval",
        """
        select s.study, a.* exclude (study), s.world
        from planted.studies as s
        left join marts.rpt_advice_eval as a on s.study = a.study and a.held_out_kind = 'model' and a.k = 1
        """,
    ),
    "asymmetry": (
        "rpt_asymmetry",
        """
        with truth as (
            select
                study, model, source_task, source_language,
                avg(true_pp) filter (where source_task = target_task) as true_on_pp,
                avg(true_pp) filter (where source_task != target_task) as true_off_pp
            from planted.cells where not is_own group by all
        )
        select truth.*, a.* exclude (study, model, source_task, source_language), s.world, s.planted
        from truth
        inner join planted.studies as s using (study)
        left join marts.rpt_asymmetry as a using (study, model, source_task, source_language)
        """,
    ),
    "typology": (
        "rpt_pair_correlations",
        """
        select s.study, t.* exclude (study), s.world
        from planted.studies as s
        left join marts.rpt_pair_correlations as t on s.study = t.study and t.measure = 'planted'
        """,
    ),
}

Rows = list[list[Any]]
"""Of a judge, a row a study: its name, then successes and trials, or a value."""


def lacking(connection: duckdb.DuckDBPyConnection, judge: Judge) -> list[str]:
    """Return the columns (mart.column) that the judge needs and the warehouse lacks."""
    known = {
        f"{table}.{column}"
        for table, column in connection.execute(
            "select table_name, column_name from duckdb_columns() where schema_name = 'marts'"
        ).fetchall()
    }
    return [column for column in judge.needs if column not in known]


def judged(path: Path, world: str, studies: Sequence[str] | None = None) -> dict[str, Rows]:
    """Return by judge what the marts say of a world's studies (None: all); a judge whose columns are missing is left
    out."""
    with duckdb.connect(str(path)) as connection:
        marts = connection.execute("select table_name from duckdb_tables() where schema_name = 'marts'").fetchall()
        connection.execute(
            "create temp table wanted as select study from planted.studies"
            " where world = $world and ($studies is null or list_contains($studies, study))",
            {"world": world, "studies": studies},
        )
        for view, (mart, sql) in VIEWS.items():
            if (mart,) in marts:
                connection.execute(f"create temp table {view} as from ({sql}) semi join wanted using (study)")
        return {
            judge.name: [list(row) for row in connection.execute(judge.sql).fetchall()]
            for judge in WORLDS[world].judges
            if not lacking(connection, judge)
        }
