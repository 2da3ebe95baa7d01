"""What a run of stationary-loss says in a sentence or a phrase: for its figure and its report."""

from scipy import stats

_LEVEL = 0.05  # of the test of all points and both arms of a case together (Bonferroni)
SAME = 0.02  # traces nearer than this are called equal


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
        held = sum(agreement(case)[0] for case in exact)
        every = "on all" if held == len(exact) else f"on only {held} of"
        parts.append(f"At finite η it is neither: SGD's exact law holds {every} {len(exact)} losses where it is known.")
    return separator.join(parts)


def agreement(case: dict) -> tuple[bool, float, float]:
    """(whether no point of either arm is beyond the limit, the largest |z|, the limit) of an exact law.

    z is in standard errors of the mean; the SDE's law is that of its integrator. The limit holds for all points of the
    case together (Bonferroni), each mean with its own degrees of freedom.
    """
    found = [
        (abs(deviation(point, arm, law)), point[arm]["replicas"] - 1)
        for point in case["points"]
        for arm, law in (("SGD", "sgd_law"), ("SDE", "sde_law"))
        if measured(point, arm)
    ]
    if not found:
        return False, float("nan"), float("nan")
    limits = [float(stats.t.isf(_LEVEL / 2 / len(found), degrees)) for _, degrees in found]
    worst = max(range(len(found)), key=lambda k: found[k][0] / limits[k])
    return found[worst][0] <= limits[worst], found[worst][0], limits[worst]


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
