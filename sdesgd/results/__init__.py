"""What the library answers with: results that print, plot, save, load and show themselves in a notebook."""

from sdesgd.results.result import NotEstablished, Result

__all__ = ["NotEstablished", "Result"]
