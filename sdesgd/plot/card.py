"""The SDE's conditions as bars: each number against its limit."""

import math
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from sdesgd.plot import style

if TYPE_CHECKING:
    from sdesgd.comparison.card import ValidityCard

_COLOURS = {"holds": "#2c7f4f", "close": "#d59b00", "undecided": "#d59b00", "fails": "#b2182b", "unknown": "0.6"}
_LEAST = 1e-5


def figure_of(result: "ValidityCard") -> Figure:
    """Bars on a log axis: those that end left of the first line hold, those beyond the second fail.

    Args:
        result: of ``sg.validity_card``.
    """
    conditions = result.conditions
    rows = len(conditions) + 1
    values = [one.value for one in conditions if one.value > 0] + [0.02]
    ratio = result.noise_to_signal
    left = max(10 ** math.floor(math.log10(min(values)) - 0.3), _LEAST)
    highest = max([*(one.interval[1] for one in conditions if one.value > 0), 1.0])
    right = 10 ** (math.log10(highest / left) * 0.28) * max(highest, 3.0)  # room for the words
    drawn = style.figure(8.6, 1.5 + 0.42 * rows)
    axes = drawn.add_subplot()
    axes.set_xscale("log")
    axes.axvspan(1, right, color=_COLOURS["fails"], alpha=0.10, lw=0)
    axes.axvspan(0.1, 1, color=_COLOURS["close"], alpha=0.10, lw=0)
    axes.axvspan(left, 0.1, color=_COLOURS["holds"], alpha=0.10, lw=0)
    axes.axvline(1, color=_COLOURS["fails"], lw=1.8)
    for k, one in enumerate(conditions):
        end = min(max(one.value, left), right) if not math.isnan(one.value) else left
        axes.barh(k, end - left, left=left, color=_COLOURS[one.kind], height=0.6)
        low, high = one.interval
        if one.error > 0 and not math.isnan(one.value):
            axes.plot([max(low, left), high], [k, k], color="black", lw=1.2)
            end = max(end, high)
        _say(axes, end, k, str(one))
    k = rows - 1
    if math.isfinite(ratio):
        end = min(max(ratio, left), right)
        axes.plot([end], [k], "D", color="0.35", markersize=6, clip_on=False)
        words = f"{ratio:.3g}: " + ("noise dominates" if ratio > 1 else "the gradient dominates") + " (no condition)"
        crowded = end > right / (right / left) ** 0.35
        axes.annotate(words, (end, k), (-9 if crowded else 9, 0), textcoords="offset points", va="center", fontsize=9,
                      color="0.35", ha="right" if crowded else "left")  # fmt: skip
    else:
        words = "no gradient: all is noise" if ratio == math.inf else "neither gradient nor noise"
        _say(axes, left, k, words)
    labels = [*(f"{one.symbol}" for one in conditions), "f tr C / (S ‖g‖²)"]
    axes.set_yticks(range(rows), labels)
    axes.axhline(rows - 1.5, color="0.7", lw=0.8)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.set(
        xlim=(left, right),
        ylim=(rows - 0.4, -0.6),
        xlabel="number ÷ its limit, 1 (the SDE needs it far below)",
        ylabel="condition of the SDE",
    )
    worst = result.worst()
    words = "\n".join(f"{name}: {one}" for name, one in worst.items())
    drawn.suptitle(f"Can the SDE describe SGD at {result.setting()}?\n{words}", fontsize=11)
    return style.settled(drawn)


def _say(axes, x: float, k: int, words: str) -> None:
    axes.annotate(words, (x, k), (5, 0), textcoords="offset points", va="center", fontsize=9)
