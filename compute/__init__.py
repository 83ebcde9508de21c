"""Transfer Warehouse: declared studies, computed once, landed in DuckDB."""

__version__ = "0.2.0"
