"""The version, in the one place that everything else takes it from."""

__version__ = "1.0.0"
