"""The study: what to compute, declared in one YAML file."""
