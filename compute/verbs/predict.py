"""`transfer predict`: what cells that were not computed are expected to be, and what told of transfer before tuning."""

from __future__ import annotations

import argparse
import re

from compute.names import UnknownName
from compute.prediction.grid import Cell, Model
from compute.prediction.reading import Asked
from compute.store.warehouse import Warehouse
from compute.verbs.chosen import study_name
from compute.verbs.options import CELL, Options, Parser, add_study, add_warehouse, say
from compute.verbs.predicting import predict


def add_arguments(parser: Parser) -> None:
    """Add what the verb takes."""
    parser.add_several("--source", "a source that the study does not have; may be repeated", CELL, cell)
    parser.add_several("--target", "a target that the study does not have; may be repeated", CELL, cell)
    text = "a model that the study does not have, and what is known of it; may be repeated"
    parser.add_several("--model", text, "NAME[,family=F][,parameters=N]", new_model)
    add_study(parser)
    add_warehouse(parser)


def run(options: Options) -> int:
    """Predict, land the predictions, build their marts, and print a few; return 1 where the marts are not built."""
    warehouse = Warehouse(options.warehouse, options.wait, say)
    asked = Asked(tuple(options.model), tuple(options.source), tuple(options.target))
    told = predict(warehouse, study_name(options), asked)
    print(told.text, end="")
    return told.code


def cell(text: str) -> Cell:
    """Return a task and a language. Raises ArgumentTypeError for what is no such thing."""
    task, slash, language = text.rpartition("/")
    if not (slash and task and re.fullmatch(r"[a-z]{2,3}", language)):
        raise argparse.ArgumentTypeError(f"expected TASK/LANGUAGE (ISO 639-1, else 639-3), found {text!r}")
    return task, language


def new_model(text: str) -> Model:
    """Return a model's name, and its family and number of parameters if given. Raises ArgumentTypeError."""
    name, *facts = text.split(",")
    known: dict[str, str] = {}
    for fact in facts:
        key, equals, value = fact.partition("=")
        if key not in ("family", "parameters"):
            raise argparse.ArgumentTypeError(f"{text!r}: {UnknownName('fact', key, ('family', 'parameters'))}")
        if not (equals and value) or key in known:
            raise argparse.ArgumentTypeError(f"{text!r}: expected {key}=... once")
        known[key] = value
    if not name:
        raise argparse.ArgumentTypeError(f"expected NAME[,family=F][,parameters=N], found {text!r}")
    return Model(name, known.get("family"), _parameters(known.get("parameters")))


def _parameters(text: str | None) -> int | None:
    if text is None:
        return None
    if not re.fullmatch(r"0*[1-9]\d{0,17}", text):
        raise argparse.ArgumentTypeError(f"parameters: expected a whole number, 1 or more, found {text!r}")
    return int(text)
