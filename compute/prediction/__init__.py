"""What is expected of cells that were not computed, from those that were, and what predicts transfer without tuning.

`grid` reads cells from the marts; `languages` says how alike languages are; `effects` what moves a cell; `mixed_model`
fits variances and predicts; `fitting` makes the rows that land in `raw.predictions`. `predictors` holds what is said of
transfer before anything is tuned, and `judging` lands it for `rpt_predictors`. Nothing upstream reads any of it.
"""
