"""Figures as functions of a result."""
