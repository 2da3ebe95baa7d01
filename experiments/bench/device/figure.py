"""The figure of ``bench --device``: errors, verdicts, step times, replicas."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from experiments.bench.device.verdicts import LABELS, MARGIN

_NETS = ("f2", "c1")
_HIGHEST, _DEFAULT, _CPU, _PEER = "#1f78b4", "#d95f02", "0.55", "#33a02c"
_TOTAL, _COUPLED = "#b2182b", "#6a3d9a"


def figure_of(found: dict[str, Any]) -> Figure:
    """Four panels; a part that has no result leaves its panel empty, and says so.

    Args:
        found: what the JSON holds.
    """
    errors = _errors(found)
    figure = Figure(figsize=(14, max(9.0, 3.4 + 0.27 * len(errors))), layout="constrained")
    axes = figure.subplots(2, 2, height_ratios=[max(1.0, len(errors) / 14), 1])
    _draw_errors(axes[0, 0], errors)
    _draw_verdicts(axes[0, 1], found, -0.1 if len(errors) > 20 else -0.18)
    _draw_steps(axes[1, 0], found)
    _draw_replicas(axes[1, 1], found)
    toy = ", toy sizes: a test of the command and not of the device" if found["settings"]["toy"] else ""
    versions = found["versions"]
    figure.suptitle(f"sdesgd on {found['device']['kind']}, jax {versions['jax']}{toy}", fontsize=13)
    return figure


def _part(found: dict[str, Any], name: str) -> dict[str, Any]:
    return found["parts"].get(name, {}).get("result", {})


def _empty(axis: Axes, what: str) -> None:
    axis.set_title(f"{what}: not measured", loc="left", fontsize=11)
    axis.set_axis_off()


# -- float32 against float64 -------------------------------------------------------------------------------


def _errors(found: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(net, row) for net in _NETS for row in _part(found, f"precision {net}").get("quantities", [])]


def _draw_errors(axis: Axes, errors: list[tuple[str, dict[str, Any]]]) -> None:
    if not errors:
        _empty(axis, "float32 against float64")
        return
    for y, (_, row) in enumerate(errors):
        axis.plot([row["allowed"]] * 2, [y - 0.35, y + 0.35], color="black", lw=1.5)
        axis.plot(_seen(row["cpu_float32"]), y, "s", color=_CPU, ms=5)
        axis.plot(_seen(row["default"]), y, "D", color=_DEFAULT, ms=6, mfc="none", mew=1.6)
        axis.plot(_seen(row["highest"]), y, "o", color=_HIGHEST, ms=5)
    axis.set_yticks(range(len(errors)), [f"{net.upper()}  {row['quantity']}" for net, row in errors], fontsize=8)
    axis.set_ylim(len(errors) - 0.5, -0.5)
    axis.set_xscale("log")
    axis.set_xlabel("relative error against float64 on the CPU; of a step, that of θ₁ − θ₀")
    axis.grid(axis="x", color="0.9")
    within = [sum(bool(row[f"{p}_within"]) for _, row in errors) for p in ("highest", "default")]
    axis.set_title(
        f"float32 against float64: within what is allowed are {within[0]} of {len(errors)}\n"
        f"at the highest precision of matrix products, {within[1]} at JAX's default",
        loc="left",
        fontsize=10,
    )
    handles = [
        Line2D([], [], ls="", marker="s", color=_CPU, label="CPU, float32"),
        Line2D([], [], ls="", marker="D", mfc="none", mew=1.6, color=_DEFAULT, label="device, default precision"),
        Line2D([], [], ls="", marker="o", color=_HIGHEST, label="device, highest precision"),
        Line2D([], [], color="black", label="allowed"),
    ]
    axis.legend(handles=handles, fontsize=8, loc="upper center", bbox_to_anchor=(0.4, -0.1), ncols=2, frameon=False)


def _seen(error: float | None) -> float:
    """An error of exactly 0 stands at the left edge of what float32 resolves."""
    return max(error if error is not None else float("nan"), 1e-9)


# -- verdicts ----------------------------------------------------------------------------------------------


def _draw_verdicts(axis: Axes, found: dict[str, Any], below: float) -> None:
    rows, titles = [], []
    for net in _NETS:
        result = _part(found, f"verdicts {net}")
        for name, judged in result.get("observables", {}).items():
            rows.append((f"{net.upper()}  {LABELS[name]}\n{judged['reason'] or judged['kind']}", judged))
        if result.get("observables"):
            size = f"D = {result['num_parameters']:,}, N = {result['num_examples']:,}, S = {result['batch_size']}"
            titles.append(f"{net.upper()}: {size}, {result['steps']} steps × {result['replicas']} replicas")
    if not rows:
        _empty(axis, "SGD against its SDE")
        return
    axis.axvspan(-MARGIN, MARGIN, color="0.93")
    axis.axvline(0, color="0.5", lw=0.8)
    for y, (_, judged) in enumerate(rows):
        for part, colour, shift in (("sgd_minus_sde", _TOTAL, -0.12), ("gaussian_minus_sde", _COUPLED, 0.12)):
            mean, low, high = (judged[part][key][judged["worst_time"]] for key in ("mean", "low", "high"))
            if None not in (low, high):
                axis.plot([low, high], [y + shift] * 2, color=colour, lw=2)
            if mean is not None:
                axis.plot(mean, y + shift, "o", color=colour, ms=5)
    axis.set_yticks(range(len(rows)), [label for label, _ in rows], fontsize=8)
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_xlabel("difference of means, SDs of SGD, at the time least alike")
    axis.set_title("Does the SDE describe SGD at this size?\n" + "\n".join(titles), loc="left", fontsize=10)
    handles = [
        Line2D([], [], color=_TOTAL, marker="o", ms=5, label="SGD − SDE, independent, 95 %"),
        Line2D([], [], color=_COUPLED, marker="o", ms=5, label="Gaussian SGD − SDE, coupled, 95 %"),
        Patch(color="0.93", label=f"margin ±{MARGIN:g} SD"),
    ]
    axis.legend(handles=handles, fontsize=8, loc="upper center", bbox_to_anchor=(0.4, below), ncols=2, frameon=False)


# -- times -------------------------------------------------------------------------------------------------


def _draw_steps(axis: Axes, found: dict[str, Any]) -> None:
    labels: list[str] = []
    for net in _NETS:
        result, peer = _part(found, f"steps {net}"), _part(found, f"PyTorch {net}")
        for name in result.get("highest", {}):
            y = len(labels)
            labels.append(f"{net.upper()}  {name}")
            row, other = result["highest"][name], result.get("default", {}).get(name)
            axis.plot(row["seconds"]["median"], y, "o", color=_HIGHEST, ms=6)
            if other:
                axis.plot(other["seconds"]["median"], y, "D", color=_DEFAULT, ms=6, mfc="none", mew=1.6)
            for one, colour in ((row, _HIGHEST), (other, _DEFAULT)):
                if one and "floor" in one:
                    axis.plot([one["floor"]["seconds"]] * 2, [y - 0.3, y + 0.3], color=colour, lw=2)
            for precision, marker in (("highest", "s"), ("default", "|")):
                seconds = peer.get(precision, {}).get(name, {}).get("median")
                if seconds:
                    axis.plot(seconds, y, marker, color=_PEER, ms=6 if marker == "s" else 12, mew=1.6, mfc="none")
    if not labels:
        _empty(axis, "Step times")
        return
    axis.set_yticks(range(len(labels)), labels, fontsize=8)
    axis.set_ylim(len(labels) - 0.5, -0.5)
    axis.set_xscale("log")
    axis.grid(axis="x", color="0.9")
    axis.set_xlabel("seconds a step (median of repeats, compiled before)")
    axis.set_title("What a step costs, and the least it could", loc="left", fontsize=11)
    handles = [
        Line2D([], [], ls="", marker="o", color=_HIGHEST, label="highest precision"),
        Line2D([], [], ls="", marker="D", mfc="none", mew=1.6, color=_DEFAULT, label="default precision"),
        Line2D([], [], color=_HIGHEST, lw=2, label="floor: operations or bytes"),
        Line2D([], [], color=_DEFAULT, lw=2, label="floor at the default's rate"),
    ]
    if any(_part(found, f"PyTorch {net}").get("highest") for net in _NETS):
        handles.append(Line2D([], [], ls="", marker="s", mfc="none", mew=1.6, color=_PEER, label="PyTorch, float32"))
        handles.append(Line2D([], [], ls="", marker="|", ms=10, mew=1.6, color=_PEER, label="PyTorch, TF32 allowed"))
    axis.legend(handles=handles, fontsize=8, loc="upper center", bbox_to_anchor=(0.4, -0.18), ncols=3, frameon=False)


def _draw_replicas(axis: Axes, found: dict[str, Any]) -> None:
    drawn = False
    for net, marker in zip(_NETS, "os", strict=True):
        result = _part(found, f"replicas {net}")
        counts = sorted(int(key) for key in result if key.isdigit())
        if not counts:
            continue
        drawn = True
        speeds = [result[str(count)]["per_second"] for count in counts]
        axis.plot(
            counts, speeds, marker + "-", color=_HIGHEST, mfc=_HIGHEST if net == "f2" else "white", label=net.upper()
        )
        floors = [result[str(count)].get("floor", {}).get("seconds") for count in counts]
        if all(floors):
            axis.plot(
                counts, [c / f for c, f in zip(counts, floors, strict=True)], ":", color="0.4", marker=marker, ms=3
            )
    if not drawn:
        _empty(axis, "Replicas")
        return
    axis.plot([], [], ":", color="0.4", label="the most that the floor allows")
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    axis.grid(color="0.9")
    axis.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    axis.set_xlabel("replicas side by side (vmap)")
    axis.set_ylabel("SGD steps × replicas a second")
    axis.set_title("What replicas gain from sharing the device (highest precision)", loc="left", fontsize=11)
    axis.legend(fontsize=8)
