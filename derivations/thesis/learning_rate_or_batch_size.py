"""Thesis, 3.2: a smaller learning rate against a larger batch."""

import sympy as sp

from derivations import oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import N, S, c, eta, k, lam

RESULT = (2 - eta * lam / k) / (2 - eta * lam)
v, j = sp.Symbol("v", positive=True), sp.Symbol("j", integer=True)
variance = sp.Function("V")


def steps(formula):
    """Both ways to divide η/S by k: in the equation, in an epoch, and at stationarity on a parabola."""
    stationary = eta * c / (S * lam * (2 - eta * lam))
    larger, smaller = stationary.subs(S, k * S), stationary.subs(eta, eta / k)
    return [
        Step(
            "An epoch lasts as long with (η, kS), which takes N/(kS) steps, as with (η/k, S), which takes N/S:",
            sp.Sum(eta, (j, 1, N / (k * S))),
            sp.Sum(eta / k, (j, 1, N / S)),
        ),
        Step(
            "It brings the same noise, since the equation depends on η/S alone. So both have one law as functions of "
            "time, or of epochs:",
            sp.Sum(eta**2 * (c / (k * S)), (j, 1, N / (k * S))),
            sp.Sum((eta / k) ** 2 * (c / S), (j, 1, N / S)),
        ),
        Step(
            "SGD itself is a recursion. On a parabola with constant noise v ← (1 − ηλ)²v + η²c/S stops at",
            (1 - eta * lam) ** 2 * stationary + eta**2 * c / S,
            stationary,
        ),
        Step(
            "so the larger batch ends with a slightly larger variance than the smaller rate, in the ratio",
            sp.Mul(larger, 1 / smaller, evaluate=False),
            formula,
        ),
        Step(
            "which is 1 + ηλ(1 − 1/k)/2 + O(η²): the exchange is as good as the equation is.",
            formula,
            1 + eta * lam * (1 - 1 / k) / 2,
            order=(eta, 2),
        ),
    ]


def check(formula):
    """The stationary second moments of both, from all batches of their steps, in rationals."""
    curvature, rate, size, factor = sp.Rational(3, 2), sp.Rational(1, 5), 1, 3
    offsets = [sp.Integer(-1), sp.Integer(1)]  # the gradients are λθ + x_i
    theta = sp.Symbol("theta")

    def settled(step, batch_size):
        squares = [
            (theta - step * (curvature * theta + sum(offsets[i] for i in batch) / sp.Integer(batch_size))) ** 2
            for batch in oracles.batches(len(offsets), batch_size, True)
        ]
        square = sp.Poly(sp.expand(oracles.mean(squares)), theta)  # E θ = 0, so E θ² closes by itself
        (solution,) = sp.solve(square.coeff_monomial(theta**2) * v + square.coeff_monomial(1) - v, v)
        return solution

    return [
        Comparison(
            "variance of SGD with (η, 3S) over that with (η/3, S), ηλ = 0.3, from all 8 and 2 batches",
            formula.subs({eta: rate, lam: curvature, k: factor}),
            settled(rate, factor * size) / settled(rate / factor, size),
        )
    ]


def says(formula):
    """What the summary states, in numbers."""
    at = {lam: sp.Rational(3, 2), k: 3}
    above = {rate: formula.subs({**at, eta: rate}) - 1 for rate in (sp.Rational(1, 100), sp.Rational(1, 200))}
    names = {"η": eta, "λ": lam, "k": k}
    pole = sp.solve(sp.denom(sp.together(formula.subs(at))), eta)[0]
    return [
        prose.figure(
            "the larger batch takes k times fewer steps",
            sp.Rational(1200, 10) / sp.Rational(1200, 30),
            "steps an epoch for N = 1200, S = 10 and 30",
            {"k": 3},
            text="k",
        ),
        prose.order("SGD follows up to O(η)", above, "η", "the ratio of the variances minus 1 at η = 1/100 and 1/200"),
        prose.direction(
            "ends with a variance larger by the fraction",
            [1, formula.subs({**at, eta: sp.Rational(1, 5)})],
            "the ratio of the variances for ηλ = 0.3, k = 3",
        ),
        prose.formula("ηλ(1 − 1/k)/2", eta * sp.diff(formula, eta).subs(eta, 0), names),
        prose.figure(
            "and η, not η/k, must stay below 2/λ",
            pole,
            "where the larger batch's variance diverges, λ = 3/2",
            {"λ": at[lam]},
            text="2/λ",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Smaller learning rate or larger batch",
    sources=(Source("thesis", place="3.2, text after (3.3)"), Source("Smith et al. 2017")),
    verdict=Verdict.ORDER,
    order="η",
    summary="Dividing η by k and multiplying S by k give the equation the same law as a function of SDE time, and of "
    "epochs; the larger batch takes k times fewer steps. SGD follows up to O(η): on a parabola the larger batch ends "
    "with a variance larger by the fraction ηλ(1 − 1/k)/2, and η, not η/k, must stay below 2/λ.",
    printed=sp.Eq(variance(eta / k, S), variance(eta, k * S), evaluate=False),
    assumptions=(
        Assumption("Runs are compared at the same time Σ η, not at the same number of steps."),
        Assumption("The larger batch is still much smaller than the data, or drawn with replacement."),
        Assumption("For the number given: a parabola with constant noise."),
        Assumption("The larger rate is stable.", sp.Lt(eta * lam, 2)),
    ),
    formula=RESULT,
    arguments=(eta, lam, k),
    slip=Slip("the two exchanged", 1 / RESULT),
)
