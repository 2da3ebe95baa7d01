"""What a posterior prints, and its numbers as an xarray dataset."""

from typing import TYPE_CHECKING

import numpy as np

from sdesgd.optimal_batch.factors import FACTORS
from sdesgd.optimal_batch.prediction import Peak

if TYPE_CHECKING:
    import xarray as xr

    from sdesgd.optimal_batch.posterior import Posterior

_MOST = 24  # series that are printed
_LEVEL = 0.9


def headline(posterior: "Posterior", separator: str = " ") -> str:
    """The exponents with their intervals, and for which of them 1 lies inside.

    Args:
        posterior: of ``fit``.
        separator: between what B_opt grows as and the intervals.
    """
    if posterior.law != "power":
        c, (low, high) = posterior.median("c"), posterior.interval("c", _LEVEL)
        return f"η(N/B_opt − 1)/(1−m) = c with c = {c:.3g};{separator}90 % interval [{low:.3g}, {high:.3g}]."
    found = [(factor, *posterior.interval(factor.exponent, _LEVEL)) for factor in FACTORS if _has(posterior, factor)]
    if not found:
        return "With one η, N and m there is nothing to learn about how B_opt scales."
    medians = [f"{_power(factor.grows)}^{posterior.median(factor.exponent):.2f}" for factor, _, _ in found]
    intervals = ", ".join(f"{factor.letter} [{low:.2f}, {high:.2f}]" for factor, low, high in found)
    inside = [factor.letter for factor, low, high in found if low <= 1 <= high]
    where = {len(found): "in each", 0: "in none"}.get(len(inside), f"in that of {' and '.join(inside)}")
    if len(found) == 1:
        where = "inside" if inside else "outside"
    return (
        f"B_opt grows as {' · '.join(medians)}.{separator}90 % interval{'s' * (len(found) > 1)}: {intervals}; "
        f"1, proportionality, lies {where}."
    )


def posterior_report(posterior: "Posterior") -> str:
    """Of a terminal: the law, its numbers, the best batch size of every series, the chains."""
    table = posterior.table
    runs, out = len(table.seed), int(table.diverged.sum())
    bad = f", {out} of which diverged and are left out" if out else ""
    lines = []
    if trouble := posterior.trouble():
        lines += [f"Not to be used: {trouble}", ""]
    lines += [
        headline(posterior),
        f"Fitted to {_count(len(table.series), 'series', 'series')} of {runs} runs{bad}.",
        "",
    ]
    rows = [("", "median", "90 % interval")]
    for factor in FACTORS:
        if _has(posterior, factor):
            rows.append((f"{factor.letter}, power of {factor.grows}", *_numbers(posterior, factor.exponent, ".2f")))
    if "c" in posterior.quantities:
        rows.append(("c", *_numbers(posterior, "c", ".3g")))
    if "tau" in posterior.quantities:
        rows.append(("τ, scatter of log B_opt", *_numbers(posterior, "tau", ".2f")))
    lines += [*_aligned(rows), ""] if len(rows) > 1 else []
    rows = [("series", "B_opt", "90 % interval")]
    for series, index in list(zip(table.series, range(len(table.series)), strict=True))[:_MOST]:
        peak = posterior.peak(index, _LEVEL)
        rows.append((series.name, *peak_in_words(peak)))
    lines += _aligned(rows)
    if len(table.series) > _MOST:
        lines.append(f"… and {len(table.series) - _MOST} more: see .peak(k)")
    chains = posterior.batch_opt.shape[0]
    lines += [
        "",
        f"{chains} chains: R-hat up to {max(posterior.r_hat.values()):.3f}, ESS from "
        f"{min(posterior.ess.values()):.0f}, {_count(posterior.divergences, 'divergence')} in {posterior.num_draws} "
        "draws.",
    ]
    return "\n".join(lines)


def peak_in_words(peak: Peak) -> tuple[str, str]:
    """Median and interval of a peak; a bound where it may lie beyond the batch sizes that were sampled."""
    low, high = short(peak.low), short(peak.high)
    beyond = "beyond the sampled batch sizes"
    if peak.censored == "low":
        return f"< {high}", f"may lie below, {beyond}"
    if peak.censored == "high":
        return f"> {low}", f"may lie above, {beyond}"
    if peak.censored:
        return "?", f"may lie on either side, {beyond}"
    return short(peak.median), f"[{low}, {high}]"


def short(value: float) -> str:
    """Two digits, or all before the point."""
    return f"{value:.2g}" if value < 10 else f"{value:.0f}"


def posterior_dataset(posterior: "Posterior") -> "xr.Dataset":
    """Draws of the reported quantities, (chain, draw), and of B_opt, (chain, draw, series)."""
    import xarray as xr

    table = posterior.table
    names = {"R_hat": posterior.r_hat, "ess": posterior.ess}
    diagnostics = {name: ("quantity", np.array(list(values.values()))) for name, values in names.items()}
    draws = {name: (("chain", "draw"), values) for name, values in posterior.quantities.items()}
    factors = {factor.option: ("series", [getattr(s, factor.option) for s in table.series]) for factor in FACTORS}
    about = {name: getattr(posterior, name) for name in ("law", "divergences", "acceptance")}
    about["trouble"] = posterior.trouble()
    return xr.Dataset(
        draws | {"B_opt": (("chain", "draw", "series"), posterior.batch_opt)} | diagnostics,
        coords=factors | {"quantity": list(posterior.r_hat)},
        attrs=about,
    )


def _has(posterior: "Posterior", factor) -> bool:
    return factor.exponent in posterior.quantities


def _numbers(posterior: "Posterior", name: str, digits: str) -> tuple[str, str]:
    low, high = posterior.interval(name, _LEVEL)
    return format(posterior.median(name), digits), f"[{low:{digits}}, {high:{digits}}]"


def _power(name: str) -> str:
    """What may be raised to a power."""
    return f"({name})" if "/" in name else name


def _count(number: int, one: str, several: str = "") -> str:
    return f"{number} {one if number == 1 else several or one + 's'}"


def _aligned(rows: list[tuple[str, str, str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [f"  {a:<{widths[0]}}  {b:>{widths[1]}}  {c}".rstrip() for a, b, c in rows]
