"""Lecture (19): the drift's part of one step."""

import mpmath
import sympy as sp

from derivations import assumptions, oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Example, Slip, Source, Step, Verdict
from derivations.symbols import N, S, eta, t

G = sp.Symbol("G", real=True)  # gradient of the sum loss
H = sp.Symbol("H", real=True)  # its second derivative
j = sp.Symbol("j", integer=True)
displacement, w = sp.Symbol("Delta_w", real=True), sp.Symbol("w", real=True)
ell, noise = sp.Function("ell"), sp.Function("ε")


def steps(formula):
    """The drift of (17) is −∇ℓ; along its own path it changes little."""
    return [
        Step(
            "Following −∇ℓ from gradient G moves w by −Gt, so the gradient on the way is G − HGt; to first order in η:",
            sp.Integral(-(G - H * G * t), (t, 0, eta / N)),
            formula,
            order=(eta, 2),
        ),
        Step(
            "SGD says the same: it moves by −(η/N)(N/S) = −η/S times the sum of S gradients, each of mean G/N.",
            -eta / S * sp.Sum(G / N, (j, 1, S)),
            formula,
        ),
    ]


def check(formula):
    """SGD's mean step over all batches; and the gradient flow on a parabola in closed form."""
    gradients = [sp.Integer(2), sp.Integer(-1), sp.Integer(5)]
    n, size, rate = 3, 2, sp.Rational(1, 10)
    moves = [-rate / size * sum(gradients[j] for j in batch) for batch in oracles.batches(n, size, True)]
    curvature, start, small = 3, 2, sp.Rational(1, 10**6)
    flow = start * mpmath.expm1(-curvature * mpmath.mpf("1e-6") / n)
    return [
        Comparison(
            "mean step for N = 3, S = 2, over all 9 batches",
            formula.subs({N: n, eta: rate, G: sum(gradients)}),
            oracles.mean(moves),
        ),
        Comparison(
            "gradient flow on ℓ = 3w²/2 from w = 2 for η = 10⁻⁶, up to O(η²)",
            formula.subs({N: n, eta: small, G: curvature * start}),
            sp.Float(flow, 20),
            sp.Float("1e-11"),
        ),
    ]


def says(formula):
    """What the summary states, in numbers."""
    slope, start, n = 3, 2, 3  # the gradient flow of ℓ = 3w²/2 from w = 2
    errors = {}
    for rate in (sp.Rational(1, 100), sp.Rational(1, 200)):
        flow = start * (sp.exp(-slope * rate / n) - 1)
        errors[rate] = (flow - formula.subs({N: n, eta: rate, G: slope * start})).evalf(20)
    return [
        prose.cases(
            "so the step would climb",
            [sp.Rational(slope, 2) * (start - formula.subs({N: n, eta: sp.Rational(1, 10), G: 6})) ** 2 > 6],
            "ℓ = 3w²/2 after a step from w = 2 with the printed sign, against ℓ = 6 before",
        ),
        prose.formula("−(η/N)∇ℓ", formula, {"η": eta, "N": N, "∇ℓ": G}),
        prose.order("up to O(η²)", errors, "η", "gradient flow on ℓ = 3w²/2 for one step, at η = 1/100 and 1/200"),
        prose.formula("gives −η/N, with", formula / G, {"η": eta, "N": N}, text="−η/N"),
    ]


CLAIM = Claim(
    module=__name__,
    title="Drift of one step",
    sources=(Source("lecture", "19"),),
    verdict=Verdict.WRONG,
    summary="The first integral has lost the minus sign of (17), so the step would climb. Its value is −(η/N)∇ℓ "
    "up to O(η²); the text after it gives −η/N, with the sign back and the gradient missing.",
    printed=sp.Eq(
        displacement,
        sp.Integral(sp.Derivative(ell(w), w), (t, 0, eta / N)) + sp.Integral(noise(t), (t, 0, eta / N)),
        evaluate=False,
    ),
    corrected=sp.Eq(
        displacement,
        -sp.Integral(sp.Derivative(ell(w), w), (t, 0, eta / N)) + sp.Integral(noise(t), (t, 0, eta / N)),
        evaluate=False,
    ),
    assumptions=(
        Assumption("The step is short: the gradient changes little along it."),
        assumptions.SUM_LOSS,
    ),
    formula=-eta / N * G,
    arguments=(eta, N, G),
    slip=Slip("the factor 1/N forgotten", -eta * G),
    printed_formula=eta / N * G,
    example=Example("mean step for η = 0.1 and a sum of N = 3 gradients of 6", sp.Rational(1, 5), -sp.Rational(1, 5)),
)
