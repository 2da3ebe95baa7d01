"""What a run of stationary-loss says in a sentence or a phrase: for its figure and its report."""

from typing import NamedTuple

import numpy as np
from scipy import stats

from sdesgd import evidence

_LEVEL = 0.05  # of either claim; of a difference for all points and both arms of a case together (Bonferroni)
MARGIN = 0.05  # of a measured mean around its exact law, as a share of it
SAME = 0.02  # traces nearer than this are called equal


class Agreement(NamedTuple):
    """Measured means against their exact laws.

    Attributes:
        kind: of ``evidence.decide``: "equivalent" if every mean is within ``MARGIN`` of its law, by its 90 % interval
            (TOST); else "different" if one deviates, corrected for their number; else "inconclusive".
        worst: the largest deviation in standard errors, against its limit.
        limit: beyond which a deviation is one.
    """

    kind: str
    worst: float
    limit: float


def answer(summary: dict, separator: str = " ") -> str:
    """One sentence on the traces, one on the exact laws."""
    wrong = [case for case in summary["cases"].values() if not same_traces(case)]
    exact = [case for case in summary["cases"].values() if case["exact"]]
    parts = []
    if wrong:
        factors: dict[str, list[str]] = {}
        for case in wrong:
            factors.setdefault(case["group"], []).append(_factor(case))
        found = ", ".join(f"{group} {' and '.join(each)}" for group, each in factors.items())
        parts.append(f"At small η the loss follows Tr C, not Tr H (Tr H ÷ Tr C: {found}).")
    else:
        parts.append("Tr H and Tr C are equal here.")
    if exact:
        kinds = [agreement(case).kind for case in exact]
        held, undecided = kinds.count("equivalent"), kinds.count("inconclusive")
        every = "on all" if held == len(exact) else f"on only {held} of"
        more = f" ({undecided} undecided: more replicas)" if undecided else ""
        parts.append(
            f"At finite η it is neither: SGD's exact law holds {every} {len(exact)} losses where it is known{more}."
        )
    return separator.join(parts)


def agreement(case: dict) -> Agreement:
    """Whether both arms have the exact laws of a case; the SDE's is that of its integrator.

    A mean that could not be measured lets nothing be called equivalent.
    """
    arms = [
        (point, arm, law)
        for point in case["points"]
        for arm, law in (("SGD", "sgd_law"), ("SDE", "sde_law"))
        if arm in point
    ]
    z = np.array([deviation(*one) for one in arms])
    error = np.array([_relative_error(*one) for one in arms])
    degrees = np.array([max(point[arm]["replicas"] - 1, 1) for point, arm, _ in arms], float)
    limits = stats.t.isf(_LEVEL / 2 / len(arms), degrees)
    one_sided = stats.t.isf(_LEVEL, degrees)
    low, high = ((z + sign * one_sided) * error for sign in (-1, 1))
    wide = (z - limits) * error, (z + limits) * error
    kind = evidence.decide(low, high, MARGIN, wide=wide)
    if np.isnan(z).all():
        return Agreement(kind, float("nan"), float("nan"))
    worst = int(np.nanargmax(np.abs(z) / limits))
    return Agreement(kind, float(abs(z[worst])), float(limits[worst]))


def measured(point: dict, arm: str) -> bool:
    """Whether this arm has a mean with an error at this point."""
    return arm in point and point[arm]["mean"] is not None and bool(point[arm]["standard_error"])


def divided(case: dict, point: dict) -> bool:
    """Whether this is the point with η and S both divided."""
    return point["batch_size"] != case["points"][0]["batch_size"]


def same_traces(case: dict) -> bool:
    return abs(case["trace_hessian"] / case["trace_covariance"] - 1) < SAME


def _factor(case: dict) -> str:
    ratio = case["trace_hessian"] / case["trace_covariance"]
    return f"{ratio:.2g}" if ratio > 0.95 else f"1/{1 / ratio:.2g}"


def deviation(point: dict, arm: str, law: str) -> float:
    """(mean − law) ÷ standard error; for the SDE the law of its integrator."""
    if not measured(point, arm):
        return float("nan")
    expected = point[law] * (1 + point["integrator_bias"] if arm == "SDE" else 1)
    return (point[arm]["mean"] - expected) / point[arm]["standard_error"]


def _relative_error(point: dict, arm: str, law: str) -> float:
    """Standard error ÷ law."""
    if not measured(point, arm):
        return float("nan")
    return point[arm]["standard_error"] / (point[law] * (1 + point["integrator_bias"] if arm == "SDE" else 1))
