"""Thesis, text after (3.3): in which sense a higher η/S goes with the wider of two minima of the same height."""

import math

import sympy as sp

from derivations import oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import E, S, eta, sigma

wide, sharp = sp.symbols("h_w h_s", positive=True)  # two curvatures, the first smaller
barrier = sp.Symbol("Delta", positive=True)  # its height above both minima
excess = sp.Symbol("epsilon", positive=True)  # E(L) − L_min
ratio = sp.Symbol("r", positive=True)  # η/S
trace_h, L = sp.Symbol("h_Tr", positive=True), sp.Symbol("L")
LOG_ODDS = sp.log(sharp / wide) + 2 * S * barrier / eta * (1 / wide - 1 / sharp)
RESULT = sp.Matrix([4 * S * excess / eta, LOG_ODDS])


def steps(formula):
    """(3.3) solved for the width; then the odds of two given wells, whose density has another noise in each."""
    x = sp.Symbol("x", real=True)
    h, top = sp.symbols("h K", positive=True)
    loss = sp.Function("L", real=True)(x)
    density = top / h * sp.exp(2 * S * (barrier - loss) / (eta * h))
    mass = sp.Integral(density.subs(loss, h * x**2 / 2), (x, -sp.oo, sp.oo))
    flat, steep = (sp.Integral(sp.exp(-S * k * x**2 / (eta * sigma**2)), (x, -sp.oo, sp.oo)) for k in (wide, sharp))
    width, odds = formula[0].subs(eta, ratio * S), formula[1].subs(eta, ratio * S)
    return [
        Step(
            "Height is the mean loss, counted from the minimum: ε = E(L) − L_min = (η/4S) Tr H by (3.3). For Tr H:",
            sp.Subs(eta / (4 * S) * trace_h, trace_h, formula[0]),
            excess,
        ),
        Step(
            "At the same ε a run with a higher η/S is at a wider minimum. With r = η/S the trace falls:",
            sp.Derivative(width, ratio),
            -4 * excess / ratio**2,
        ),
        Step(
            "Two given minima of equal depth are another question. With the same noise C = σ² in both wells their odds "
            "are √(h_s/h_w), whatever η/S:",
            flat / steep,
            sp.sqrt(sharp / wide),
        ),
        Step(
            "With C = h in each well, as (3.3) has it, Itô's current −L′P − (η/2S)(hP)′ vanishes for P = (K/h) "
            "exp(2S(Δ − L)/(ηh)), where hP has the same value K on both sides of the barrier's top, L = Δ:",
            -sp.Derivative(loss, x) * density - eta / (2 * S) * sp.Derivative(h * density, x),
            sp.S.Zero,
        ),
        Step(
            "In a well L = hx²/2 the Gaussian has the same width for all h, since noise and curvature cancel. The "
            "logarithm of the odds wide to sharp:",
            sp.log(mass.subs(h, wide) / mass.subs(h, sharp)),
            formula[1],
        ),
        Step(
            "It falls as r = η/S grows: the noisier sharp well empties the better the weaker the noise. The wide one "
            "is preferred, but the less the higher η/S.",
            sp.Derivative(sp.log(sp.exp(odds)), ratio),
            -2 * barrier * (sharp - wide) / (ratio**2 * wide * sharp),
        ),
    ]


def check(formula):
    """The curvature from SGD's own mean loss; the odds from a walk on a fine lattice."""
    comparisons = []
    for curvature in (1, 4):
        # Loss (√h θ − r)²/2 with r = ±1, so C = h: v ← (1 − ηh)²v + η² × (variance of √h r).
        rate = sp.Rational(4, curvature * 10**8)
        variance = rate**2 * curvature * oracles.variance([sp.Integer(-1), sp.Integer(1)])
        mean_loss = sp.Rational(curvature, 2) * variance / (1 - (1 - rate * curvature) ** 2)
        derived = formula[0].subs({eta: rate, S: 1, excess: mean_loss})
        words = f"curvature from the mean loss of SGD's recursion, η = {4 // curvature}·10⁻⁸, S = 1, up to O(η)"
        comparisons.append(Comparison(words, derived, curvature, sp.Rational(1, 10**6)))
    for noise in (0.02, 0.04):
        derived = formula[1].subs({eta: sp.Float(noise), S: 1, wide: 1, sharp: 4, barrier: 1}).evalf()
        words = f"log odds wide to sharp of a lattice walk, curvatures 1 and 4, barrier 1, η/S = {noise}"
        comparisons.append(Comparison(words, derived, sp.Float(_walk(noise)), sp.Rational(1, 20)))
    return comparisons


