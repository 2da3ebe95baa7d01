"""What a run of batch-size says in a sentence or a phrase: for its figure and its report."""

from experiments.batch_size.config import FAMILIES
from experiments.batch_size.fits import MISSED
from sdesgd.optimal_batch import Factor

_BUDGETS = {"steps": "{} steps", "epochs": "{} epochs", "loss": "until the train loss stops falling, at most {} steps"}


def _setting(summary: dict) -> list[str]:
    config, sizes = summary["config"], summary["sizes"]
    net = "softmax regression" if config["model"] == "logistic" else f"{config['depth']} × {config['width']} ReLU units"
    budget = _BUDGETS[config["budget"]].format(f"{sizes['budget_size']:,}")
    tests = f"{config['seeds']} runs per point, {summary['num_test']} test examples, the same for all"
    return [f"{config['data']}, {sizes['features']} inputs, {net}", f"SGD with replacement, {budget}", tests]


def answer(summary: dict, separator: str = " ") -> str:
    """The exponents, and for which of them 1 lies in the interval."""
    slopes = summary["fit"]["quantities"]
    found = [(factor, slopes[factor.exponent]) for factor in _varied(summary) if factor.exponent in slopes]
    if summary["fit"]["trouble"]:
        return f"The fit's numbers are not to be used: {summary['fit']['trouble']}."
    if not found:
        return "With one η, N and m there is nothing to learn on how B_opt scales."
    powers = " · ".join(f"{_power(factor.grows)}^{s['median']:.2f}" for factor, s in found)
    intervals = ", ".join(f"{factor.letter} [{s['low']:.2f}, {s['high']:.2f}]" for factor, s in found)
    inside = [factor.letter for factor, s in found if s["low"] <= 1 <= s["high"]]
    which = "all" if len(inside) == len(found) > 1 else " and ".join(inside)
    if len(found) == 1:
        where = f"lies {'inside' if inside else 'outside'}"
    else:
        where = f"lies in that of {which}" if inside else "lies in none"
    return (
        f"B_opt grows as {powers} on this net, data and budget.{separator}90 % interval{'s' * (len(found) > 1)}: "
        f"{intervals}; 1, proportionality, {where}."
    )


def _power(name: str) -> str:
    """What may be raised to a power."""
    return f"({name})" if "/" in name else name


def describe(summary: dict) -> str:
    """The setting and what the fit misses, in lines for the figure."""
    lines = [*_setting(summary), "points: mean accuracy with its 95 % interval over runs"]
    missed = [f"{name}, p = {p:.2g}" for name, p in summary["check"]["p"].items() if p < MISSED]
    if missed:
        lines.append(f"posterior predictive check, missed: {'; '.join(missed)}")
    return "\n".join(lines)


def _varied(summary: dict) -> list[Factor]:
    return [FAMILIES[family] for family in summary["families"]]


def setting_sentence(summary: dict) -> str:
    """The net, the data and the budget in words."""
    return f"{'; '.join(_setting(summary))}."
