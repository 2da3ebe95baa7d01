"""What the sources of basin-occupancy say of each other: SGD against Gibbs, runs against exact laws, powers of η."""

import dataclasses
import math
from typing import Any

import numpy as np
import xarray as xr
from scipy import stats

from experiments.basin_occupancy.config import ARMS, SOURCES
from experiments.basin_occupancy.setting import Setting
from sdesgd import evidence


def summarise(
    dataset: xr.Dataset, setting: Setting, found: dict[tuple[float, str], xr.Dataset], refused: dict[float, str]
) -> dict:
    """Everything that the report says, in plain numbers."""
    config, minima = setting.config, setting.minima
    rows = [_row(dataset, setting, T, found, refused.get(T)) for T in setting.temperatures]
    return {
        "experiment": "basin-occupancy",
        "config": dataclasses.asdict(config),
        "learning_rate": setting.learning_rate,
        "dimension": setting.potential.dimension,
        "barrier": setting.barrier,
        "basins": [
            {
                "name": name,
                "minimum": point.tolist(),
                "loss": float(loss),
                "curvatures": spectrum.tolist(),
                "barrier": float(barrier),
            }
            for name, point, loss, spectrum, barrier in zip(
                setting.names, minima.points, minima.losses, minima.spectra, setting.wells.barriers, strict=True
            )
        ],
        "saddles": [
            {"point": s.point.tolist(), "loss": s.value, "wells": [setting.names[k] for k in s.wells]}
            for s in setting.saddles
        ],
        "cores": _core_intervals(setting),
        "shown_temperature": next(row["temperature"] for row in rows if row["refused"] is None),
        "shown_basin": _shown_basin(rows),
        "temperatures": rows,
        "own_laws": own_laws(rows),
        "grid_error": _plain([dataset["grid_error"].values])[0],
        "powers": powers(dataset, setting, _shown_basin(rows)),
        "sizes": {"seed": config.seed, "dtype": "float64", "replicas": config.replicas},
    }


def _core_intervals(setting: Setting) -> list[list[float]]:
    edges = getattr(setting.wells, "core_edges", None)
    return [] if edges is None else np.clip(np.asarray(edges), -99, 99).tolist()


def _row(dataset: xr.Dataset, setting: Setting, T: float, found: dict, refused: str | None) -> dict:
    """All sources at one temperature."""

    def curve(name: str, axis: str) -> list[float] | None:
        if name not in dataset or not np.isclose(dataset[axis].values, T, rtol=1e-12).any():
            return None
        values = dataset[name].sel({axis: T}, method="nearest").values
        return values.tolist() if np.isfinite(values).all() else None

    theory = {name: curve(name, "curve_T") for name in ("gibbs", "reference", "laplace", "corrected")}
    exact = {arm: curve(f"exact_{arm}", "exact_T") for arm in ARMS[:2]}
    exact |= {"SDE": theory["reference"], "NUTS": theory["gibbs"]}
    measured = {}
    for source in SOURCES:
        if (T, source) not in found:
            continue
        data = found[T, source]
        crossings = data["crossings"].values
        measured[source] = {
            "probabilities": _plain(data["probabilities"].values),
            "standard_errors": _plain(data["standard_errors"].values),
            "crossings": (crossings.sum(axis=0) + crossings.sum(axis=1)).tolist() if source in ARMS else None,
            "refused": data.attrs.get("refused"),
            # A stage read from its file has numpy scalars, which JSON doesn't take.
            **{
                k: np.asarray(data.attrs[k]).item()
                for k in ("steps", "burn_in", "replicas", "r_hat", "ess")
                if k in data.attrs
            },
        }
    row = {"temperature": T, "refused": refused, "theory": theory, "exact": exact, "measured": measured}
    row["verdicts"] = [verdict(row, k, setting.config.margin / 100) for k in range(len(setting.minima))]
    return row


