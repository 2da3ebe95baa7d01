"""Stationary laws: Fokker-Planck, covariances, expected losses."""
