"""The noise that belongs to the second-order drift of heavy-ball SGD: it acts on the position too."""

from typing import Any

import mpmath
import sympy as sp

from derivations import assumptions, linear_models, oracles, prose
from derivations.dynamics.heavy_ball_variance import variance
from derivations.dynamics.momentum_order_two_drift import H, along_the_path, c1, delta, drift, gamma, p, x, y
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import Cov, S, Var, c, eta, g, lam, m, theta

a, b, n = sp.symbols("a b n", real=True)  # shares of the noise to be found; the gradient's noise
bare, shares = sp.Matrix([0, 1]), sp.Matrix([delta / 2, 1 + gamma * delta / 2])
kick = sp.Matrix([[delta**4, delta**3], [delta**3, delta**2]])  # a heavy-ball step's covariance in units of c/S
moved = Cov(*sp.symbols("Δθ Δp"))
linear = drift.subs(g, H * theta).jacobian([theta, p]).subs(H, lam)  # on a quadratic


def covariance(push):
    """δr + (δ²/2)(Br + rBᵀ + (b·∇)r) below δ⁴ in units of c/S, with r = δ(C/c) push pushᵀ, itself O(δ)."""
    flow, rate = along_the_path(drift), delta * (1 + c1 / c * x)
    carried = flow.jacobian([x, y]) * push * push.T
    whole = delta * rate * push * push.T
    whole += delta**2 / 2 * (rate * (carried + carried.T) + flow[0] * sp.diff(rate, x) * push * push.T)
    whole = whole.subs({x: 0, y: 0}).applyfunc(sp.expand)
    return whole.applyfunc(lambda f: sp.expand(sum(delta**k * f.coeff(delta, k) for k in range(4))))


def stationary(M, rate):
    """Var θ where MQ + QMᵀ + rate = 0."""
    both: Any = sp.kronecker_product(M, sp.eye(2)) + sp.kronecker_product(sp.eye(2), M)
    return both.LUsolve(-rate.reshape(4, 1))[0]


def steps(formula):
    """Both covariances to the same order in δ."""
    hit = sp.ImmutableMatrix([-(delta**2) * n, -delta * n])
    ball = variance.subs({eta: delta**2, m: 1 - gamma * delta}) * S / c
    Q = sp.Matrix([[1 / lam, delta / 2], [delta / 2, 1 + delta * gamma / 2]]) * delta / (2 * gamma)
    first, old = (stationary(M, delta * bare * bare.T) for M in (linear.subs(delta, 0), linear))
    of_ball, close = Var(sp.Symbol("θ_ball")), 1 - delta**2 * lam / 4
    B, Bt, s, st = sp.symbols("B Bᵀ σ σᵀ", commutative=False)
    series = delta**2 * s * st + delta**3 / 2 * (B * s * st + s * st * Bt)
    off = delta**3 * (a + sp.S.Half)
    unknown = sp.Matrix([[0, off], [off, delta**2 + delta**3 * (2 * b - gamma)]])
    return [
        Step(
            "A gradient noise n, of variance c/S, moves p by −δn and, in the same step, θ by −δ²n. The products are",
            sp.MatMul(hit, hit.T, evaluate=False),
            n**2 * kick,
        ),
        Step(
            "Let the SDE's noise be √(δC/S) σ dW with σ = (aδ, 1 + bδ), and C constant. It raises the covariance Q of "
            "(θ, p) at the rate (δc/S)σσᵀ, and the drift carries it along: Q' = BQ + QBᵀ + (δc/S)σσᵀ with B the "
            "derivative of the drift, to leading order ((0, 1), (−H, −γ)). Over a time δ, in units of c/S:",
            covariance(sp.Matrix([a * delta, 1 + b * delta])).subs(c1, 0),
            unknown,
            order=(delta, 4),
            name=moved,
            shown=sp.Eq(series, unknown, evaluate=False),
        ),
        Step(
            "So a = 1/2 and b = γ/2 give the heavy ball's up to δ⁴. Where C varies a term remains, since the SDE "
            "meets C on its way and the heavy ball only at the start. The difference is, in units of c/S,",
            covariance(formula) - kick,
            sp.Matrix([[0, 0], [0, delta**3 * p * c1 / (2 * c)]]),
            order=(delta, 4),
        ),
        Step(
            "On a quadratic the covariance rests where BQ + QBᵀ + (δc/S)σσᵀ = 0. With this drift and noise that is "
            "solved, in units of c/S, by",
            linear * Q + Q * linear.T + delta * formula * formula.T,
            sp.zeros(2, 2),
            shown=sp.Eq(sp.Symbol("Q"), Q, evaluate=False),
        ),
        Step(
            "So Var θ = δ/(2γλ), which is right to O(η) relative to the heavy ball's, and the first-order SDE's, "
            "exactly:",
            sp.Matrix([Q[0, 0] / ball, first / ball]),
            sp.Matrix([close, close]),
            order=(delta, 3),
            name=sp.ImmutableMatrix([Var(theta) / of_ball, Var(sp.Symbol("θ_first")) / of_ball]),
        ),
        Step(
            "With this drift and the first order's noise (0, 1) it is too small by 2γδ = 2(1 − m), some fifth at m = "
            "0.9:",
            sp.factor(old / Q[0, 0]),
            1 - 2 * gamma * delta,
            order=(delta, 2),
            name=Var(sp.Symbol("θ_old")) / Var(theta),
        ),
    ]


