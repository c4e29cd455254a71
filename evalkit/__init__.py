"""evalkit: one committed YAML spec, one reproducible evaluation run, one honest report."""

__version__ = "0.1.0"
