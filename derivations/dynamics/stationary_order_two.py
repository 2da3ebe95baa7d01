"""The order-2 modified equation at stationarity: on a quadratic it moves the variance the wrong way."""

import mpmath
import sympy as sp

from derivations import assumptions, prose
from derivations.parts import Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import S, Var, c, eta, lam, theta

ou, sgd = eta * c / (2 * S * lam), eta * c / (S * lam * (2 - eta * lam))


def steps(formula):
    """Three stationary variances and the two errors."""
    loss = lam * theta**2 / 2
    bend = lam * (1 + eta * lam / 2)
    second, of_sgd, first = (Var(sp.Symbol(name)) for name in ("theta", "θ_SGD", "θ_SDE"))
    return [
        Step(
            "For L = λθ²/2 the modified loss L + (η/4)|∇L|² is quadratic too, with the curvature",
            sp.Derivative(loss, (theta, 2)) + sp.Derivative(eta / 4 * (lam * theta) ** 2, (theta, 2)),
            bend,
        ),
        Step(
            "A linear drift −aθ and noise of the strength ηc/S change a variance V at the rate −2aV + ηc/S. With that "
            "curvature for a, it rests at V = Var θ, where 2aV is",
            sp.Mul(2, lam, 1 + eta * lam / 2, formula, evaluate=False),
            eta * c / S,
        ),
        Step(
            "A step of SGD makes (1 − ηλ)²V + η²c/S of a variance V. It comes to rest at V = ηc/(Sλ(2 − ηλ)):",
            sp.Add((1 - eta * lam) ** 2 * sgd, eta**2 * c / S, evaluate=False),
            sgd,
            name=of_sgd,
        ),
        Step(
            "Relative to the first-order SDE, which gives ηc/(2Sλ), SGD lies higher by ηλ/2:",
            sgd / ou,
            1 + eta * lam / 2,
            order=(eta, 2),
            name=of_sgd / first,
        ),
        Step(
            "and the modified equation lower by as much:",
            formula / ou,
            1 - eta * lam / 2,
            order=(eta, 2),
            name=second / first,
        ),
        Step(
            "So the error of the modified equation is nearly twice the first-order SDE's. Exactly, both in units of "
            "the latter's variance:",
            (formula / ou - sgd / ou) / (1 - sgd / ou),
            2 / (1 + eta * lam / 2),
            name=(second - of_sgd) / (first - of_sgd),
        ),
    ]


def check(formula):
    """The density ∝ exp(−2S/(ηc) · modified loss) by quadrature; SGD's variance by iterating its recursion."""
    values = {eta: sp.Rational(1, 5), S: 4, lam: sp.Rational(3, 2), c: 2}
    derived = formula.subs(values).evalf(30)
    with mpmath.workdps(40):
        rate, curvature, ratio = mpmath.mpf(1) / 5, mpmath.mpf(3) / 2, mpmath.mpf(1) / 10  # ratio: ηc/S
        modified = lambda q: curvature * q**2 / 2 + rate / 4 * (curvature * q) ** 2  # noqa: E731
        weight = lambda q: mpmath.exp(-2 * modified(q) / ratio)  # noqa: E731
        square, total = (mpmath.quad(f, [-6, 0, 6]) for f in (lambda q: q**2 * weight(q), weight))
        exact = sp.Float(square / total, 30)  # pyright: ignore[reportOperatorIssue]
        variance = mpmath.mpf(0)
        for _ in range(200):
            variance = (1 - rate * curvature) ** 2 * variance + rate * ratio
        gap, first = sp.Float(variance, 30), sp.Float(ratio / (2 * curvature), 30)
    return [
        Comparison("variance, by quadrature of the stationary density", derived, exact, 1e-25),
        Comparison(
            "error against SGD in units of the first-order SDE's, at ηλ = 0.3: 2/1.15",
            (derived - gap) / (first - gap),
            sp.Rational(200, 115).evalf(30),
            1e-24,
        ),
    ]


def says(formula):
    """What the summary states, in numbers."""
    names = {"η": eta, "c": c, "S": S, "λ": lam}
    at = {c: 3, S: 4, lam: 1}
    rates = (sp.Rational(1, 50), sp.Rational(1, 100))
    own, order_two, order_one = ({rate: law.subs({**at, eta: rate}) for rate in rates} for law in (sgd, formula, ou))
    errors = [{rate: law[rate] - own[rate] for rate in rates} for law in (order_two, order_one)]
    how = "at η = 1/50 and 1/100, c = 3, S = 4, λ = 1"
    return [
        prose.formula("ηc/(2Sλ)", sp.limit(formula / eta, eta, 0) * eta, names),
        prose.direction("SGD's stationary variance is larger", [order_one[rates[0]], own[rates[0]]], f"the two {how}"),
        prose.formula("by the factor 1/(1 − ηλ/2)", sgd / ou, names, text="1/(1 − ηλ/2)"),
        prose.direction("the order-2 equation's smaller", [order_one[rates[0]], order_two[rates[0]]], f"the two {how}"),
        prose.formula("by the factor 1/(1 + ηλ/2)", formula / ou, names, text="1/(1 + ηλ/2)"),
        prose.figure(
            "its error is nearly twice the first-order SDE's",
            errors[0][rates[1]] / errors[1][rates[1]],
            "the two errors against SGD at η = 1/100",
            text="twice",
            tolerance=0.02,
        ),
        prose.cases(
            "with the same sign", [errors[0][rate] * errors[1][rate] > 0 for rate in rates], f"both errors {how}"
        ),
        prose.order("at fixed S the variance is itself O(η)", own, "η", f"SGD's {how}"),
        prose.order("both errors are O(η²)", errors[0], "η", f"the order-2 equation's {how}"),
        prose.order("errors are O(η²)", errors[1], "η", f"the first-order SDE's {how}"),
    ]


CLAIM = Claim(
    module=__name__,
    title="Stationary variance of the order-2 modified equation on a quadratic",
    sources=(Source("Li, Tai & E 2019"),),
    verdict=Verdict.EXACT,
    summary="On a quadratic without momentum, relative to the Ornstein–Uhlenbeck value ηc/(2Sλ), SGD's stationary "
    "variance is larger by the factor 1/(1 − ηλ/2), the order-2 equation's smaller by the factor 1/(1 + "
    "ηλ/2): its error is nearly twice the first-order SDE's, with the same sign. That doesn't contradict "
    "its order: at fixed S the variance is itself O(η), and both errors are O(η²). It says nothing of "
    "other losses, of momentum, or of the odds of basins.",
    printed=sp.Eq(Var(theta), eta * c / (2 * S * lam * (1 + eta * lam / 2)), evaluate=False),
    assumptions=(
        assumptions.QUADRATIC,
        assumptions.CONSTANT_COVARIANCE,
        assumptions.NO_MOMENTUM,
        assumptions.STABLE,
    ),
    formula=eta * c / (2 * S * lam * (1 + eta * lam / 2)),
    arguments=(eta, S, lam, c),
    slip=Slip("the sign of the correction, which gives SGD's own variance", sgd),
)
