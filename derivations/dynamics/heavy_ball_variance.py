"""Stationary variance of SGD with heavy-ball momentum on a quadratic, at a finite learning rate."""

import mpmath
import sympy as sp

from derivations.claim import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import S, Var, c, eta, lam, m, theta

q, r, u = sp.symbols("q r u", real=True)  # Var θ, Cov(θ, v), Var v
variance = eta * c / (2 * S * lam * (1 - m) * (1 - eta * lam / (2 * (1 + m))))


def steps(formula):
    """The Lyapunov equation of (θ, v), solved entry by entry."""
    a = eta * lam
    M = sp.Matrix([[1 - a, m], [-a, m]])
    Q = sp.Matrix([[q, r], [r, u]])
    kick = eta**2 * c / S
    residual = M * Q * M.T + kick * sp.ones(2, 2) - Q
    solution = sp.solve([residual[0, 0], residual[0, 1], residual[1, 1]], [q, r, u], dict=True)[0]
    return [
        Step(
            "v ← mv − η(λθ + noise), θ ← θ + v is linear in (θ, v), and the same kick of variance η²c/S hits both. "
            "With q = Var θ, r = Cov(θ, v), u = Var v a step makes of them, before the kick:",
            sp.Matrix([(M * Q * M.T)[i] for i in (0, 1, 3)]),
            sp.Matrix(
                [
                    (1 - a) ** 2 * q + 2 * m * (1 - a) * r + m**2 * u,
                    -a * (1 - a) * q + m * (1 - 2 * a) * r + m**2 * u,
                    a**2 * q - 2 * a * m * r + m**2 * u,
                ]
            ),
        ),
        Step(
            "Stationary, each is back to itself once η²c/S is added. θ − v is the position before the step and "
            "has the same variance as θ, so Cov(θ, v) is half the variance of v:",
            solution[r],
            solution[u] / 2,
        ),
        Step("and v has the variance", solution[u], 2 * eta**2 * c / (S * (1 - m) * (2 * (1 + m) - a))),
        Step("The equation for v leaves the variance of θ:", solution[q], formula, name=Var(theta)),
        Step(
            "To leading order in η it is the plain one at the effective learning rate η/(1 − m); momentum shrinks the "
            "correction, from ηλ/2 to ηλ/(2(1 + m)):",
            formula / (eta * c / (2 * S * lam * (1 - m))),
            1 + a / (2 * (1 + m)),
            order=(eta, 2),
        ),
    ]


def check(formula):
    """The spectral density of θ integrated over frequency; the impulse response summed; m = 0.9, ηλ = 0.05."""
    momentum, rate = sp.Rational(9, 10), sp.Rational(1, 20)
    derived = formula.subs({eta: rate, lam: 1, S: 4, c: 3, m: momentum})
    with mpmath.workdps(30):
        p, a = mpmath.mpf(9) / 10, mpmath.mpf(1) / 20

        def density(frequency):
            z = mpmath.expj(frequency)
            return 1 / abs(z**2 - (1 + p - a) * z + p) ** 2  # of θ_{n+1} = (1 + m − ηλ) θ_n − m θ_{n−1} + kick

        spectral = a**2 * 3 / 4 * mpmath.quad(density, [0, 0.1, 0.2, 0.3, 0.6, mpmath.pi]) / mpmath.pi
        position, velocity, total = mpmath.mpf(0), -a, mpmath.mpf(0)
        for _ in range(1500):
            position += velocity
            total += position**2
            velocity = p * velocity - a * position
        total *= mpmath.mpf(3) / 4
    return [
        Comparison("variance, from the spectral density", derived.evalf(25), sp.Float(spectral, 25), 1e-18),
        Comparison("variance, from the impulse response", derived.evalf(25), sp.Float(total, 25), 1e-20),
        Comparison(
            "0.2533… for ηc/(2Sλ(1 − m)) = 1/4, exactly 0.25/(1 − 0.05/3.8)",
            formula.subs({eta: rate, lam: 1, S: 1, c: 1, m: momentum}),
            sp.Rational(1, 4) / (1 - sp.Rational(5, 380)),
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Stationary variance of heavy-ball SGD on a quadratic",
    sources=(Source("Liu, Ziyin & Ueda 2021"),),
    verdict=Verdict.EXACT,
    summary="On a quadratic with constant C, heavy-ball SGD has the stationary variance of SGD at the effective rate "
    "η/(1 − m), times 1/(1 − ηλ/(2(1 + m))). The loop is stable for ηλ < 2(1 + m).",
    printed=sp.Eq(Var(theta), variance, evaluate=False),
    assumptions=(
        Assumption("A quadratic loss λθ²/2.", sp.Gt(lam, 0, evaluate=False)),
        Assumption("C doesn't depend on θ.", sp.Eq(sp.Derivative(sp.Function("C")(theta), theta), 0, evaluate=False)),
        Assumption("Draws of different steps are independent.", sp.Ge(S, 1, evaluate=False)),
        Assumption("0 ≤ m < 1.", sp.Lt(m, 1, evaluate=False)),
        Assumption("The recursion is stable.", sp.Lt(eta * lam, 2 * (1 + m), evaluate=False)),
    ),
    formula=variance,
    arguments=(eta, S, lam, c, m),
    steps=steps,
    check=check,
    slip=Slip(
        "the correction of plain SGD at the effective rate, ηλ/(2(1 − m))",
        eta * c / (2 * S * lam * (1 - m) * (1 - eta * lam / (2 * (1 - m)))),
    ),
)
