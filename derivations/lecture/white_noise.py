"""Lecture (17): what white noise of strength gF does over a finite time."""

import sympy as sp

from derivations import oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import t

F = sp.Symbol("F", nonnegative=True)  # variance of the per-example gradients along one direction
scale = sp.Symbol("g_Smith", positive=True)  # the lecture's noise scale g
tau, r = sp.symbols("tau r", positive=True)  # a time span; a correlation time
u = sp.Symbol("u", nonnegative=True)
w, ell, noise = (sp.Function(name) for name in ("w", "ell", "ε"))
other = sp.Symbol("t′", nonnegative=True)


def steps(formula):
    """Noise of a short correlation time r, then r → 0."""
    within = tau - r * (1 - sp.exp(-tau / r))
    across = r / 2 * (1 - sp.exp(-tau / r)) ** 2
    return [
        Step(
            "The δ function is the limit r → 0 of exp(−|t − t′|/r)/(2r), whose integral over t′ is one, twice that "
            "over one side:",
            sp.Integral(sp.exp(-u / r) / r, (u, 0, sp.oo)),
            sp.S.One,
        ),
        Step(
            "The square of the noise's integral over a time τ is the sum over all pairs of times, twice those with "
            "t′ < t. Per unit of gF:",
            _pairs(sp.exp(-(t - other) / r) / r, (other, 0, t), (t, 0, tau)),
            within,
        ),
        Step(
            "As r → 0 the covariance of ∫ε dt is proportional to the time, so its standard deviation grows as √τ:",
            sp.Limit(scale * F * within, r, 0, "+"),
            formula,
        ),
        Step(
            "The integrals over two neighbouring time spans share only pairs some r apart:",
            _pairs(sp.exp(-(t - other) / r) / (2 * r), (other, 0, tau), (t, tau, 2 * tau)),
            across,
        ),
        Step("Their covariance vanishes:", sp.Limit(scale * F * across, r, 0, "+"), sp.S.Zero),
    ]


def _pairs(kernel, inner, outer):
    """A double integral with the inner one kept apart, for the page."""
    return sp.Integral(sp.UnevaluatedExpr(sp.Integral(kernel, inner)), outer)


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
            "variance of the whole minus those of both halves: their covariance is zero",
            formula.subs(values) - 2 * half,
            2 * halves,
        ),
    ]


def says(formula):
    """What the summary states, in numbers."""
    at = {scale: 1, F: 1}
    return [
        prose.formula("covariance gFτ", formula, {"g": scale, "F": F, "τ": tau}, text="gFτ"),
        prose.cases(
            "is uncorrelated between disjoint times",
            [formula.subs({**at, tau: 3}) == formula.subs({**at, tau: 1}) + formula.subs({**at, tau: 2})],
            "the variance over a time 3 is the sum of those over 1 and 2",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="White noise of strength gF",
    sources=(Source("lecture", "17"),),
    verdict=Verdict.STATEMENT,
    summary="This defines a stochastic differential equation; the lecture writes ∇_t(w) for the rate of change of "
    "w. What it says about a finite time τ is that the integrated noise has covariance gFτ and is "
    "uncorrelated between disjoint times.",
    printed=sp.Eq(sp.Derivative(w(t), t), -sp.Derivative(ell(w(t)), w(t)) + noise(t), evaluate=False),
    assumptions=(
        Assumption("ε is white noise of strength gF."),
        Assumption("F hardly changes over the time τ."),
    ),
    formula=scale * F * tau,
    arguments=(scale, F, tau),
    slip=Slip("τ² for τ, as for a constant force", scale * F * tau**2),
)
