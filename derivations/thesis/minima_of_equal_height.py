"""Thesis, text after (3.3): whether a higher η/S favours the wider of two minima of the same height."""

import math

import sympy as sp

from derivations.claim import Assumption, Claim, Comparison, Example, Slip, Source, Step, Verdict
from derivations.symbols import S, eta

wide, sharp = sp.symbols("h_w h_s", positive=True)  # the two curvatures
barrier = sp.Symbol("Delta", positive=True)  # its height above both minima
ratio = sp.Symbol("r", positive=True)  # η/S
odds = sp.Function("O", positive=True)
RESULT = sp.log(sharp / wide) + 2 * S * barrier / eta * (1 / wide - 1 / sharp)


def steps(formula):
    """The stationary density where each well has its own noise C = h, as (3.3) needs."""
    x = sp.Symbol("x", real=True)
    h, top = sp.symbols("h K", positive=True)
    loss = sp.Function("L", real=True)(x)
    density = top / h * sp.exp(2 * S * (barrier - loss) / (eta * h))
    well = density.subs(loss, h * x**2 / 2)
    mass = top / h * sp.exp(2 * S * barrier / (eta * h)) * sp.sqrt(sp.pi * eta / S)
    return [
        Step(
            "In a well with noise C = h the Itô equation's current −L′P − (η/2S)(CP)′ vanishes for this density; CP "
            "has the same value K on both sides of the barrier's top, L = Δ:",
            sp.Matrix(
                [-sp.diff(loss, x) * density - eta / (2 * S) * sp.diff(h * density, x), h * density.subs(loss, barrier)]
            ),
            sp.Matrix([0, top]),
        ),
        Step(
            "The mass of a well L = hx²/2; its width is the same for all h, since noise and curvature cancel:",
            sp.Integral(well, (x, -sp.oo, sp.oo)),
            mass,
        ),
        Step(
            "The logarithm of the odds wide to sharp at the same height:",
            sp.expand_log(sp.log(mass.subs(h, wide)) - sp.log(mass.subs(h, sharp)), force=True),
            formula,
        ),
        Step(
            "It falls as η/S grows: the sharp well is the noisier one, and empties the better the weaker the noise.",
            sp.diff(formula.subs(eta, ratio * S), ratio),
            -2 * barrier * (sharp - wide) / (ratio**2 * wide * sharp),
        ),
        Step(
            "With the same noise C = σ² in both wells the odds are √(h_s/h_w), whatever η/S:",
            sp.Integral(sp.exp(-S * wide * x**2 / eta), (x, -sp.oo, sp.oo))
            / sp.Integral(sp.exp(-S * sharp * x**2 / eta), (x, -sp.oo, sp.oo)),
            sp.sqrt(sharp / wide),
        ),
    ]


def check(formula):
    """A walk on a fine lattice with the equation's drift and variance: its stationary law from step to step."""
    low, high, height, spacing = 1.0, 4.0, 1.0, 2e-4
    left, right = -math.sqrt(2 * height / low), math.sqrt(2 * height / high)  # the minima; the barrier is at 0
    comparisons = []
    for noise in (0.02, 0.04):  # η/S

        def rates(site, noise=noise):
            x = site * spacing
            curvature, minimum = (low, left) if x < 0 else (high, right)
            push, shake = -curvature * (x - minimum) / (2 * spacing), noise * curvature / (2 * spacing**2)
            return shake + push, shake - push  # to the right, to the left

        weight, logs = 0.0, {}
        for site in range(round(1.6 * left / spacing), round(1.6 * right / spacing)):
            logs[site] = weight
            weight += math.log(rates(site)[0] / rates(site + 1)[1])
        masses = []
        for side in ([w for s, w in logs.items() if s < 0], [w for s, w in logs.items() if s >= 0]):
            peak = max(side)
            masses.append(peak + math.log(sum(math.exp(w - peak) for w in side)))
        comparisons.append(
            Comparison(
                f"log odds wide to sharp of a lattice walk, curvatures 1 and 4, barrier 1, η/S = {noise}",
                formula.subs({eta: sp.Float(noise), S: 1, wide: 1, sharp: 4, barrier: 1}).evalf(),
                sp.Float(masses[0] - masses[1]),
                sp.Rational(1, 20),
            )
        )
    return comparisons


CLAIM = Claim(
    module=__name__,
    title="Two minima of the same height",
    sources=(Source("thesis", place="text after (3.3)"),),
    verdict=Verdict.WRONG,
    summary="In equilibrium a higher η/S does not favour the wider of two minima of the same height. With noise that "
    "is the same everywhere their odds don't depend on η/S; with C = H, as in (3.3), they fall as η/S grows. What "
    "(3.3) says is that at the same mean loss E(L) the trace of H is inversely proportional to η/S.",
    printed=sp.Gt(sp.Derivative(odds(ratio), ratio), 0, evaluate=False),
    corrected=sp.Lt(sp.Derivative(odds(ratio), ratio), 0, evaluate=False),
    assumptions=(
        Assumption("In each well the noise equals the curvature.", sp.Eq(sp.Symbol("C"), sp.Symbol("h"))),
        Assumption("The minima have the same height, in one dimension.", sp.Eq(sp.Symbol("L_w"), sp.Symbol("L_s"))),
        Assumption("The noise is weak against the barrier.", sp.Lt(eta * sharp / S, barrier)),
        Assumption(
            "The process is in equilibrium.", sp.Eq(sp.Derivative(sp.Function("P")(sp.Symbol("t")), sp.Symbol("t")), 0)
        ),
        Assumption("The wide minimum is the wider.", sp.Lt(wide, sharp)),
    ),
    formula=RESULT,
    arguments=(eta, S, barrier, wide, sharp),
    steps=steps,
    check=check,
    slip=Slip("the 1/C of Itô's density forgotten", 2 * S * barrier / eta * (1 / wide - 1 / sharp)),
    example=Example(
        "change of the log odds wide to sharp when η/S goes from 0.1 to 0.2, for curvatures 1 and 4 and a barrier of 1",
        sp.Symbol("positive"),
        -sp.Rational(15, 2),
    ),
)
