"""Basins: Laplace, symmetry, rates and occupancies."""