def _walk(noise):
    """Log odds of a walk with the equation's drift and variance, its stationary law from site to site."""
    spacing, left, right = 2e-4, -math.sqrt(2), math.sqrt(0.5)  # the minima; the barrier is at 0

    def rates(site):
        x = site * spacing
        curvature, minimum = (1, left) if x < 0 else (4, right)
        push, shake = -curvature * (x - minimum) / (2 * spacing), noise * curvature / (2 * spacing**2)
        return shake + push, shake - push  # to the right, to the left

    weight, sides = 0.0, ([], [])
    for site in range(round(1.6 * left / spacing), round(1.6 * right / spacing)):
        sides[site >= 0].append(weight)
        weight += math.log(rates(site)[0] / rates(site + 1)[1])
    low, high = ((peak := max(side)) + math.log(sum(math.exp(w - peak) for w in side)) for side in sides)
    return low - high


def says(formula):
    """What the summary states, in numbers."""
    x = sp.Symbol("x", real=True)
    values = {S: 1, excess: 1, wide: 1, sharp: 4, barrier: 1}
    traces = [formula[0].subs({**values, eta: rate}) for rate in (sp.Rational(1, 10), sp.Rational(1, 5))]
    odds = [formula[1].subs({**values, eta: rate}) for rate in (sp.Rational(1, 10), sp.Rational(1, 5))]

    def isotropic(rate):  # of two parabolas of equal depth, by their Gaussian integrals
        masses = [sp.integrate(sp.exp(-h * x**2 / rate), (x, -sp.oo, sp.oo)) for h in (1, 4)]
        return sp.simplify(masses[0] / masses[1])

    return [
        prose.cases(
            "the trace of H is inversely proportional to η/S",
            [traces[0] / 2 == traces[1]],
            "the trace at η/S = 1/10 and 1/5",
        ),
        prose.cases(
            "of two given minima of equal depth: in equilibrium those don't depend on η/S where the noise is isotropic",
            [isotropic(sp.Rational(1, 10)) != isotropic(sp.Rational(1, 5))],
            "the odds of parabolas of curvature 1 and 4 at η/S = 1/10 and 1/5",
        ),
        prose.direction(
            "with C = H the preference for the wide one falls as η/S grows",
            odds,
            "the log odds wide to sharp at η/S = 1/10 and 1/5, curvatures 1 and 4, barrier 1",
            word="falls",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Two minima of the same height",
    sources=(Source("thesis", place="text after (3.3)"),),
    verdict=Verdict.CONDITIONAL,
    summary="True if the height is the mean loss of (3.3) itself: at the same E(L) − L_min the trace of H is "
    "inversely proportional to η/S. It says nothing on the odds of two given minima of equal depth: in "
    "equilibrium those don't depend on η/S where the noise is isotropic, and with C = H the preference "
    "for the wide one falls as η/S grows.",
    printed=sp.Eq(sp.Trace(sp.MatrixSymbol("H", 2, 2)), 4 * S * E(L) / eta, evaluate=False),
    assumptions=(
        Assumption("The height is E(L), counted from the minimum."),
        Assumption("The noise is C = H, or has at least Tr C = Tr H."),
        Assumption("The minima are quadratic, and the process is stationary."),
        Assumption("The learning rate is small against the curvature.", sp.Lt(eta * sharp, 1)),
        Assumption("For the odds: one dimension, noise weak against the barrier.", sp.Lt(eta * sharp / S, barrier)),
    ),
    formula=RESULT,
    arguments=(eta, S, excess, barrier, wide, sharp),
    slip=Slip(
        "the 1/C of Itô's density forgotten",
        sp.Matrix([4 * S * excess / eta, 2 * S * barrier / eta * (1 / wide - 1 / sharp)]),
    ),
)
