"""Experiments: one figure a file. ``python -m experiments NAME --help``."""
