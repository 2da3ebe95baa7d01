"""The SDE of SGD on a quadratic: an Ornstein–Uhlenbeck process, its mean and variance at every time."""

import itertools

import mpmath
import sympy as sp

from derivations import assumptions, prose
from derivations.parts import Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import E, S, Var, c, eta, lam, t

start = sp.Symbol("theta_0", real=True)
s = sp.Symbol("s", nonnegative=True)
at_t = sp.Function("theta")(t)
moments = sp.Matrix([start * sp.exp(-lam * t), eta * c / (2 * S * lam) * (1 - sp.exp(-2 * lam * t))])


def steps(formula):
    """θ_t = e^{−λt}θ₀ + √(ηc/S) ∫ e^{−λ(t−s)} dW_s."""
    mean, variance = formula
    return [
        Step(
            "The Itô integral has mean zero, so the mean changes at the rate −λ times itself:",
            sp.Derivative(mean, t),
            -lam * mean,
            name=sp.Derivative(E(at_t), t),
        ),
        Step(
            "The mean starts at θ₀:",
            sp.Subs(mean, t, 0),
            start,
        ),
        Step(
            "Itô's isometry gives the variance of √(ηc/S) ∫ exp(−λ(t − s)) dW_s as the integral of the square:",
            eta * c / S * sp.Integral(sp.exp(-2 * lam * (t - s)), (s, 0, t)),
            variance,
            name=Var(at_t),
        ),
        Step("It settles at", sp.Limit(variance, t, sp.oo), eta * c / (2 * S * lam)),
        Step(
            "and grows at first like the diffusion's ηct/S, which after one step, t = η, is SGD's η²c/S:",
            variance,
            eta * c * t / S,
            order=(t, 2),
        ),
    ]


def check(formula):
    """Euler's recursion for the moments on 2^k steps, extrapolated to none."""
    with mpmath.workdps(40):
        rate, time, strength = mpmath.mpf(7) / 5, mpmath.mpf(1) / 2, mpmath.mpf(3) / 20  # λ, t, ηc/S

        def run(count):
            step = time / count
            mean, square = mpmath.mpf(3) / 2, (mpmath.mpf(3) / 2) ** 2
            for _ in range(count):
                mean, square = (1 - rate * step) * mean, (1 - rate * step) ** 2 * square + strength * step
            return mpmath.matrix([mean, square - mean**2])

        row = [run(2**k) for k in range(3, 12)]
        for order in range(1, len(row)):
            row = [(2**order * fine - coarse) / (2**order - 1) for coarse, fine in itertools.pairwise(row)]
        exact = [sp.Float(value, 30) for value in row[0]]
    values = {
        lam: sp.Rational(7, 5),
        t: sp.Rational(1, 2),
        start: sp.Rational(3, 2),
        eta: sp.Rational(1, 5),
        c: 3,
        S: 4,
    }
    return [
        Comparison(
            "mean and variance at t = 1/2, by Euler steps extrapolated", formula.subs(values).evalf(30), exact, 1e-15
        )
    ]


def says(formula):
    """What the summary states, in numbers."""
    names = {"η": eta, "c": c, "S": S, "λ": lam, "t": t}
    mean, variance = formula
    settled = sp.limit(variance.subs(lam, 1), t, sp.oo).subs({eta: sp.Rational(1, 5), c: 3, S: 4})
    at = {eta: sp.Rational(1, 5), c: 3, S: 4, lam: 1}
    return [
        prose.formula("its mean decays like exp(−λt)", mean / start, names, text="exp(−λt)"),
        prose.direction(
            "its variance rises to",
            [variance.subs({**at, t: time}) for time in (0, 1, 2, 5)],
            "the variance at t = 0, 1, 2, 5",
        ),
        prose.figure(
            "ηc/(2Sλ)",
            settled,
            "the variance for t → ∞ at η = 1/5, c = 3, S = 4, λ = 1",
            {"η": sp.Rational(1, 5), "c": 3, "S": 4, "λ": 1},
        ),
        prose.formula("like 1 − exp(−2λt)", variance / (eta * c / (2 * S * lam)), names, text="1 − exp(−2λt)"),
    ]


CLAIM = Claim(
    module=__name__,
    title="The Ornstein–Uhlenbeck process of SGD on a quadratic",
    sources=(Source("thesis", "3.2"), Source("Uhlenbeck & Ornstein 1930")),
    verdict=Verdict.EXACT,
    summary="On a quadratic with constant C the SDE's θ is Gaussian, its mean decays like exp(−λt), its variance "
    "rises to ηc/(2Sλ) like 1 − exp(−2λt).",
    printed=sp.Eq(sp.Tuple(E(at_t), Var(at_t)), sp.Tuple(*moments), evaluate=False),
    assumptions=(
        assumptions.QUADRATIC,
        assumptions.CONSTANT_COVARIANCE,
        assumptions.FIXED_START,
    ),
    formula=moments,
    arguments=(t, eta, S, lam, c, start),
    slip=Slip(
        "the mean's rate in the variance", sp.Matrix([moments[0], eta * c / (2 * S * lam) * (1 - sp.exp(-lam * t))])
    ),
)
