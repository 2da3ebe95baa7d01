"""What a run of basin-occupancy says in a sentence or a phrase: for its figure and its report."""


def settings(summary: dict) -> str:
    """The potential and the numbers of the run, in a line."""
    config = summary["config"]
    noise = "constant C" if config["noise"] == "constant" else "C(θ) larger to the right"
    tilts = config["tilts"]
    if tilts == "skewed":
        N = config["examples"]
        tilts += f" (N = {N} a coordinate, skewness {(N - 2) / (N - 1) ** 0.5:.2g})"
    return (
        f"{config['potential']} potential, η = {summary['learning_rate']:g}, S = {config['batch_size']}, {tilts} "
        f"tilts, {noise}, barrier {summary['barrier']:.3g}, {config['replicas']} replicas"
    )


def law_name(summary: dict) -> str:
    """The SDE's stationary law: "Gibbs", or where C varies "Itô"."""
    return "Gibbs" if summary["config"]["noise"] == "constant" else "Itô"


def answer(summary: dict) -> str:
    """Where SGD stands against Gibbs, in a line."""
    k, config = summary["shown_basin"], summary["config"]
    name, margin = summary["basins"][k]["name"], config["margin"]
    rows = [row for row in summary["temperatures"] if row["verdicts"][k] is not None]
    if not rows:
        return "No simulation of SGD mixed: see what was refused."
    kinds = {row["verdicts"][j]["kind"] for row in rows for j in range(len(summary["basins"]))}
    gaps = [100 * row["verdicts"][k]["gap"] for row in rows]
    many = f"all {len(rows)} temperatures" if len(rows) > 1 else f"T = {rows[0]['temperature']:g}"
    if kinds == {"equivalent"}:
        text = f"SGD sits in each basin as often as Gibbs says, within {margin:g} percentage points, at {many}"
    elif all(row["verdicts"][k]["kind"] == "inconclusive" for row in rows):
        half = max(100 * row["verdicts"][k]["half_width"] for row in rows)
        text = f"SGD's share of basin {name} can't be told from what Gibbs says, to ±{half:.1f} percentage points"
    else:
        text = f"SGD sits in basin {name} {_compared(gaps)} Gibbs says"
    if config["noise"] != "constant":
        with_law = [row for row in rows if row["exact"]["SGD"]]
        ito = [100 * (row["exact"]["SGD"][k] - row["theory"]["reference"][k]) for row in with_law]
        return text + (f", and {_compared(ito)} the Itô density, the limit η → 0." if ito else ".")
    found = summary["powers"]["arms"].get("SGD", {})
    sure = "order" in found and found["high"] - found["low"] < 0.5
    return text + (f"; the gap vanishes as η^{found['order']:.2f}." if sure else ".")


def _compared(gaps: list[float]) -> str:
    """Gaps in percentage points, in words."""
    low, high = min(gaps), max(gaps)
    if low < 0 < high:
        return f"{low:+.1f} to {high:+.1f} percentage points off what".replace("-0.0", "0.0").replace("+0.0", "0.0")
    near, far = sorted([f"{abs(low):.1f}", f"{abs(high):.1f}"], key=float)
    return (
        f"{near if near == far else f'{near} to {far}'} percentage points {'more' if low >= 0 else 'less'} often than"
    )


def power_text(found: dict) -> str:
    """The measured power of η, its interval and what theory says."""
    if "order" not in found:
        return f"power not measured (too few steps on one side of zero), theory {found['expected']:g}"
    return f"power {found['order']:.2f} [{found['low']:.2f}, {found['high']:.2f}], theory {found['expected']:g}"
