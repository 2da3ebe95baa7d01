"""Mean first passage time of dθ = −L′ dt + √(2T) dW in one dimension: the double integral behind Kramers' law."""

import math
from collections.abc import Callable
from typing import Any

import mpmath
import sympy as sp

from derivations import oracles
from derivations.claim import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import E, T, h, theta

b = sp.Symbol("b", positive=True)  # the point to be reached
s = sp.Symbol("s", real=True, nonzero=True)  # slope of a linear loss
tau = sp.Function("tau")


def steps(formula):
    """First-step analysis gives the backward equation; the double integral solves it; then a linear loss."""
    eps = sp.Symbol("epsilon", positive=True)  # √h
    slope, t1, t2, t3, t4 = sp.symbols("L' tau' tau'' tau_3 tau_4", real=True)
    r = sp.Symbol("r", real=True)  # reflecting wall
    v, y, z = sp.symbols("v y z", positive=True)
    L = sp.Function("L")

    def change(u):
        return t1 * u + t2 * u**2 / 2 + t3 * u**3 / 6 + t4 * u**4 / 24

    moves = [-slope * eps**2 + sign * sp.sqrt(2 * T) * eps for sign in (1, -1)]
    inner = sp.Integral(sp.exp(-L(z) / T), (z, r, y))
    time = sp.Integral(sp.exp(L(y) / T) * inner, (y, theta, b)) / T
    linear = sp.Integral(sp.exp(s * y / T) * sp.Integral(sp.exp(-s * z / T), (z, 0, y)), (y, theta, b)) / T
    return [
        Step(
            "After a short time h = ε² the mean time left is shorter by h. The move is −L′h ± √(2Th) with equal "
            "chance, so h + E τ(θ + move) − τ(θ), which must vanish, is h times 1 − L′τ′ + Tτ″:",
            eps**2 + sum(change(u) for u in moves) / 2,
            eps**2 * (1 - slope * t1 + T * t2),
            order=(eps, 4),
            name=E(tau(theta + sp.Symbol("Delta"))) + h - tau(theta),
        ),
        Step(
            "The double integral, from a reflecting wall at r to the target b, solves that equation for any L:",
            T * time.diff(theta, 2) - sp.diff(L(theta), theta) * time.diff(theta),
            -1,
        ),
        Step(
            "It has zero slope at the wall and is zero at the target, the two boundary conditions:",
            sp.Matrix([time.diff(theta).subs(theta, r), time.subs(theta, b)]),
            sp.zeros(2, 1),
        ),
        Step("For L = sθ and a wall at 0 both integrals can be done:", linear, formula, name=tau(theta)),
        Step(
            "On a flat loss it is free diffusion's:",
            sp.Limit(formula, s, 0),
            (b**2 - theta**2) / (2 * T),
        ),
        Step(
            "Downhill, s = −v, and from 0 it is the gradient flow's time as T → 0:",
            sp.Limit(formula.subs({s: -v, theta: 0}), T, 0, "+"),
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
        sp.Integral(
            sp.exp(sp.Function("L")(sp.Symbol("y")) / T)
            * sp.Integral(
                sp.exp(-sp.Function("L")(sp.Symbol("z")) / T), (sp.Symbol("z"), sp.Symbol("r"), sp.Symbol("y"))
            ),
            (sp.Symbol("y"), theta, b),
        )
        / T,
        evaluate=False,
    ),
    assumptions=(
        Assumption("One dimension, start below the target.", sp.Le(theta, b, evaluate=False)),
        Assumption("T is the same everywhere.", sp.Gt(T, 0, evaluate=False)),
        Assumption(
            "A reflecting wall stands at r, or the loss confines and r = −∞.",
            sp.Le(sp.Symbol("r"), theta, evaluate=False),
        ),
    ),
    formula=T / s**2 * (sp.exp(s * b / T) - sp.exp(s * theta / T)) - (b - theta) / s,
    arguments=(theta, b, s, T),
    steps=steps,
    check=check,
    slip=Slip("the last term's sign", T / s**2 * (sp.exp(s * b / T) - sp.exp(s * theta / T)) + (b - theta) / s),
)
