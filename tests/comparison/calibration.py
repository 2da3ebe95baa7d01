"""How often ``sg.compare`` claims what isn't so, and how often its intervals hold the truth, on exact laws.

``python -m tests.comparison.calibration run --case equal --repetitions 500 --out FILE`` appends a line a comparison,
and goes on where it was stopped; ``... report --out FILE`` prints rates with binomial errors.

ℓ_i(θ) = ½ h (θ − x_i)², Σ x_i = 0: means and variances of all arms follow from their recursions,

    E θ_k = (1 − z)^k θ_0 (SGD and Gaussian SGD),   P(z)^k θ_0 (the SDE at h = η),   P(z/2)^{2k} θ_0 (at η/2),   z = ηh,

P(z) = 1 − z + z²/2 − z³/6 of the RK3. So with θ_0 the gap is what one likes, 0 among it, or the margin.
"""

import argparse
import contextlib
import dataclasses
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from unittest import mock

import jax.numpy as jnp
import jax.random as jr
import numpy as np

import sdesgd as sg
from sdesgd.comparison import judgement, protocol
from sdesgd.errors import InputError
from sdesgd.evidence import GroupSequential

ETA, CURVATURE, BATCH_SIZE, STEPS, SAVE_EVERY = 0.5, 1.0, 4, 6, 3
_NORMAL = np.sqrt(2) * np.array([0.0627, 0.1891, 0.3186, 0.4541, 0.5999, 0.7639, 0.9634, 1.2675])
EXAMPLES = np.concatenate([-_NORMAL[::-1], _NORMAL])  # about the quantiles of a Gaussian


@dataclasses.dataclass(frozen=True)
class Case:
    """What is planted.

    Attributes:
        gap: SGD − SDE at the saved step where it is largest, in SGD's standard deviations there.
        options: of ``compare``.
        may_differ: whether "different" can be claimed; where not, that doesn't end a run before "equivalent" may.
    """

    gap: float
    options: dict
    may_differ: bool = True


CASES = {
    # No number of replicas shows equivalence at so small a margin: all looks are taken.
    "equal": Case(0.0, {"margin": 0.02, "max_replicas": 120}),
    "equal-fixed": Case(0.0, {"margin": 0.02, "replicas": 40}),
    "margin": Case(1.0, {"margin": 1.0}),
    "margin-alone": Case(1.0, {"margin": 1.0}, may_differ=False),
    "margin-alone-half": Case(0.5, {"margin": 0.5}, may_differ=False),
    "within": Case(0.4, {"margin": 1.0}, may_differ=False),
    "margin-alone-absolute": Case(1.0, {"margin": "absolute"}, may_differ=False),
}


def truth(gap: float) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
    """(θ_0, SGD's standard deviation, E SGD − E SDE, E SDE at h − at h/2) with the last three at the saved steps."""
    z, steps = ETA * CURVATURE, np.arange(0, STEPS + 1, SAVE_EVERY)
    stable = lambda z: 1 - z + z**2 / 2 - z**3 / 6  # noqa: E731
    variance = np.mean(EXAMPLES**2) * z**2 / BATCH_SIZE * (1 - (1 - z) ** (2 * steps)) / (1 - (1 - z) ** 2)
    deviation, factor = np.sqrt(variance), stable(z) ** steps - (1 - z) ** steps
    start = gap / np.max(factor[1:] / deviation[1:])
    return start, deviation, -factor * start, (stable(z) ** steps - stable(z / 2) ** (2 * steps)) * start


@contextlib.contextmanager
def verdicts_alone(may_differ: bool) -> Iterator[None]:
    """Without what is beside the verdicts, which takes time; or with one relabelling, which claims nothing."""

    def monitor(**options):
        return GroupSequential(**options | ({} if may_differ else {"permutations": 1}))

    beside = mock.patch.object(judgement, "joint_laws", return_value={})
    also = mock.patch.object(judgement, "against", return_value={})
    card = mock.patch.object(protocol, "validity_card", side_effect=InputError("left out"))
    with beside, also, card, mock.patch.object(protocol, "GroupSequential", monitor):
        yield


