"""All stationary cumulants of SGD on a parabola with constant noise: the law is not Gaussian, and by how much."""

from typing import Any

import sympy as sp

from derivations import assumptions, oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import S, c, eta, lam, theta

n = sp.Symbol("n", positive=True, integer=True)  # order of the cumulant
kappa = sp.Symbol("kappa_n", real=True)  # n-th cumulant of an example's gradient about the mean


def steps(formula):
    """Cumulants add and scale → batch mean → fixed point → variance, skewness and kurtosis at small η."""
    a, b = sp.symbols("a b", real=True)
    x3, x4, y3, y4 = sp.symbols("x_3 x_4 y_3 y_4", real=True)
    x2, y2 = sp.symbols("x_2 y_2", positive=True)
    left, right = (1, 0, x2, x3, x4), (1, 0, y2, y3, y4)

    def moment(order):  # E (aX + bY)^order for centred independent X, Y
        return sum(
            sp.binomial(order, j) * a**j * b ** (order - j) * left[j] * right[order - j] for j in range(order + 1)
        )

    k3, k4 = sp.symbols("kappa_3 kappa_4", real=True)
    cumulants = {order: formula.subs({n: order, kappa: value}) for order, value in ((2, c), (3, k3), (4, k4))}
    return [
        Step(
            "The third moment and the fourth cumulant of a sum of independent centred variables add, and scale "
            "with the third and fourth power; so does every κ_n:",
            sp.Matrix([moment(3), moment(4) - 3 * moment(2) ** 2]),
            sp.Matrix([a**3 * x3 + b**3 * y3, a**4 * (x4 - 3 * x2**2) + b**4 * (y4 - 3 * y2**2)]),
        ),
        Step(
            "A batch mean is S independent gradients over S, with cumulants Sκ_n/Sⁿ. For θ′ = (1 − ηλ)θ − ηξ the "
            "cumulant of θ is a fixed point, with ξ independent of θ:",
            (1 - eta * lam) ** n * formula + (-eta) ** n * S * kappa / S**n,
            formula,
        ),
        Step("n = 2 is the variance; the SDE lacks the −ηλ:", cumulants[2], eta * c / (S * lam * (2 - eta * lam))),
        Step(
            "The squared skewness is κ_3²/c³ times a factor of order η/S:",
            sp.cancel(cumulants[3] ** 2 / cumulants[2] ** 3),
            sp.Rational(8, 9) * eta * lam / S * k3**2 / c**3,
            order=(eta, 2),
        ),
        Step(
            "So is the excess kurtosis, in units of κ_4/c²: the law becomes Gaussian as ηλ/S → 0, even at S = 1:",
            sp.cancel(cumulants[4] / cumulants[2] ** 2),
            eta * lam / S * k4 / c**2,
            order=(eta, 2),
        ),
    ]


def check(formula):
    """The first four stationary moments from their linear equations over all nine batches of two of three gradients."""
    noises = [sp.Integer(2), sp.Integer(-1), sp.Integer(-1)]
    rate, curvature, size = sp.Rational(1, 3), sp.Rational(3, 2), 2
    decay = 1 - rate * curvature
    batch_means = [oracles.mean([noises[i] for i in batch]) for batch in oracles.batches(3, size, replacement=True)]
    moments: list[Any] = [sp.S.One]
    for order in range(1, 5):
        below = sum(
            sp.binomial(order, j)
            * decay**j
            * moments[j]
            * oracles.mean([(-rate * x) ** (order - j) for x in batch_means])
            for j in range(order)
        )
        moments.append(below / (1 - decay**order))
    _, _, m2, m3, m4 = moments
    e2, e3, e4 = (oracles.mean([x**order for x in noises]) for order in (2, 3, 4))
    values = {eta: rate, lam: curvature, S: size}
    return [
        Comparison(
            f"κ_{order} of θ for gradients 2, −1, −1 about the mean, S = 2, η = 1/3, λ = 3/2, from moments over "
            f"batches",
            formula.subs(values | {n: order, kappa: value}),
            found,
        )
        for order, value, found in ((2, e2, m2), (3, e3, m3), (4, e4 - 3 * e2**2, m4 - 3 * m2**2))
    ]


