"""Stationary variance of SGD with heavy-ball momentum on a quadratic, at a finite learning rate."""

import mpmath
import sympy as sp

from derivations import assumptions, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import S, Var, c, eta, lam, m, theta

q, r, u = sp.symbols("q r u", real=True)  # Var θ, Cov(θ, v), Var v
variance = eta * c / (2 * S * lam * (1 - m) * (1 - eta * lam / (2 * (1 + m))))


def steps(formula):
    """The stationary equations of (θ, v), solved one by one."""
    a = sp.Symbol("a", positive=True)  # ηλ
    of_theta, mixed, of_v = (
        (1 - a) ** 2 * q + 2 * m * (1 - a) * r + m**2 * u,
        -a * (1 - a) * q + m * (1 - 2 * a) * r + m**2 * u,
        a**2 * q - 2 * a * m * r + m**2 * u,
    )
    M = sp.ImmutableMatrix([[1 - a, m], [-a, m]])
    Q = sp.ImmutableMatrix([[q, r], [r, u]])
    v = 2 * eta * lam * formula / (1 + m)
    return [
        Step(
            "The step v ← mv − η(λθ + noise), θ ← θ + v is linear in (θ, v). With a = ηλ, q = Var θ, r = Cov(θ, v) and "
            "u = Var v it makes of the covariance matrix",
            sp.MatMul(M, Q, M.T, evaluate=False),
            sp.Matrix([[of_theta, mixed], [mixed, of_v]]),
        ),
        Step(
            "and adds the kick, of variance η²c/S, to all entries. At stationarity each entry is back to itself. The "
            "kick cancels from u − r, which is therefore",
            sp.Add(*of_v.args, *(-mixed).args, evaluate=False),
            a * q - m * r,
            name=sp.Symbol("u − r"),
        ),
        Step(
            "θ − v is the position before the step and has the variance of θ, so q − 2r + u = q and r = u/2. The last "
            "line is then solved by r = aq/(1 + m):",
            a * q - m * (a * q / (1 + m)),
            a * q / (1 + m),
            name=sp.Symbol("u − r"),
        ),
        Step(
            "That leaves the equation of u, u = a²q − 2amr + m²u + η²c/S, with q = Var θ and u = 2aq/(1 + m):",
            eta**2 * lam**2 * formula - eta * lam * m * v + m**2 * v + eta**2 * c / S,
            v,
            name=Var(sp.Symbol("v")),
            shown=sp.Eq(
                sp.Symbol("a") ** 2 * q - sp.Symbol("a") * m * u + m**2 * u + eta**2 * c / S, v, evaluate=False
            ),
        ),
        Step(
            "To leading order in η Var θ is ηc/(2Sλ(1 − m)), as without momentum at the effective rate η/(1 − m). "
            "Momentum shrinks the correction, from ηλ/2 to ηλ/(2(1 + m)):",
            formula / (eta * c / (2 * S * lam * (1 - m))),
            1 + eta * lam / (2 * (1 + m)),
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
    ]


def says(formula):
    """What the summary states, in numbers."""
    names = {"η": eta, "c": c, "S": S, "λ": lam, "m": m}
    leading = eta * sp.diff(formula, eta).subs(eta, 0)
    pole = sp.solve(sp.denom(sp.together(formula.subs({lam: 1, m: sp.S.Half}))), eta)
    return [
        prose.formula("ηc/(2Sλ(1 − m))", leading, names),
        prose.formula("at the effective rate η/(1 − m)", 2 * S * lam / c * leading, names, text="η/(1 − m)"),
        prose.formula("times 1/(1 − ηλ/(2(1 + m)))", formula / leading, names, text="1/(1 − ηλ/(2(1 + m)))"),
        prose.figure(
            "stable for ηλ < 2(1 + m)",
            max(pole),
            "where the variance diverges, λ = 1, m = 1/2",
            {"m": sp.S.Half},
            text="2(1 + m)",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Stationary variance of heavy-ball SGD on a quadratic",
    sources=(Source("Liu, Ziyin & Ueda 2021"),),
    verdict=Verdict.EXACT,
    summary="On a quadratic with constant C, heavy-ball SGD has the stationary variance ηc/(2Sλ(1 − m)), the "
    "Ornstein–Uhlenbeck value at the effective rate η/(1 − m), times 1/(1 − ηλ/(2(1 + m))). The recursion is "
    "stable for ηλ < 2(1 + m).",
    printed=sp.Eq(Var(theta), variance, evaluate=False),
    assumptions=(
        assumptions.QUADRATIC,
        assumptions.CONSTANT_COVARIANCE,
        assumptions.INDEPENDENT_BATCHES,
        assumptions.MOMENTUM_BELOW_ONE,
        Assumption("The recursion is stable.", sp.Lt(eta * lam, 2 * (1 + m), evaluate=False)),
    ),
    formula=variance,
    arguments=(eta, S, lam, c, m),
    slip=Slip(
        "the correction of plain SGD at the effective rate, ηλ/(2(1 − m))",
        eta * c / (2 * S * lam * (1 - m) * (1 - eta * lam / (2 * (1 - m)))),
    ),
)
