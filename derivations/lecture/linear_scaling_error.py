"""Lecture, section 4: how far one step with rate kη is from k steps with rate η, to leading order."""

import mpmath
import sympy as sp

from derivations.claim import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import eta, g, k, lam, theta

j = sp.Symbol("j", integer=True)
third = sp.Symbol("c_3", real=True)  # third derivative of the loss


def steps(formula):
    """Gradients of the full loss: g at the start, curvature λ, any third derivative."""
    moved = -j * eta * g
    gradient = g + lam * moved + third * moved**2 / 2
    offset = theta
    for _ in range(3):
        offset -= eta * (g + lam * (offset - theta) + third * (offset - theta) ** 2 / 2)
    return [
        Step(
            "Before step j the parameters have moved by −jηg + O(η²), so the gradient there is g − jηλg + O(η²):",
            gradient,
            g - j * eta * lam * g,
            order=(eta, 2),
            name=sp.Symbol("g_j"),
        ),
        Step(
            "k such steps less one with kη:",
            -eta * sp.Sum(g - j * eta * lam * g, (j, 0, k - 1)) + k * eta * g,
            formula,
            name=sp.Symbol("w_{t+k} − ŵ_{t+1}"),
        ),
        Step(
            "The recursion itself, for k = 3, agrees up to O(η³):",
            offset - (theta - 3 * eta * g),
            formula.subs(k, 3),
            order=(eta, 3),
        ),
    ]


def check(formula):
    """Gradient descent on a quartic at a tiny rate, in 60 digits: the difference of the two updates divided by η²."""

    def gradient(value):
        return value**3 + 2 * value - 5

    comparisons = []
    with mpmath.workdps(60):
        point, rate = mpmath.mpf("0.5"), mpmath.mpf(10) ** -15
        for number in (2, 3, 7):
            position = point
            for _ in range(number):
                position -= rate * gradient(position)
            difference = (position - (point - number * rate * gradient(point))) / rate**2
            values = {eta: 1, k: number, g: sp.Rational(-31, 8), lam: sp.Rational(11, 4)}
            comparisons.append(
                Comparison(
                    f"(w_{{t+k}} − ŵ_{{t+1}})/η² from θ = 1/2 on θ⁴/4 + θ² − 5θ, k = {number}, at η = 10⁻¹⁵",
                    formula.subs(values),
                    difference,
                    1e-10,
                )
            )
    return comparisons


CLAIM = Claim(
    module=__name__,
    title="The error of the linear scaling rule",
    sources=(Source("lecture", place="section 4, after (5)"),),
    verdict=Verdict.ORDER,
    order="η²",
    summary="With the rate kη the large step and the k small ones agree to first order in η. They differ by "
    "k(k−1)η²λg/2, which is (k−1)ηλ/2 of the step, so the rule asks for kηλ ≪ 1: a small learning rate of the large "
    "step.",
    printed=sp.Eq(sp.Symbol("w_{t+k}"), sp.Symbol("ŵ_{t+1}"), evaluate=False),
    assumptions=(
        Assumption("The loss has three continuous derivatives.", sp.Q.finite(third)),
        Assumption(
            "All batches have the full gradient; for independent batches the same holds for the mean.",
            sp.Eq(sp.Symbol("g_B"), g),
        ),
    ),
    formula=k * (k - 1) / 2 * eta**2 * lam * g,
    arguments=(k, eta, lam, g),
    steps=steps,
    check=check,
    slip=Slip("k² for k(k−1)", k**2 / 2 * eta**2 * lam * g),
)
