"""What of each mart is shown, under which headings, in which order: on the page, in LaTeX and in Markdown alike.

A mart that is not here is printed with all its columns (`EveryColumn`).
"""

from __future__ import annotations

from collections.abc import Mapping

from report.embedding_layouts import EMBEDDING_GRIDS, EMBEDDING_LISTINGS
from report.listings import Grid, Layout, Listing
from report.prediction_layouts import PREDICTION_LISTINGS
from report.transfer_layouts import TRANSFER_GRIDS, TRANSFER_LISTINGS

GRIDS: Mapping[str, Grid] = {**TRANSFER_GRIDS, **EMBEDDING_GRIDS}
LISTINGS: Mapping[str, Listing] = {**TRANSFER_LISTINGS, **EMBEDDING_LISTINGS, **PREDICTION_LISTINGS}
LAYOUTS: Mapping[str, Layout] = {**GRIDS, **LISTINGS}