def compared(case: Case, number: int) -> sg.Comparison:
    """One comparison; θ alone is observed."""
    start, _, gap, _ = truth(case.gap)
    problem = sg.Problem(lambda w, x: 0.5 * CURVATURE * (w - x) ** 2, np.zeros(()), EXAMPLES)
    options = dict(case.options)
    if options["margin"] == "absolute":
        options["margin"] = sg.evidence.Margin(float(np.max(np.abs(gap))), "absolute")
    with verdicts_alone(case.may_differ):
        return sg.compare(
            problem,
            sg.SGD(ETA, BATCH_SIZE),
            num_steps=STEPS,
            save_every=SAVE_EVERY,
            key=jr.fold_in(jr.key(2207), number),
            observables=_OBSERVED,
            params=jnp.asarray(start),
            max_minutes=math.inf,
            progress="",
            **options,
        )


_OBSERVED = {"theta": lambda w: w}


def record(name: str, number: int) -> dict:
    """What one comparison claimed, and which of its intervals hold the truth."""
    case = CASES[name]
    made = compared(case, number)
    _, deviation, gap, error = truth(case.gap)
    moving = deviation > 0
    in_sd = [np.divide(x, deviation, where=moving, out=np.zeros_like(x)) for x in (gap, error)]
    worst = made.worst["theta"]
    held = {
        "worst": worst.low <= in_sd[0][worst.index] <= worst.high,
        "gap": _holds(made.gap["theta"], in_sd[0]),
        "h_against_half": _holds(made.h_against_half["theta"], in_sd[1]),
        "discretisation": _holds(made.discretisation["theta"], in_sd[0]),
        "non_gaussian": _holds(made.non_gaussian["theta"], np.zeros_like(gap)),
    }
    return {
        "case": name, "number": number, "kind": made.verdicts["theta"].kind, "ended": made.design.ended,
        "looks": len(made.design.looks), "replicas": [made.design.replicas[arm] for arm in ("SGD", "SDE")],
        "checked": made.design.check_replicas, "held": {key: bool(value) for key, value in held.items()},
    }  # fmt: skip


def _holds(part: sg.comparison.GapEstimate, truth: np.ndarray) -> bool:
    """At the last step."""
    return bool(part.low[-1] <= truth[-1] <= part.high[-1])


def report(records: Sequence[dict]) -> list[str]:
    """Rates with binomial errors, case by case."""
    lines = []
    for name in CASES:
        own = [r for r in records if r["case"] == name]
        if not own:
            continue
        sizes = np.mean([r["replicas"] for r in own], axis=0)
        lines.append(f"{name}: {len(own)} comparisons, on average {sizes[0]:.0f} of SGD, {sizes[1]:.0f} pairs")
        for kind in ("equivalent", "different"):
            lines.append(f"  {kind}: {_rate([r['kind'] == kind for r in own])}")
        for part in own[0]["held"]:
            lines.append(f"  {part} holds the truth: {_rate([r['held'][part] for r in own])}")
    return lines


def _rate(found: Sequence[bool]) -> str:
    rate = float(np.mean(found))
    return f"{rate:.3f} ± {math.sqrt(rate * (1 - rate) / len(found)):.3f}"


def read(path: Path) -> list[dict]:
    """The records of a file; none if there is no such file."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("action", choices=("run", "report"))
    parser.add_argument("--case", default="equal", choices=tuple(CASES))
    parser.add_argument("--repetitions", type=int, default=500)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    if options.action == "run":
        done = {r["number"] for r in read(options.out) if r["case"] == options.case}
        with options.out.open("a") as file:
            for number in range(options.repetitions):
                if number not in done:
                    file.write(json.dumps(record(options.case, number)) + "\n")
                    file.flush()
    print("\n".join(report(read(options.out))))


if __name__ == "__main__":
    main()
