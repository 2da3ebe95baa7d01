"""Mean first passage time of dθ = −L′ dt + √(2T) dW in one dimension: the double integral behind Kramers' law."""

import math
from typing import Any

import mpmath
import sympy as sp

from derivations import oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import T, theta

b = sp.Symbol("b", positive=True)  # the point to be reached
s = sp.Symbol("s", real=True, nonzero=True)  # slope of a linear loss
tau = sp.Function("tau")


def steps(formula):
    """First-step analysis gives the backward equation; the double integral solves it; then a linear loss."""
    eps = sp.Symbol("epsilon", positive=True)  # √h
    r = sp.Symbol("r", real=True)  # reflecting wall
    v, y, z = sp.symbols("v y z", positive=True)
    L, at = sp.Function("L"), tau(theta)
    drop, kick = sp.Derivative(L(theta), theta) * eps**2, sp.sqrt(2 * T) * eps
    after = sum(tau(theta - drop + sign * kick) for sign in (1, -1)) / 2
    backward = T * sp.Derivative(at, (theta, 2)) - sp.Derivative(L(theta), theta) * sp.Derivative(at, theta)
    inner = sp.Integral(sp.exp(-L(z) / T), (z, r, y))
    time = sp.Integral(sp.exp(L(y) / T) * inner, (y, theta, b)) / T
    slope = -sp.exp(L(theta) / T) * inner.subs(y, theta) / T
    linear = sp.Integral(sp.exp(s * y / T) * sp.Integral(sp.exp(-s * z / T), (z, 0, y)), (y, theta, b)) / T
    return [
        Step(
            "In a short time h = ε² the mean time left falls by h. The move is −L′h ± √(2Th) with equal chance, so the "
            "left side vanishes:",
            eps**2 + after - at,
            eps**2 * (1 + backward),
            order=(eps, 4),
        ),
        Step(
            "So Tτ″ − L′τ′ = −1. The double integral of the claim has the slope",
            sp.Derivative(time, theta),
            slope,
            name=sp.Derivative(at, theta),
        ),
        Step(
            "and solves the equation, for any L:",
            T * sp.Derivative(slope, theta) - sp.Derivative(L(theta), theta) * slope,
            -1,
        ),
        Step(
            "It has zero slope at a reflecting wall r and is zero at the target b:",
            sp.Matrix([slope.subs(theta, r), time.subs(theta, b)]),
            sp.zeros(2, 1),
        ),
        Step("For L = sθ and a wall at 0 both integrals can be done:", linear, formula, name=at),
        Step(
            "On a flat loss it is free diffusion's:",
            sp.Limit(sp.together(formula), s, 0),
            (b**2 - theta**2) / (2 * T),
        ),
        Step(
            "Downhill, s = −v, and from 0 it is the gradient flow's time as T → 0:",
            sp.Limit(sp.together(formula.subs({s: -v, theta: 0})), T, 0, "+"),
            b / v,
        ),
    ]


def check(formula):
    """A random walk's mean passage time, by first-step analysis; the double integral by quadrature."""
    comparisons = []
    for slope in (2, -1):
        values = {s: slope, b: 2, theta: sp.Rational(1, 2), T: sp.Rational(1, 2)}
        walk = oracles.passage_time(lambda _, c=slope: -c, lambda _: 0.5, 0.5, 2, 0.5, 300)
        comparisons.append(
            Comparison(
                f"L = {slope}θ, T = 1/2, wall at 0, from 1/2 to 2: a random walk extrapolated to h = 0",
                formula.subs(values).evalf(),
                walk,
                1e-5,
            )
        )

    quad: Any = mpmath.fp.quad

    def loss(x):
        return (x * x - 1) ** 2 + x / 5

    def outer(y):
        return math.exp(loss(y) / 0.2) * quad(lambda z: math.exp(-loss(z) / 0.2), [-3, -1, y], maxdegree=4)

    walk = oracles.passage_time(lambda x: -4 * x * (x * x - 1) - 0.2, lambda _: 0.2, -1, 1, 1.5, 800)
    comparisons.append(
        Comparison(
            "the double integral for (θ² − 1)² + θ/5, T = 1/5, from −1 to 1, by quadrature, against a random walk",
            quad(outer, [-1, 0, 1], maxdegree=4) / 0.2,
            walk,
            1e-3,
        )
    )
    return comparisons


loss, y_, z_ = sp.Function("L"), sp.Symbol("y"), sp.Symbol("z")


def says(formula):
    """What the summary states, in numbers."""
    quad: Any = mpmath.fp.quad
    exact = []
    for loss, start in ((lambda x: 2 * x, 0.5), (lambda x: x * x, 0.25), (lambda x: (x * x - 1) ** 2, 0.25)):
        slope = lambda x, f=loss: (f(x + 1e-5) - f(x - 1e-5)) / 2e-5  # noqa: E731
        inner = lambda y, f=loss: math.exp(2 * f(y)) * quad(lambda z: math.exp(-2 * f(z)), [0, y], maxdegree=4)  # noqa: E731
        walk = oracles.passage_time(lambda x, g=slope: -g(x), lambda _: 0.5, start, 1.0, start, 60)
        exact.append(abs(2 * quad(inner, [start, 1], maxdegree=4) / walk - 1) < 1e-3)
    at = {theta: sp.Rational(1, 2), b: 2, s: 1, T: sp.Rational(1, 2)}
    nested = quad(
        lambda y: math.exp(2 * y) * quad(lambda z: math.exp(-2 * z), [0, y], maxdegree=4), [0.5, 2], maxdegree=4
    )
    return [
        prose.cases(
            "is a double integral of exp((L(y) − L(z))/T), exactly, for any loss in one dimension",
            exact,
            "the integral against a random walk for 2θ, θ² and (θ² − 1)², wall at 0, T = 1/2, to 10⁻³",
        ),
        prose.cases(
            "The formula is its closed form for a linear loss with a reflecting wall at 0",
            [abs(formula.subs(at).evalf() - 2 * nested) < 1e-9],
            "the double integral for L = θ, T = 1/2, from 1/2 to 2",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Mean first passage time in one dimension",
    sources=(Source("Gardiner 2009", place="mean first passage times"), Source("Pontryagin, Andronov & Vitt 1933")),
    verdict=Verdict.EXACT,
    summary="The mean time to reach b first is a double integral of exp((L(y) − L(z))/T), exactly, for any loss in one "
    "dimension. The formula is its closed form for a linear loss with a reflecting wall at 0. Time is SDE time: steps "
    "are time divided by η.",
    printed=sp.Eq(
        tau(theta),
        sp.Integral(sp.exp((loss(y_) - loss(z_)) / T), (z_, sp.Symbol("r"), y_), (y_, theta, b)) / T,
        evaluate=False,
    ),
    assumptions=(
        Assumption("One dimension, start below the target.", sp.Le(theta, b, evaluate=False)),
        Assumption("T is the same everywhere."),
        Assumption("A reflecting wall stands at r, or the loss confines and r = −∞."),
    ),
    formula=T / s**2 * (sp.exp(s * b / T) - sp.exp(s * theta / T)) - (b - theta) / s,
    arguments=(theta, b, s, T),
    slip=Slip("the last term's sign", T / s**2 * (sp.exp(s * b / T) - sp.exp(s * theta / T)) + (b - theta) / s),
)
