"""SGD on a quadratic with constant C: mean and variance after k steps."""

import itertools
from typing import Any

import sympy as sp

from derivations import assumptions, oracles, prose
from derivations.parts import Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import E, S, Var, c, eta, k, lam

start = sp.Symbol("theta_0", real=True)
after_k, later = sp.symbols("theta_k theta_k+1", real=True)
keep = 1 - eta * lam
moments: Any = sp.Matrix([start * keep**k, eta * c / (S * lam * (2 - eta * lam)) * (1 - keep ** (2 * k))])


def steps(formula):
    """θ ← (1 − ηλ)θ − η·noise, where the noise is independent of θ."""
    mean, variance = formula
    return [
        Step("A step multiplies the mean by 1 − ηλ:", mean.subs(k, k + 1), keep * mean, name=E(later)),
        Step(
            "From the fixed start the first step leaves the variance of one kick:",
            variance.subs(k, 1),
            eta**2 * c / S,
            name=Var(sp.Symbol("theta_1")),
        ),
        Step(
            "Every further step shrinks the variance by (1 − ηλ)² and adds a kick:",
            variance.subs(k, k + 1),
            keep**2 * variance + eta**2 * c / S,
            name=Var(later),
        ),
        Step(
            "The mean decays faster than the SDE's exp(−ηλk), by a rate that is one order higher in η:",
            sp.log(mean.subs(start, 1)),
            -k * (eta * lam + eta**2 * lam**2 / 2),
            order=(eta, 3),
        ),
        Step(
            "The variance is above the SDE's at the time kη, in the first steps by η³λc/S in each: a kick of SGD comes "
            "whole at a step's end, while the SDE damps the early part of it:",
            variance - eta * c / (2 * S * lam) * (1 - sp.exp(-2 * lam * k * eta)),
            k * eta**3 * lam * c / S,
            order=(eta, 4),
        ),
    ]


def check(formula):
    """Losses λθ²/2 − b_iθ: all 9³ sequences of three batches of two out of three examples, in rationals."""
    rate, curvature, size, count = sp.Rational(1, 5), sp.Rational(3, 2), 2, 3
    pulls, origin = (sp.Integer(3), sp.Rational(1, 2), sp.Rational(-7, 2)), sp.Rational(4, 3)
    kicks = [sum(pulls[i] for i in batch) / size for batch in oracles.batches(3, size, True)]
    ends = []
    for sequence in itertools.product(kicks, repeat=count):
        position = origin
        for kick in sequence:
            position -= rate * (curvature * position - kick)
        ends.append(position)
    values = {eta: rate, lam: curvature, S: size, k: count, start: origin, c: oracles.variance(pulls)}
    return [
        Comparison(
            "mean and variance after 3 steps, over all 729 sequences of batches",
            formula.subs(values),
            [oracles.mean(ends), oracles.variance(ends)],
        )
    ]


def says(formula):
    """What the summary states, in numbers."""
    names = {"η": eta, "c": c, "S": S, "λ": lam, "θ₀": start, "k": k}
    mean, variance = formula
    settled = eta * c / (S * lam * (2 - eta * lam))
    at = {eta: sp.Rational(1, 5), c: 3, S: 4, lam: 1, start: 1}
    relative = [{}, {}]
    for rate in (sp.Rational(1, 50), sp.Rational(1, 100)):  # at t = 1
        values = {eta: rate, c: 3, S: 4, lam: 1, start: 1, k: 1 / rate}
        relative[0][rate] = (mean.subs(values) / sp.exp(-1) - 1).evalf(20)
        relative[1][rate] = (variance.subs(values) / (rate * 3 / 8 * (1 - sp.exp(-2))) - 1).evalf(20)
    how = "at t = 1, λ = 1, η = 1/50 and 1/100"
    return [
        prose.formula("mean after k steps is (1 − ηλ)ᵏθ₀", mean, names, text="(1 − ηλ)ᵏθ₀"),
        prose.direction(
            "its variance rises to",
            [variance.subs({**at, k: number}) for number in (1, 2, 5, 50)],
            "after 1, 2, 5, 50 steps",
        ),
        prose.figure(
            "ηc/(Sλ(2 − ηλ))",
            variance.subs({**at, k: 200}).evalf(25),
            "the variance after 200 steps, η = 1/5, c = 3, S = 4, λ = 1",
            {"η": sp.Rational(1, 5), "c": 3, "S": 4, "λ": 1},
        ),
        prose.formula("like 1 − (1 − ηλ)²ᵏ", variance / settled, names, text="1 − (1 − ηλ)²ᵏ"),
        prose.order("relative errors O(η)", relative[0], "η", f"the mean over the process's, {how}"),
        prose.order("with relative errors O(η)", relative[1], "η", f"the variance over the process's, {how}"),
    ]


CLAIM = Claim(
    module=__name__,
    title="SGD on a quadratic, step by step",
    sources=(Source("Liu, Ziyin & Ueda 2021"),),
    verdict=Verdict.EXACT,
    summary="On a quadratic with constant C, SGD's mean after k steps is (1 − ηλ)ᵏθ₀, and its variance rises to "
    "ηc/(Sλ(2 − ηλ)) like 1 − (1 − ηλ)²ᵏ. With kη = t both tend to those of the Ornstein–Uhlenbeck process, with "
    "relative errors O(η).",
    printed=sp.Eq(sp.Tuple(E(after_k), Var(after_k)), sp.Tuple(*moments), evaluate=False),
    assumptions=(
        assumptions.QUADRATIC,
        assumptions.CONSTANT_COVARIANCE,
        assumptions.INDEPENDENT_BATCHES,
        assumptions.FIXED_START,
    ),
    formula=moments,
    arguments=(k, eta, S, lam, c, start),
    slip=Slip("(1 − ηλ)ᵏ for its square in the variance", sp.Matrix([moments[0], moments[1].subs(k, k / 2)])),
)
