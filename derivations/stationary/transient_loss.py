"""Expected loss of the Ornstein–Uhlenbeck process at time t, from a critical point, for curvatures of any sign."""

from typing import Any

import sympy as sp

from derivations import prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import D, E, S, eta, lam, t

h_ii = sp.Symbol("H_ii", real=True)  # an eigenvalue of H, of any sign
c_ii = sp.Symbol("C_ii", nonnegative=True)  # the noise along its eigenvector
i = sp.Symbol("i", integer=True)
curvature: Any = sp.IndexedBase("H")
noise: Any = sp.IndexedBase("C")


def steps(formula):
    """Variance equation → its solution → the loss → its sign and limits."""
    variance = eta * c_ii / S * (1 - sp.exp(-2 * h_ii * t)) / (2 * h_ii)
    return [
        Step(
            "Itô's formula for θ_i² gives V′ = −2H_iiV + (η/S) C_ii in an eigendirection of H, whatever the sign "
            "of H_ii. From a point, V(0) = 0, it is solved by V = (η/S) C_ii (1 − e^{−2H_iit})/(2H_ii):",
            sp.Derivative(variance, t) + 2 * h_ii * variance,
            eta / S * c_ii,
        ),
        Step("It starts at zero and grows as (η/S) C_iit at first:", variance, eta / S * c_ii * t, order=(t, 2)),
        Step(
            "The direction's loss is H_iiV/2; the curvature stays in the exponent alone:",
            h_ii / 2 * sp.UnevaluatedExpr(variance),
            formula,
        ),
        Step(
            "A stable direction, H_ii = λ > 0, saturates:",
            sp.Limit(formula.subs(h_ii, lam), t, sp.oo),
            eta / (4 * S) * c_ii,
        ),
        Step(
            "A flat direction wanders, V = (η/S) C_iit, without any loss:",
            sp.Matrix([sp.Limit(variance, h_ii, 0), sp.Limit(formula, h_ii, 0)]),
            sp.Matrix([eta / S * c_ii * t, 0]),
        ),
        Step(
            "An unstable direction, H_ii = −λ, lowers the loss exponentially fast:",
            formula.subs(h_ii, -lam),
            -eta / (4 * S) * c_ii * (sp.exp(2 * lam * t) - 1),
        ),
        Step(
            "At early times every direction adds (η/2S) C_iiH_iit, in sum (η/2S) Tr(CH) t: noise along sharp "
            "directions costs, noise along descending ones pays:",
            formula,
            eta / (2 * S) * c_ii * h_ii * t,
            order=(t, 2),
        ),
    ]


def check(formula):
    """½ Tr(HΓ(t)), Γ(t) = (η/S) ∫ e^{−Hs} C e^{−Hs} ds exactly, for definite, singular and indefinite H."""
    axes = sp.Matrix([[3, -4], [4, 3]]) / 5
    C, size, rate, end = sp.Matrix([[2, 1], [1, 5]]), 8, sp.Rational(1, 5), sp.Rational(3, 2)
    K = axes.T * C * axes
    s = sp.Symbol("s", positive=True)
    comparisons = []
    for eigenvalues in ((1, 2), (0, 2), (-1, 1)):
        H = axes * sp.diag(*eigenvalues) * axes.T
        decay = (-s * H).exp()
        rest = (decay * C * decay).applyfunc(sp.expand)
        G = rest.applyfunc(lambda entry: sp.integrate(entry, (s, 0, end))) * rate / size
        values = {eta: rate, S: size, t: end}
        derived = sum(formula.subs(values | {h_ii: eigenvalues[i], c_ii: K[i, i]}) for i in range(2))
        comparisons.append(
            Comparison(
                f"E(L) at t = 3/2 for eigenvalues {eigenvalues} of a rotated H and full C, from ∫ e^{{−Hs}} C "
                f"e^{{−Hs}} ds",
                sp.N(derived, 30),
                sp.N((H * G).trace() / 2, 30),
                sp.Rational(1, 10**25),
            )
        )
    return comparisons


def says(formula):
    """What the summary states, in numbers."""
    names = {"η": eta, "S": S, "Σ C_ii": c_ii, "H_ii": h_ii, "t": t}
    at = {eta: sp.Rational(1, 5), S: 4, c_ii: 1}
    up, down = ([formula.subs({**at, h_ii: h, t: time}).evalf(20) for time in (1, 2, 3, 10, 11)] for h in (1, -1))
    return [
        prose.formula(
            "has gained the loss (η/4S) Σ C_ii (1 − e^{−2H_iit})",
            formula,
            names,
            text="(η/4S) Σ C_ii (1 − e^{−2H_iit})",
        ),
        prose.cases("Positive curvature saturates", [abs(up[4] - up[3]) < 1e-9], "the gain at t = 10 and 11, H_ii = 1"),
        prose.figure(
            "a flat direction contributes nothing",
            formula.subs(at).subs({h_ii: 0, t: 3}),
            "the gain at H_ii = 0",
            text="nothing",
        ),
        prose.direction("the part of a negative one falls", down, "the gain at t = 1, 2, 3, 10, 11, H_ii = −1"),
        prose.cases(
            "falls exponentially",
            [abs((down[4] / down[3]) / sp.exp(2) - 1) < 0.01],
            "the gain at t = 11 over that at 10 is e² within 1 %, H_ii = −1",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Expected loss at time t from a critical point",
    sources=(Source("Zhu et al. 2019"),),
    verdict=Verdict.CONDITIONAL,
    summary="Started at a critical point of a quadratic with constant noise, the SDE has gained the loss (η/4S) Σ "
    "C_ii (1 − e^{−2H_iit}) after time t = kη, in the eigenbasis of H. Positive curvature saturates, a "
    "flat direction contributes nothing, and the part of a negative one falls exponentially: the same "
    "noise escapes a saddle. The formula is the part of one direction.",
    printed=sp.Eq(
        E(sp.Symbol("L")),
        eta
        / (4 * S)
        * sp.Sum(
            noise[i, i] * (1 - sp.exp(-2 * curvature[i, i] * t)),
            (i, 1, D),
        ),
        evaluate=False,
    ),
    assumptions=(
        Assumption("The loss is quadratic; L is counted from the critical point."),
        Assumption("The process starts at the critical point."),
        Assumption("H is symmetric; its eigenvalues may have any sign."),
        Assumption("C does not depend on θ; it need not commute with H."),
    ),
    formula=eta / (4 * S) * c_ii * (1 - sp.exp(-2 * h_ii * t)),
    arguments=(h_ii, c_ii, t, eta, S),
    slip=Slip("the variance decays at the rate of the mean, e^{−Ht}", eta / (4 * S) * c_ii * (1 - sp.exp(-h_ii * t))),
)
