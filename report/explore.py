import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Transfer Warehouse")


@app.cell
def _():
    from pathlib import Path

    import marimo as mo

    from compute.store.database import open_database
    from compute.store.publish import PUBLISHED
    from report import charts
    from report.transfer_sections import colour_limit

    return PUBLISHED, Path, charts, colour_limit, mo, open_database


@app.cell
def _(mo):
    mo.md("""
    # What was published

    The studies of `published/warehouse.duckdb` that passed their checks, opened read-only; another file is named
    after a double dash: `marimo edit report/explore.py -- --warehouse warehouse.duckdb`. Change any query: what
    depends on it follows.
    """)
    return


@app.cell
def _(PUBLISHED, Path, mo, open_database):
    path = Path(mo.cli_args().get("warehouse") or PUBLISHED)
    mo.stop(not path.exists(), mo.md(f"There is no `{path}` yet: `make all` computes, checks and publishes a study."))
    with open_database(path, read_only=True) as opened:
        studies = [name for (name,) in opened.execute("select study from raw.studies order by study").fetchall()]
    mo.stop(not studies, mo.md(f"No study is in `{path}`."))
    study = mo.ui.dropdown(studies, value=studies[0], label="study")
    study
    return path, study


@app.cell
def _(open_database, path, study):
    # A connection for each choice: the queries below ask it for `getvariable('study')`, and run again when it changes.
    connection = open_database(path, read_only=True)
    _ = connection.execute("set variable study = ?", [study.value])
    return (connection,)


@app.cell
def _(mo):
    mo.md("""
    ## Does tuning help or harm?
    """)
    return


@app.cell
def _(connection, mo):
    regimes = mo.sql(
        """
        select scope, regime, n_cells, round(mean_pp, 1) as mean_pp, round(ci_low, 1) as ci_low,
               round(ci_high, 1) as ci_high, round(positive_pct) as positive_pct, round(harm_pct) as harm_pct
        from marts.rpt_regimes
        where study = getvariable('study')
        order by scope != 'all', scope, mean_pp desc
        """,
        engine=connection,
    )
    return


@app.cell
def _(mo):
    mo.md("""
    ## Who gives, and who receives?
    """)
    return


@app.cell
def _(connection, mo):
    roles = mo.sql(
        """
        select axis, within, entity, donor_rank, round(donor_effect_pp, 1) as donor_effect_pp,
               round(donor_effect_low, 1) as donor_effect_low, round(donor_effect_high, 1) as donor_effect_high,
               round(gain_over_placebo_pp, 1) as gain_over_placebo_pp, learned,
               recipient_rank, round(recipient_effect_pp, 1) as recipient_effect_pp,
               round(recipient_effect_low, 1) as recipient_effect_low,
               round(recipient_effect_high, 1) as recipient_effect_high, is_hub, is_brittle, n_cells
        from marts.rpt_roles
        where study = getvariable('study') and scope = 'all'
        order by axis, within nulls first, donor_rank nulls last, recipient_rank nulls last, entity
        """,
        engine=connection,
    )
    return


@app.cell
def _(mo):
    mo.md("""
    ## Every source on every target
    """)
    return


@app.cell
def _(connection, mo):
    cells = mo.sql(
        """
        with cells as (
            select *, count(*) over (
                partition by model, variant, source, target_task, target_language
            ) as n_prompts
            from marts.fct_transfer
            where study = getvariable('study') and control is null and not is_mixture
        )

        -- Prompts share a grid unless a target was asked with several.
        select model || ', ' || variant
               || if(max(n_prompts) over (partition by model, variant) > 1, ', ' || prompt, '') as grid,
               source_task, source_language, target_task, target_language, regime, coalesce(is_harm, false) as is_harm,
               delta_pp, q_value, verdict
        from cells
        order by all
        """,
        engine=connection,
    )
    return (cells,)


@app.cell
def _(cells, mo):
    grids = {row["grid"]: row["grid"] for row in cells.iter_rows(named=True)}
    grid = mo.ui.dropdown(grids, value=next(iter(grids), None), label="model")
    grid
    return (grid,)


@app.cell
def _(cells, charts, colour_limit, grid, mo):
    mo.stop(grid.value is None, mo.md("This study tunes no model."))
    drawn = [row for row in cells.iter_rows(named=True) if row["grid"] == grid.value]
    drawing = charts.heatmap(drawn, colour_limit(drawn), "Change by source (row) and target (column), pp")
    mo.Html(str(drawing.inline))
    return


@app.cell
def _(mo):
    mo.md("""
    ## Which mapping of word vectors?
    """)
    return


@app.cell
def _(connection, mo):
    methods = mo.sql(
        """
        select vectors, variant, retrieval, scope, method, dictionary_size, round(mean_map, 3) as mean_map, n_pairs,
               n_failures
        from marts.rpt_bli_methods
        where study = getvariable('study')
        order by vectors, variant, retrieval, scope, n_pairs desc, dictionary_size, mean_map desc
        """,
        engine=connection,
    )
    return


if __name__ == "__main__":
    app.run()
