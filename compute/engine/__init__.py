"""From a study to landed rows: the plan, its batches, and who runs them."""
