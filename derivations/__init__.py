"""Derivations in sympy, one claim a file. Imports nothing of sdesgd."""
