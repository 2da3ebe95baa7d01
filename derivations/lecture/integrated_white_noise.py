"""Lecture (21) to (23): the double integral of δ(t − t′)gF over one step."""

import mpmath
import sympy as sp

from derivations import assumptions, oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import E, N, eta, t

scale = sp.Symbol("g_Smith", positive=True)  # the lecture's noise scale g
F = sp.Symbol("F", nonnegative=True)  # variance of the per-example gradients where the step starts
rate = sp.Symbol("Fdot", real=True)  # the rate at which its mean moves
tau = sp.Symbol("tau", positive=True)  # the step's duration
other = sp.Symbol("t′", nonnegative=True)
noise = sp.Function("ε")


def steps(formula):
    """First with F held fixed, then with F moving along the path."""
    inner = sp.Integral(sp.DiracDelta(t - other), (other, 0, tau))
    moving = sp.Integral(scale * (F + rate * t), (t, 0, eta / N))
    return [
        Step(
            "Let the step last τ, and F be held fixed. ∫δ(t − t′)dt′ is one for every t inside the step, and the outer "
            "integral is its length:",
            sp.Integral(scale * F * sp.UnevaluatedExpr(inner), (t, 0, tau)),
            formula.subs(eta, N * tau),
        ),
        Step(
            "F changes with w. By Itô's lemma its mean moves at the rate Ḟ = −F′∇ℓ + gFF″/2, taken where the step "
            "starts. With τ = η/N that enters at O(η²) only:",
            moving,
            formula,
            order=(eta, 2),
        ),
        Step(
            "The error is g times that rate times half the square of the step:",
            moving - formula,
            scale * rate * (eta / N) ** 2 / 2,
        ),
    ]


def check(formula):
    """F = w² and drift −aw: E w² grows as exp((g − 2a)t), integrated by quadrature; then kicks for fixed F."""
    values = {scale: sp.Rational(3, 2), F: 4, eta: sp.Rational(1, 10**6), N: 1}
    growth = mpmath.mpf(3) / 2 - 2 * 3
    exact = oracles.quadrature(lambda s: mpmath.mpf(3) / 2 * 4 * mpmath.exp(growth * s), [0, mpmath.mpf("1e-6")])
    fixed = {scale: sp.Rational(3, 2), F: 4, eta: sp.Rational(1, 5), N: 10}
    part = fixed[eta] / fixed[N] / 4
    laws = [oracles.two_point(sp.sqrt(fixed[scale] * fixed[F] * part))] * 4
    return [
        Comparison(
            "variance of the integrated noise for F = w², drift −3w, from w = 2, η/N = 10⁻⁶, up to O(η²)",
            formula.subs(values),
            sp.Float(exact, 20),
            sp.Float("2e-11"),
        ),
        Comparison(
            "F = 4 fixed: four independent kicks, over all 16 sign patterns",
            formula.subs(fixed),
            oracles.expectation(lambda *kicks: sum(kicks) ** 2, *laws),
        ),
    ]


def says(formula):
    """What the summary states, in numbers."""
    rate = sp.Rational(-9, 2)  # F = w² with drift −3w and g = 3/2: E F grows as exp((g − 6)t)
    errors = {}
    for step in (sp.Rational(1, 100), sp.Rational(1, 200)):
        whole = sp.Rational(3, 2) * 4 * (sp.exp(rate * step) - 1) / rate
        errors[step] = (whole - formula.subs({scale: sp.Rational(3, 2), F: 4, eta: step, N: 1})).evalf(20)
    return [
        prose.order(
            "its change along the path adds O((η/N)²)",
            errors,
            "η",
            "the exact variance for F = w² and drift −3w minus that with F frozen, at η/N = 1/100 and 1/200",
        )
    ]


CLAIM = Claim(
    module=__name__,
    title="Covariance of the noise of one step",
    sources=(Source("lecture", "21"), Source("lecture", "22"), Source("lecture", "23")),
    verdict=Verdict.ORDER,
    order="(η/N)²",
    summary="The three lines hold with F frozen at the start of the step; its change along the path adds O((η/N)²). "
    "The correlation they use is that of (17), not of (18) as the lecture says.",
    printed=sp.Eq(
        sp.Integral(E(noise(t) * noise(other)), (other, 0, eta / N), (t, 0, eta / N)),
        eta / N * scale * F,
        evaluate=False,
    ),
    assumptions=(
        Assumption("F is frozen at the start of the step."),
        assumptions.ITO,
    ),
    formula=eta / N * scale * F,
    arguments=(scale, F, eta, N),
    slip=Slip("the δ function at the end of the inner integral counted half", eta / N * scale * F / 2),
)
