"""The verbs of the console script `transfer`, one module each."""