def check(formula):
    """The noise carried along by matrix exponentials, against an enumerated step; two Lyapunov equations, rational."""
    d, friction, curvature = sp.Rational(1, 1000), sp.Rational(3, 2), 2
    values = {delta: d, gamma: friction, lam: curvature}
    share, M = formula.subs(values), linear.subs(values)
    with mpmath.workdps(30):
        number = sp.lambdify([], [M.tolist(), share.tolist()], "mpmath")
        matrix, vector = map(mpmath.matrix, number())
        carried = lambda s: mpmath.expm(matrix * s, method="taylor") * vector  # noqa: E731
        time = mpmath.mpf(1) / 1000
        exact = [
            sp.Float(time * mpmath.quad(lambda s: carried(s)[i] * carried(s)[j], [0, time], maxdegree=3), 25)  # noqa: B023
            for i, j in ((0, 0), (0, 1), (1, 1))
        ]
    ends = [sp.Matrix([-(d**2) * sign, -d * sign]) for sign in (1, -1)]
    enumerated: Any = oracles.mean([e * e.T for e in ends])
    step = sp.Matrix([[1 - curvature * d**2, d - friction * d**2], [-curvature * d, 1 - friction * d]])
    ball = (sp.eye(4) - sp.kronecker_product(step, step)).LUsolve(enumerated.reshape(4, 1))[0]
    return [
        Comparison(
            "covariance of one step on a quadratic, δ = 10⁻³, up to 10 δ⁴",
            exact,
            [enumerated[0, 0], enumerated[0, 1], enumerated[1, 1]],
            10 * d**4,
        ),
        Comparison(
            "stationary Var θ over the heavy ball's, δ = 10⁻³, up to 2 δ²",
            stationary(M, d * share * share.T) / ball,
            1,
            2 * d**2,
        ),
    ]


