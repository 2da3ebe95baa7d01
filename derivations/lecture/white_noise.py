"""Lecture (17): what white noise of strength gF does over a finite time."""

import sympy as sp

from derivations import oracles
from derivations.claim import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import E, t

F = sp.Symbol("F", nonnegative=True)  # variance of the per-example gradients along one direction
scale = sp.Symbol("g_Smith", positive=True)  # the lecture's noise scale g
tau, r = sp.symbols("tau r", positive=True)  # a time span; a correlation time
u = sp.Symbol("u", nonnegative=True)
w, ell, noise = (sp.Function(name) for name in ("w", "ell", "varepsilon"))
other = sp.Symbol("t'", nonnegative=True)


def steps(formula):
    """Noise of a short correlation time r, then r → 0."""
    kernel = sp.exp(-u / r) / (2 * r)
    lag = kernel.subs(u, t - u)
    within = tau - r * (1 - sp.exp(-tau / r))
    return [
        Step(
            "The δ function is the limit of exp(−|t − t′|/r)/(2r) as r → 0, whose integral is one:",
            2 * sp.Integral(kernel, (u, 0, sp.oo)),
            sp.S.One,
        ),
        Step(
            "The square of the noise's integral over a time τ has twice the part with t′ < t:",
            2 * sp.Integral(sp.Integral(lag, (u, 0, t)), (t, 0, tau)),
            within,
        ),
        Step(
            "As r → 0 the covariance of ∫ ε dt grows as the time itself, so its standard deviation grows as √τ:",
            sp.Limit(scale * F * within, r, 0, "+"),
            formula,
        ),
        Step(
            "Neighbouring time spans share only pairs less than r apart, and their covariance vanishes:",
            sp.Limit(scale * F * sp.Integral(sp.Integral(lag, (u, 0, tau)), (t, tau, 2 * tau)).doit(), r, 0, "+"),
            sp.S.Zero,
        ),
    ]


def check(formula):
    """Independent kicks, each held for a time d with variance gF/d, all sign patterns."""
    values = {scale: sp.Rational(3, 2), F: 2, tau: sp.Rational(1, 3)}
    kicks = 4
    held = values[tau] / kicks
    laws = [oracles.two_point(sp.sqrt(values[scale] * values[F] / held))] * kicks
    square = oracles.expectation(lambda *x: (held * sum(x)) ** 2, *laws)
    halves = oracles.expectation(lambda *x: held**2 * sum(x[:2]) * sum(x[2:]), *laws)
    half = formula.subs(tau, tau / 2).subs(values)
    return [
        Comparison("variance of the integral of 4 kicks, over all 16 sign patterns", formula.subs(values), square),
        Comparison(
            "variance of the whole less those of both halves: their covariance is zero",
            formula.subs(values) - 2 * half,
            2 * halves,
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="White noise of strength gF",
    sources=(Source("lecture", "17"),),
    verdict=Verdict.STATEMENT,
    summary="This defines a stochastic differential equation; ∇_t(w) stands for dw/dt. What it says about a finite "
    "time τ is that the integrated noise has covariance gFτ and is uncorrelated between disjoint times.",
    printed=sp.Eq(sp.Derivative(w(t), t), -sp.Derivative(ell(w(t)), w(t)) + noise(t), evaluate=False),
    assumptions=(
        Assumption(
            "ε is white noise of strength gF.",
            sp.Eq(E(noise(t) * noise(other)), scale * F * sp.DiracDelta(t - other), evaluate=False),
        ),
        Assumption("F hardly changes over the time τ.", sp.Eq(sp.Derivative(F, t), 0, evaluate=False)),
    ),
    formula=scale * F * tau,
    arguments=(scale, F, tau),
    steps=steps,
    check=check,
    slip=Slip("τ² for τ, as for a constant force", scale * F * tau**2),
)
