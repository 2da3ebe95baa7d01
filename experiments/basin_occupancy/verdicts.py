"""What the sources of basin-occupancy say of each other: SGD against Gibbs, runs against exact laws, powers of η."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import xarray as xr
from scipy import stats

from experiments.basin_occupancy.config import ARMS, SOURCES
from experiments.basin_occupancy.result import Measured, OwnLaws, Power, Powers, Row, Theory, Verdict
from experiments.basin_occupancy.setting import Setting
from sdesgd import evidence


def row_of(
    data: xr.Dataset, setting: Setting, T: float, found: dict[tuple[float, str], xr.Dataset], refused: str | None
) -> Row:
    """All sources at one temperature."""

    def exact(name: str, axis: str) -> np.ndarray | None:
        if name not in data or not np.isclose(data[axis].values, T, rtol=1e-12).any():
            return None
        values = data[name].sel({axis: T}, method="nearest").values
        return values if np.isfinite(values).all() else None

    curves = (data[name].sel(curve_T=T, method="nearest").values for name in ("gibbs", "reference", "laplace"))
    theory = Theory(*curves, corrected=exact("corrected", "curve_T"))
    laws = {arm: exact(f"exact_{arm}", "exact_T") for arm in ARMS[:2]}
    laws |= {"SDE": theory.reference, "NUTS": theory.gibbs}
    measured = {source: _measured(found[T, source], source) for source in SOURCES if (T, source) in found}
    row = Row(T, refused, theory, laws, measured)
    margin = setting.config.margin / 100
    return dataclasses.replace(row, verdicts=tuple(verdict(row, k, margin) for k in range(len(setting.minima))))


def _measured(data: xr.Dataset, source: str) -> Measured:
    crossings = data["crossings"].values
    return Measured(
        data["probabilities"].values,
        data["standard_errors"].values,
        crossings.sum(axis=0) + crossings.sum(axis=1) if source in ARMS else None,
        # A stage read from its file has numpy scalars.
        **{name: np.asarray(value).item() for name, value in data.attrs.items()},
    )


def verdict(row: Row, basin: int, margin: float) -> Verdict | None:
    """SGD against Gibbs and against the SDE's law in one basin, and the parts of the gap from the exact laws."""
    sgd = row.measured.get("SGD")
    if sgd is None or sgd.refused:
        return None
    gibbs, law = (float(values[basin]) for values in (row.theory.gibbs, row.theory.reference))
    own, gaussian = (row.exact[arm] for arm in ARMS[:2])
    parts = {"state-dependent noise": law - gibbs}
    if own is not None and gaussian is not None:
        parts["finite steps"] = float(gaussian[basin] - law)
        parts["non-Gaussian batches"] = float(own[basin] - gaussian[basin])
    elif own is not None:
        parts["finite steps and non-Gaussian batches"] = float(own[basin] - law)
    measured, error = sgd.probabilities[basin], sgd.standard_errors[basin]
    against_gibbs, against_law = (evidence.decide_differences(measured - p, error, margin) for p in (gibbs, law))
    return Verdict(against_gibbs, against_law, parts)


def own_laws(rows: Sequence[Row]) -> OwnLaws:
    """Every simulation against the exact law of what it simulates: the largest z and Holm's p-value for it."""
    z, where = [], []
    for row in rows:
        for source, measured in row.measured.items():
            law = row.exact[source]
            if measured.refused or law is None:
                continue
            # Probabilities sum to 1: one basin is left out.
            for basin in range(len(law) - 1):
                gap = measured.probabilities[basin] - law[basin]
                z.append(gap / max(measured.standard_errors[basin], 1e-12))
                where.append((source, row.temperature, basin))
    if not z:
        return OwnLaws(0)
    worst = int(np.abs(z).argmax())
    adjusted = evidence.holm(2 * stats.norm.sf(np.abs(z)))
    return OwnLaws(len(z), float(z[worst]), float(adjusted[worst]), where[worst])


def powers(data: xr.Dataset, setting: Setting, basin: int) -> Powers:
    """The power of η at which the exact laws approach the SDE's, at fixed T and S.

    Theory: 1 for tilts without skewness, as for Gaussian noise; ½ for skewed ones, whose third cumulant moves the law
    by η²κ₃/S² a unit of time, κ₃ ∝ (ST/η)^{3/2}.
    """
    skewed, found = setting.config.tilts == "skewed", {}
    for arm in setting.arms_with_law:
        gap = (data[f"limit_{arm}"] - data["limit_reference"]).values[:, basin]
        known = np.isfinite(gap)
        eta, gap = data["limit_eta"].values[known], gap[known]
        expected = 0.5 if skewed and arm == "SGD" else 1.0
        # The smallest steps, on one side of zero.
        turned = np.sign(gap) != np.sign(gap[:1])
        kept = min(int(np.argmax(np.append(turned, True))), 6)
        fit = evidence.order_fit(eta[:kept] ** expected, gap[:kept], correction=True) if kept >= 5 else None
        found[arm] = Power(expected, eta, gap, fit)
    return Powers(float(data["limit_T"]), found)


def shown_basin(rows: Sequence[Row]) -> int:
    """The basin whose share SGD moves most, by its exact law; the deepest of two."""
    gaps = [np.abs(law - row.theory.gibbs) for row in rows if (law := row.exact["SGD"]) is not None]
    if len(rows[0].theory.gibbs) == 2 or not gaps:
        return 0
    return int(np.max(gaps, axis=0).argmax())
