"""The audit of a study in the warehouse: Great Expectations over `raw` and `marts`.

To add a check, add one `Check` to a tuple in `data_checks/suites/`; nothing else changes.
"""
