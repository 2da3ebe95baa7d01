"""Plain tables of the terminal's reports."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from sdesgd.errors import InputError


def aligned(rows: Sequence[Sequence[str]], most: int = 30) -> list[str]:
    """Rows of cells as lines with aligned columns.

    Args:
        rows: the first is the head; as many cells each.
        most: rows below the head that are shown; of more, the first of them, and a line that says how many there are.

    Raises:
        InputError: rows of different lengths.
    """
    if len({len(row) for row in rows}) > 1:
        raise InputError(f"rows have {sorted({len(row) for row in rows})} cells: pass as many in each")
    shown = rows[: 1 + most]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in shown]
    return lines + ([f"({most} of {len(rows) - 1} shown)"] if len(rows) > len(shown) else [])


def point(coordinates: Float[np.ndarray, " D"], most: int = 4) -> str:
    """A point in a table: its coordinates, or the first of them.

    Args:
        coordinates: (D,).
        most: how many are shown.
    """
    if len(coordinates) == 1:
        return f"{coordinates[0]:.4g}"
    text = ", ".join(f"{x:.3g}" for x in coordinates[:most])
    return f"({text}{', …' if len(coordinates) > most else ''})"