def says(formula):
    """What the summary states, in numbers."""
    names = {"δ": delta, "γ": gamma}

    def relaxed(size, push):
        """Var θ at rest on θ²/2 with γ = 3/2, in units of c/S."""
        values = {delta: size, gamma: sp.Rational(3, 2), lam: 1}
        return stationary(linear.subs(values), size * push.subs(values) * push.subs(values).T)

    one, kept, first, ratios, absolute = {}, {}, {}, {}, {}
    for size in (sp.Rational(1, 50), sp.Rational(1, 100)):
        kicked = kick.subs(delta, size)
        one[size], kept[size] = (sp.N((_collected(size, push) - kicked).norm(), 20) for push in (formula, bare))
        right, wrong = relaxed(size, formula), relaxed(size, bare)
        first[size], ratios[size**2] = right, 1 - wrong / right
        d = float(size)
        A = [[-d / 2, 1 - d / 2 * 1.5], [-1 - d / 2 * 1.5, -1.5 + d / 2 * (1 - 1.5**2)]]
        absolute[size**2] = linear_models.heavy_ball_equation(A, (0, 1), d)[1] - linear_models.heavy_ball(d)[1]
    tiny = sp.Rational(1, 10**4)
    how = "on θ²/2 with γ = 3/2, at δ = 1/50 and 1/100"
    return [
        prose.figure(
            "The noise √(δC/S)",
            sp.sqrt(kick[1, 1].subs(delta, sp.Rational(1, 50)) * 3 / 4 / sp.Rational(1, 50)),
            "the root of a step's variance of p over δ, at δ = 1/50, C = 3, S = 4",
            {"δ": sp.Rational(1, 50), "C": 3, "S": 4},
            text="√(δC/S)",
        ),
        prose.formula("(δ/2, 1 +", formula[0], names, text="δ/2"),
        prose.formula("1 + γδ/2", formula[1], names),
        prose.order("up to O(δ⁴)", one, "δ", f"the covariance of one step {how}"),
        prose.order(
            "Keeping the first order's (0, 1) costs O(δ³)", kept, "δ", f"the same with the noise (0, 1), {how}"
        ),
        prose.cases(
            "too little to change the absolute weak order at fixed time",
            [abs(absolute[sp.Rational(1, 2500)] / absolute[sp.Rational(1, 10_000)] - 4) < 0.3],
            f"Var θ after a time of one with the noise (0, 1) is off by O(η) or less, {how}",
        ),
        prose.order("the variance is itself O(δ)", first, "δ", f"Var θ at rest {how}"),
        prose.order("wrong by O(√η) of itself", ratios, "η", f"Var θ at rest {how}", tolerance=0.1),
        prose.figure(
            "at stationarity by 2(1 − m)",
            1 - relaxed(tiny, bare) / relaxed(tiny, formula),
            "the relative error of Var θ at rest, δ = 10⁻⁴, γ = 3/2, to within 1 %",
            {"m": 1 - sp.Rational(3, 2) * tiny},
            text="2(1 − m)",
            tolerance=sp.Rational(3, 10**6),
        ),
    ]


def _collected(size, push):
    """A step's covariance on θ²/2 with γ = 3/2 in units of c/S: the noise carried along by a power series."""
    values = {delta: size, gamma: sp.Rational(3, 2), lam: 1}
    A, vector = linear.subs(values), push.subs(values)
    rate: Any = size * vector * vector.T
    total, term = sp.zeros(2, 2), rate * size
    for number in range(2, 12):
        total += term
        term = (A * term + term * A.T) * size / number
    return total


CLAIM = Claim(
    module=__name__,
    title="Noise of the second-order SDE of heavy-ball SGD",
    sources=(Source("Hairer, Lubich & Wanner 2006", place="backward error analysis"),),
    verdict=Verdict.ORDER,
    order="η²",
    summary="The noise √(δC/S)(δ/2, 1 + γδ/2) dW in (θ, p), with δ = √η and constant C, gives one heavy-ball "
    "step's covariance up to O(δ⁴). Keeping the first order's (0, 1) costs O(δ³), too little to change "
    "the absolute weak order at fixed time, but the variance is itself O(δ): it would be wrong by O(√η) "
    "of itself, at stationarity by 2(1 − m).",
    printed=sp.Eq(sp.Symbol("σ"), shares, evaluate=False),
    assumptions=(
        assumptions.STEP_OF_ROOT_ETA,
        assumptions.FIXED_FRICTION,
        assumptions.CONSTANT_COVARIANCE,
        Assumption("The drift is that of second order, on a loss with three derivatives."),
    ),
    formula=shares,
    arguments=(delta, gamma),
    slip=Slip("the first order's noise, on the velocity alone", bare),
)
