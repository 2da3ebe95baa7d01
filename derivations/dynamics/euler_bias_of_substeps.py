"""How much of the discretisation gap an Euler scheme with k substeps a step leaves: about one k-th."""

import mpmath
import sympy as sp

from derivations import assumptions, linear_models, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import S, c, eta, k, lam, t

A, B = sp.symbols("A B", real=True)  # A: the SDE's generator; B: the second-order term of an Euler step
V_1, V_k, V_oo = sp.symbols("V_1 V_k V_∞")  # stationary variances with 1, with k, with ever more substeps
share = (2 - eta * lam) / (2 * k - eta * lam)


def steps(formula):
    """In general to leading order, then exactly for the Ornstein–Uhlenbeck process."""
    step = eta / k
    ou = eta * c / (2 * S * lam)
    above = 1 / (1 - eta * lam / (2 * k))  # relative to the SDE
    return [
        Step(
            "An Euler step of length s changes E f by sA + s²B + …, the SDE by exp(sA) − 1, with A the generator."
            " After a time t in k steps the leading error is one k-th of that of one step, for any drift, noise "
            "and f. (A and B needn't commute: no product of the two appears at this order.)",
            (1 + t / k * A + (t / k) ** 2 * B) ** k - sp.exp(t * A),
            t**2 / k * (B - A**2 / 2),
            order=(t, 3),
        ),
        Step(
            "On dθ = −λθ dt + √(ηc/S) dW, Euler's stationary variance satisfies V = (1 − λη/k)²V + (η/k)(ηc/S):",
            sp.Add((1 - lam * step) ** 2 * ou * above, step * eta * c / S, evaluate=False),
            ou * above,
            name=V_k,
        ),
        Step(
            "With k = 1 it is Gaussian SGD's, with k → ∞ the SDE's, ηc/(2Sλ). Of the gap between these two k substeps "
            "leave, exactly:",
            (above - 1) / (above.subs(k, 1) - 1),
            formula,
            name=(V_k - V_oo) / (V_1 - V_oo),
        ),
        Step("That is 1/k for a small learning rate:", formula, 1 / k, order=(eta, 1)),
        Step(
            "The mean after one step tells the same: k times the scheme's error is Gaussian SGD's error:",
            k * ((1 - eta * lam / k) ** k - sp.exp(-eta * lam)),
            (1 - eta * lam) - sp.exp(-eta * lam),
            order=(eta, 3),
        ),
    ]


def check(formula):
    """Euler's recursion iterated with 1 and with 8 substeps; the SDE's variance as an integral; ηλ = 0.2."""
    with mpmath.workdps(40):
        rate, curvature, ratio = mpmath.mpf(1) / 5, mpmath.mpf(1), mpmath.mpf(3) / 20  # ratio: ηc/S

        def iterate(substeps):
            variance, step = mpmath.mpf(0), rate / substeps
            for _ in range(300 * substeps):
                variance = (1 - curvature * step) ** 2 * variance + step * ratio
            return variance

        sde = mpmath.quad(lambda s: ratio * mpmath.exp(-2 * curvature * s), [0, 5, 20, 60])
        left = sp.Float((iterate(8) - sde) / (iterate(1) - sde), 30)
    derived = formula.subs({eta: sp.Rational(1, 5), lam: 1, k: 8})
    return [
        Comparison("share of the gap left by 8 substeps at ηλ = 0.2, near 1/8", derived.evalf(30), left, 1e-24),
    ]


def says(formula):
    """What the summary states, in numbers."""

    def euler(substeps, rate=0.01):  # E θ² at t = 1 on aθ²/2 with a = 1, 1 or 4: c = 2θ²
        step = rate / substeps
        return ((1 - 2 * step) ** 2 + step * rate * 2) ** round(1 / step)

    whole = linear_models.equation(0.01, 2) - euler(1)
    return [
        prose.figure(
            "leave about 1/k of the discretisation gap",
            (linear_models.equation(0.01, 2) - euler(8)) / whole,
            "E θ² at t = 1 on a linear model with noise proportional to θ, η = 0.01, k = 8",
            {"k": 8},
            text="1/k",
            tolerance=0.01,
        ),
        prose.formula("exactly (2 − ηλ)/(2k − ηλ)", formula, {"η": eta, "λ": lam, "k": k}, text="(2 − ηλ)/(2k − ηλ)"),
        prose.figure("an eighth", formula.subs({eta: 0, k: 8}), "the share of 8 substeps for η → 0"),
    ]


CLAIM = Claim(
    module=__name__,
    title="Bias of an Euler scheme with k substeps",
    sources=(Source("Talay & Tubaro 1990"),),
    verdict=Verdict.EXACT,
    summary="Gaussian SGD is the Euler scheme with one substep, so k substeps leave about 1/k of the "
    "discretisation gap between SGD and its SDE; of the stationary variance's gap on a quadratic exactly "
    "(2 − ηλ)/(2k − ηλ). With eight Euler substeps an eighth of what is to be measured stays hidden.",
    printed=sp.Eq((V_k - V_oo) / (V_1 - V_oo), share, evaluate=False),
    assumptions=(
        Assumption("A quadratic loss λθ²/2; for other losses the share is 1/k + O(η)."),
        assumptions.CONSTANT_COVARIANCE,
        Assumption("The scheme is stable with one substep.", sp.Lt(eta * lam, 2, evaluate=False)),
    ),
    formula=share,
    arguments=(eta, lam, k),
    slip=Slip("1/k² for 1/k, as of a second-order scheme", share / k),
)