def says(formula):
    """What the summary states, in numbers."""
    names = {"η": eta, "κ_n": kappa, "S": S, "λ": lam, "n": n}
    rates = (sp.Rational(1, 100), sp.Rational(1, 200))

    def cumulant(order, rate, size=1):
        return formula.subs({n: order, kappa: {2: 1, 3: 2, 4: 3}[order], eta: rate, S: size, lam: 1})

    def skewness(rate, size=1):
        return (cumulant(3, rate, size) / cumulant(2, rate, size) ** sp.Rational(3, 2)).evalf(20)

    def kurtosis(rate, size=1):
        return cumulant(4, rate, size) / cumulant(2, rate, size) ** 2

    exact = []
    for order in (2, 3):  # gradients 2, −1, −1 about the mean, S = 1: the fixed point over the batches
        rate, found = sp.Rational(1, 3), sp.Symbol("found")
        noises = [sp.Integer(2), sp.Integer(-1), sp.Integer(-1)]
        fixed = sp.solve(
            (1 - rate) ** order * found + oracles.mean([(-rate * x) ** order for x in noises]) - found, found
        )
        value = {n: order, kappa: oracles.mean([x**order for x in noises]), eta: rate, S: 1, lam: 1}
        exact.append(fixed[0] == formula.subs(value))
    return [
        prose.formula("(−η)ⁿ κ_n/(S^{n−1} (1 − (1 − ηλ)ⁿ))", formula, names, at={n: 3}),
        prose.cases(
            "− ηλ)ⁿ)), exactly", exact, "second and third moment about 0 from their fixed points over three batches"
        ),
        prose.order(
            "skewness is of order √(ηλ/S)",
            {r: skewness(r) for r in rates},
            "η",
            "at η = 1/100 and 1/200, S = 1",
            text="√(ηλ/S)",
            tolerance=0.1,
        ),
        prose.order(
            "order √(ηλ/S)",
            {size: skewness(rates[0], size) for size in (1, 2)},
            "S",
            "at S = 1 and 2",
            tolerance=0.1,
            text="√(ηλ/S)",
        ),
        prose.order(
            "kurtosis of order ηλ/S", {r: kurtosis(r) for r in rates}, "η", "at η = 1/100 and 1/200, S = 1", text="ηλ/S"
        ),
        prose.cases(
            "so both vanish in the limit of the SDE",
            [abs(skewness(sp.Rational(1, 10**6))) < 0.01, abs(kurtosis(sp.Rational(1, 10**6))) < 0.01],
            "both below 0.01 at η = 10⁻⁶",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Stationary cumulants of SGD on a parabola",
    sources=(Source("textbook", place="autoregressive process of order 1"),),
    verdict=Verdict.CONDITIONAL,
    summary="On a parabola with constant noise the n-th stationary cumulant of SGD is (−η)ⁿ κ_n/(S^{n−1} (1 − (1 "
    "− ηλ)ⁿ)), exactly. The law is Gaussian only if the minibatch noise is; skewness is of order √(ηλ/S) "
    "and excess kurtosis of order ηλ/S, so both vanish in the limit of the SDE.",
    printed=sp.Eq(
        sp.Function("kappa_n")(theta), (-eta) ** n * kappa / (S ** (n - 1) * (1 - (1 - eta * lam) ** n)), evaluate=False
    ),
    assumptions=(
        Assumption("The loss is λθ²/2, and every example has the curvature λ: C does not depend on θ."),
        Assumption("Batches are drawn with replacement, afresh each step."),
        assumptions.STABLE,
        Assumption("At least the second cumulant: the first is zero.", sp.Ge(n, 2, evaluate=False)),
    ),
    formula=(-eta) ** n * kappa / (S ** (n - 1) * (1 - (1 - eta * lam) ** n)),
    arguments=(n, kappa, eta, lam, S),
    slip=Slip(
        "Sⁿ for S^{n−1}: a mean of S gradients, without their number",
        (-eta) ** n * kappa / (S**n * (1 - (1 - eta * lam) ** n)),
    ),
)
