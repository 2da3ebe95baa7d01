"""What a run of weak-order says in a sentence or a phrase: for its figure and its report."""


def answer(summary: dict, separator: str = " ") -> str:
    """What the slopes say together, or which of them aren't as expected."""
    statuses = {name: m["status"] for name, m in summary["comparisons"].items()}
    missed = [f"{name.replace('_', ' ')} {status}" for name, status in statuses.items() if status != "met"]
    if missed:
        return f"{len(statuses) - len(missed)} of {len(statuses)} slopes as expected; {', '.join(missed)}."
    return (
        "Means at fixed time: SGD is O(η) from its SDE, and from gradient flow too; O(η²) from the order-2 equation."
        f"{separator}Fluctuations: the SDE gets their variance right to a relative O(η); gradient flow has none."
        f"{separator}Heavy ball: O(√η) at fixed (1−m)/√η. SVAG: O(1/ℓ). All {len(statuses)} slopes as expected."
    )
