"""What a run of real-basins says in a sentence or a phrase: for its figure and its report."""

_COLOURS = {"equivalent": "green", "different": "red", "inconclusive": "yellow"}


def answer(summary: dict, separator: str = " ") -> str:
    """What the control says, and what SGD's own noise does, for all problems."""
    rows = [row for problem in summary["problems"].values() for row in problem["occupancy"]]
    found = {arm: [row["verdicts"][arm] for row in rows] for arm in ("isotropic", "SGD")}
    judged = {arm: [kind for kind in kinds if kind in _COLOURS] for arm, kinds in found.items()}
    if not judged["SGD"] or not judged["isotropic"]:
        return "Too few runs mixed to compare minibatch noise with Gibbs: see what was refused."
    isotropic, own = judged["isotropic"], judged["SGD"]
    errors = [half for row in rows if "isotropic" in row["gaps"] for half in row["gaps"]["isotropic"]["half_width"]]
    loose = f", with errors of up to ±{100 * max(errors):.0f}" if errors else ""
    text = (
        f"The control, isotropic noise, agrees with Gibbs within {summary['config']['margin']:g} percentage points at "
        f"{isotropic.count('equivalent')} of {len(isotropic)} η{loose}.{separator}"
        f"SGD's own noise of the same trace doesn't at {own.count('different')} of {len(own)}"
    )
    collapsed = found["SGD"].count("collapsed")
    text += f", and collapses at {collapsed} more" if collapsed else ""
    return f"{text} ({len(rows)} η in all)."