def verdict(row: dict, basin: int, margin: float) -> dict | None:
    """SGD against Gibbs and against the SDE's law in one basin, and the parts of the gap from the exact laws.

    The kinds are those of ``evidence.decide`` for the 95 % interval of the difference.
    """
    sgd = row["measured"].get("SGD")
    if sgd is None or sgd["refused"]:
        return None
    half = float(stats.norm.ppf(0.975) * sgd["standard_errors"][basin])
    exact = {arm: p and p[basin] for arm, p in row["exact"].items()}
    gibbs, measured = row["theory"]["gibbs"][basin], sgd["probabilities"][basin]
    parts = {"state-dependent noise": exact["SDE"] - gibbs}
    if exact["Gaussian SGD"] is not None:
        parts["finite steps"] = exact["Gaussian SGD"] - exact["SDE"]
        parts["non-Gaussian batches"] = exact["SGD"] - exact["Gaussian SGD"]
    elif exact["SGD"] is not None:
        parts["finite steps and non-Gaussian batches"] = exact["SGD"] - exact["SDE"]
    return {
        "kind": evidence.decide(measured - gibbs - half, measured - gibbs + half, margin),
        "gap": measured - gibbs,
        "half_width": half,
        "parts": parts,
        "law_kind": evidence.decide(measured - exact["SDE"] - half, measured - exact["SDE"] + half, margin),
        "law_gap": measured - exact["SDE"],
    }


def own_laws(rows: list[dict]) -> dict:
    """Every simulation against the exact law of what it simulates: the largest z and Holm's p-value for it."""
    z, where = [], []
    for row in rows:
        for source, measured in row["measured"].items():
            law = row["exact"][source]
            if measured["refused"] or law is None:
                continue
            # Probabilities sum to 1: one basin is left out.
            for basin in range(len(law) - 1):
                gap = measured["probabilities"][basin] - law[basin]
                z.append(gap / max(measured["standard_errors"][basin], 1e-12))
                where.append([source, row["temperature"], basin])
    if not z:
        return {"count": 0, "largest": None, "p_value": None, "where": None}
    worst = int(np.abs(z).argmax())
    adjusted = evidence.holm(2 * stats.norm.sf(np.abs(z)))
    return {"count": len(z), "largest": float(z[worst]), "p_value": float(adjusted[worst]), "where": where[worst]}


def powers(dataset: xr.Dataset, setting: Setting, basin: int) -> dict:
    """The power of η at which the exact laws approach the SDE's, at fixed T and S.

    Theory: 1 for tilts without skewness, as for Gaussian noise; ½ for skewed ones, whose third cumulant moves the law
    by η²κ₃/S² a unit of time, κ₃ ∝ (ST/η)^{3/2}.
    """
    skewed, found = setting.config.tilts == "skewed", {}
    for arm in setting.arms_with_law:
        gap = (dataset[f"limit_{arm}"] - dataset["limit_reference"]).values[:, basin]
        known = np.isfinite(gap)
        eta, gap = dataset["limit_eta"].values[known], gap[known]
        expected = 0.5 if skewed and arm == "SGD" else 1.0
        entry: dict[str, Any] = {"expected": expected, "gaps": gap.tolist(), "etas": eta.tolist()}
        # The smallest steps, on one side of zero.
        turned = np.sign(gap) != np.sign(gap[:1])
        kept = min(int(np.argmax(np.append(turned, True))), 6)
        if kept >= 5:
            fit = evidence.order_fit(eta[:kept] ** expected, gap[:kept], correction=True)
            line = np.geomspace(eta[0], eta[kept - 1], 30)
            band = dict(zip(("fit", "low", "high"), fit.band(line**expected), strict=True))
            entry["band"] = {"x": line.tolist(), **{k: v.tolist() for k, v in band.items()}}
            entry |= {k: float(getattr(fit, k) * expected) for k in ("order", "low", "high")}
        found[arm] = entry
    return {"temperature": float(dataset["limit_T"]), "arms": found}


def _shown_basin(rows: list[dict]) -> int:
    """The basin whose share SGD moves most, by its exact law; the deepest of two."""
    with_law = [row for row in rows if row["exact"]["SGD"] is not None]
    if len(rows[0]["theory"]["gibbs"]) == 2 or not with_law:
        return 0
    gaps = [np.abs(np.subtract(row["exact"]["SGD"], row["theory"]["gibbs"])) for row in with_law]
    return int(np.max(gaps, axis=0).argmax())


def _plain(values: Any) -> list[float | None]:
    return [float(x) if math.isfinite(x) else None for x in values]
