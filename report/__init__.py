"""The report: one page over the marts, and a few words after a run."""
