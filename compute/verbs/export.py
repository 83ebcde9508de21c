"""`transfer export`: marts as files and tables, mapped vectors as word2vec text, adapters for other people."""

from __future__ import annotations

import argparse

from compute.project import ARTIFACTS, PUBLISHED
from compute.store.artifacts import ArtifactStore
from compute.store.warehouse import Warehouse
from compute.verbs.chosen import study_name
from compute.verbs.options import (
    Options,
    Parser,
    TypedPath,
    add_project,
    add_study,
    add_warehouse,
    positive_or_zero,
    say,
)


def add_arguments(parser: Parser) -> None:
    """Add what the verb takes: a set of arguments for marts, one for vectors, one for adapters."""
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="WHAT")
    text = "marts of a study as CSV, Parquet, LaTeX or Markdown"
    marts = kinds.add_parser(
        "marts",
        help=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=f"""{text[0].upper() + text[1:]}, a file a mart: DIR/<mart>.<csv|parquet|tex|md>.

csv and parquet hold every column as it is. latex and markdown are tables as a paper prints them: transfer cells as
sources x targets, lexicon induction as methods x dictionary sizes, any other mart with all its columns; percentage
points to one decimal with their sign, shares to three decimals, an en dash for no value. LaTeX files are for \\input
and need the package booktabs (tables of more than 45 rows: longtable too).

Read is what passed its checks: the published file. --warehouse warehouse.duckdb reads the marts as they are.""",
    )
    marts.set_defaults(run=_export_marts)
    add_study(marts)
    marts.add_argument("--format", required=True, help="csv, parquet, latex or markdown")
    marts.add_argument("--mart", action="append", default=[], help="only this mart, such as rpt_roles; may be repeated")
    add_warehouse(marts, PUBLISHED)

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
    vectors.add_argument("--method", action="append", default=[], help="only this mapping method; may be repeated")
    vectors.add_argument("--pair", action="append", default=[], help="only this pair, such as en-de; may be repeated")
    vectors.add_argument(
        "--size", action="append", default=[], type=positive_or_zero, help="only this dictionary size; may be repeated"
    )
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
    adapters.add_argument(
        "--source", action="append", default=[], metavar="TASK/LANGUAGE", help="only this source; may be repeated"
    )
    adapters.add_argument("--model", action="append", default=[], help="only this model; may be repeated")
    adapters.add_argument("--variant", action="append", default=[], help="only this variant; may be repeated")
    add_warehouse(adapters)

    for one in (marts, vectors, adapters):
        add_project(one)
        one.add_argument("--to", required=True, type=TypedPath, metavar="DIR", help="where to write; made if not there")


def run(options: Options) -> int:
    """Do what the chosen kind does."""
    return int(options.run(options))


def _export_marts(options: Options) -> int:
    from report.paper.marts import export_marts  # seconds to import

    warehouse = Warehouse(options.warehouse, options.wait, say)
    study = study_name(options)
    written = export_marts(warehouse, study, options.format, options.to, options.mart)
    say(f"{options.to}: {len(written)} marts of {study} exported")
    return 0


def _export_vectors(options: Options) -> int:
    from compute.verbs.vector_export import export_vectors

    warehouse = Warehouse(options.warehouse, options.wait, say)
    store = ArtifactStore(ARTIFACTS)
    return export_vectors(
        warehouse, study_name(options), store, options.to, say, options.method, options.pair, options.size
    )


def _export_adapters(options: Options) -> int:
    from compute.verbs.adapter_export import export_adapters

    warehouse = Warehouse(options.warehouse, options.wait, say)
    store = ArtifactStore(ARTIFACTS)
    return export_adapters(
        warehouse, study_name(options), store, options.to, say, options.source, options.model, options.variant
    )
