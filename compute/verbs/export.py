"""`transfer export`: marts as files and tables, charts as figures, vectors as word2vec text, adapters for others."""

from __future__ import annotations

import argparse

from compute.engine.executors.cluster import project_artifacts
from compute.project import PUBLISHED
from compute.store.warehouse import Warehouse
from compute.verbs.chosen import study_name
from compute.verbs.options import (
    CELL,
    Options,
    Parser,
    TypedPath,
    add_project,
    add_study,
    add_warehouse,
    points,
    positive_or_zero,
    say,
)


def add_arguments(parser: Parser) -> None:
    """Add what the verb takes: one set of arguments for each kind."""
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="WHAT")
    text = "marts of a study as CSV, Parquet, LaTeX or Markdown"
    marts = kinds.add_parser(
        "marts",
        help=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=f"""{text[0].upper() + text[1:]}, a file a mart: DIR/<mart>.<csv|parquet|tex|md>.

csv and parquet hold every column as it is. latex and markdown are tables as a paper prints them: transfer cells as
sources x targets, lexicon induction as methods x dictionary sizes, any other mart with all its columns; percentage
points to one decimal with their sign, shares to three decimals, an en dash for no value; names without their revision.
LaTeX files are for \\input, and each begins with what it needs of the preamble: booktabs, longtable for tables longer
than a page, fonts for scripts other than Latin. A table that is too wide is set smaller or comes in parts, cells by
target task.

Read is what passed its checks: the published file. --warehouse warehouse.duckdb reads the marts as they are.""",
    )
    marts.set_defaults(run=_export_marts)
    add_study(marts)
    marts.add_argument("--format", required=True, help="csv, parquet, latex or markdown")
    marts.add_argument(
        "--width",
        type=points,
        metavar="PT",
        help=r"latex: how wide the page's text is, \the\textwidth of the paper in points (default: 345, article's)",
    )
    marts.add_several("--mart", "only this mart, such as rpt_roles; may be repeated")
    add_warehouse(marts, PUBLISHED)

    text = "every chart of a study's page as PDF, SVG or PNG"
    figures = kinds.add_parser(
        "figures",
        help=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=f"""{text[0].upper() + text[1:]}, a file a chart, named for what it shows:
DIR/<regime-means, cells-<model>, risk-map, ...>.<pdf|svg|png>, and DIR/captions.tex with what the page says of each.

A PDF holds its fonts, those of this machine; PNG has 300 pixels an inch. The same chart gives the same bytes. A script
that no font of this machine has is drawn as boxes: install one (Noto has most).

Read is the warehouse as it stands, as the page reads it: `transfer check` says whether the study passes.""",
    )
    figures.set_defaults(run=_export_figures)
    add_study(figures)
    figures.add_argument("--format", default="pdf", help="pdf (default), svg or png")
    add_warehouse(figures)

    text = "mapped vectors of a study as word2vec text"
    vectors = kinds.add_parser(
        "vectors",
        help=text,
        description=f"{text[0].upper() + text[1:]}, both sides of each mapping that has landed: "
        "DIR/<vectors>/<method>-<variant>-<dictionary size>-<seed>/<source>-<target>.<language>.vec, which gensim's "
        "KeyedVectors.load_word2vec_format reads.",
    )
    vectors.set_defaults(run=_export_vectors)
    add_study(vectors)
    vectors.add_several("--method", "only this mapping method; may be repeated")
    vectors.add_several("--pair", "only this pair, such as en-de; may be repeated")
    vectors.add_several("--size", "only this dictionary size; may be repeated", kind=positive_or_zero)
    add_warehouse(vectors)

    text = "adapters of a study as folders that PEFT loads, each with a model card"
    adapters = kinds.add_parser(
        "adapters",
        help=text,
        description=f"{text[0].upper() + text[1:]}: DIR/<model>-<task>-<language>[-<variant>]-seed<seed>, which PEFT's "
        "AutoPeftModelForCausalLM.from_pretrained loads as it stands. A base that was pre-trained here is written "
        "beside them: DIR/<model>@<digest>, whose absolute path they name. The card says what the warehouse knows: "
        "gains, harms, data, settings, checks.",
    )
    adapters.set_defaults(run=_export_adapters)
    add_study(adapters)
    adapters.add_several("--source", "only this source; may be repeated", CELL)
    adapters.add_several("--model", "only this model; may be repeated")
    adapters.add_several("--variant", "only this variant; may be repeated")
    add_warehouse(adapters)

    for one in (marts, figures, vectors, adapters):
        add_project(one)
        one.add_argument("--to", required=True, type=TypedPath, metavar="DIR", help="where to write; made if not there")


def run(options: Options) -> int:
    """Do what the chosen kind does."""
    return int(options.run(options))


def _export_marts(options: Options) -> int:
    from report.paper.marts import export_marts  # seconds to import

    warehouse = Warehouse(options.warehouse, options.wait, say)
    study = study_name(options)
    written = export_marts(warehouse, study, options.format, options.to, options.mart, options.width)
    say(f"{options.to}: {len(written)} marts of {study} exported")
    return 0


def _export_figures(options: Options) -> int:
    from report.paper.figures import export_figures  # seconds to import

    study = study_name(options)
    written = export_figures(options.warehouse, study, options.format, options.to, options.wait)
    say(f"{options.to}: {len(written)} charts of {study} exported")
    return 0


def _export_vectors(options: Options) -> int:
    from compute.verbs.vector_export import export_vectors

    warehouse = Warehouse(options.warehouse, options.wait, say)
    store = project_artifacts()
    return export_vectors(
        warehouse, study_name(options), store, options.to, say, options.method, options.pair, options.size
    )


def _export_adapters(options: Options) -> int:
    from compute.verbs.adapter_export import export_adapters

    warehouse = Warehouse(options.warehouse, options.wait, say)
    store = project_artifacts()
    return export_adapters(
        warehouse, study_name(options), store, options.to, say, options.source, options.model, options.variant
    )
