"""The noise that belongs to the second-order drift of heavy-ball SGD: it acts on the position too."""

from typing import Any

import mpmath
import sympy as sp

from derivations import oracles
from derivations.claim import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import Cov, S, Var, c, eta, g, lam, m, theta

delta = sp.Symbol("delta", positive=True)  # √η, the time of one step
gamma, p, H = sp.symbols("gamma p H", real=True)  # friction (1 − m)/δ; velocity v/δ; L''
L3, c1, x, y = sp.symbols("L_3 c_1 x y", real=True)  # L''', C'; displacements of θ and p
a, b, n = sp.symbols("a b n", real=True)  # shares of the noise to be found; the gradient's noise
q, r, u = sp.symbols("q r u", real=True)  # stationary Var θ, Cov(θ, p), Var p
noise = sp.symbols("n_1 n_2", real=True)
kick = sp.Matrix([[delta**4, delta**3], [delta**3, delta**2]])  # a heavy-ball step's covariance in units of C/S
MOVED = Cov(sp.Symbol(r"\Delta\theta,\Delta p"))


def covariance():
    """The covariance over a time δ, below δ⁴ and in units of C/S, for noise (n₁, n₂), C = c + c₁x, any smooth loss."""
    gradient, velocity = g + H * x + L3 * x**2 / 2, p + y
    drift = sp.Matrix(
        [
            velocity - delta / 2 * (gamma * velocity + gradient),
            -gamma * velocity
            - gradient
            + delta / 2 * ((sp.diff(gradient, x) - gamma**2) * velocity - gamma * gradient),
        ]
    )

    first = drift.subs(delta, 0)

    def generator(f):
        curved = noise[0] ** 2 * f.diff(x, 2) + 2 * noise[0] * noise[1] * f.diff(x, y) + noise[1] ** 2 * f.diff(y, 2)
        return drift[0] * f.diff(x) + drift[1] * f.diff(y) + delta / 2 * (c + c1 * x) * curved

    def expectation(f):
        once, calm = generator(f), f
        for _ in range(3):  # δ³ stands before the third power, and what isn't the first-order drift is O(δ)
            calm = first[0] * calm.diff(x) + first[1] * calm.diff(y)
        terms = (delta * once, delta**2 / 2 * generator(once), delta**3 / 6 * calm)
        return below(sum(term.subs({x: 0, y: 0}) for term in terms))

    def below(f):
        f = sp.expand(f)
        return sum(f.coeff(delta, k) * delta**k for k in range(4))

    means = sp.Matrix([expectation(x), expectation(y)])
    products = sp.Matrix([[expectation(x**2), expectation(x * y)], [expectation(x * y), expectation(y**2)]])
    return (products - means * means.T).applyfunc(below) / c


def stationary(M, share):
    """Var θ from the Lyapunov equation of an SDE, in units of C/S."""
    Q = sp.Matrix([[q, r], [r, u]])
    residual = M * Q + Q * M.T + delta * share * share.T
    return sp.solve([residual[0, 0], residual[0, 1], residual[1, 1]], [q, r, u], dict=True)[0][q]


def linear(curvature):
    """The second-order drift on a quadratic, as a matrix on (θ, p)."""
    first = sp.Matrix([[0, 1], [-curvature, -gamma]])
    return first + delta / 2 * sp.Matrix([[-curvature, -gamma], [-gamma * curvature, curvature - gamma**2]])


def steps(formula):
    """Both covariances to the same order in δ."""
    push, unknown = sp.Matrix([-(delta**2) * n, -delta * n]), sp.Matrix([a * delta, 1 + b * delta])
    ball = delta**2 / (2 * lam * gamma * delta * (1 - delta**2 * lam / (2 * (2 - gamma * delta))))
    bare = sp.Matrix([0, 1])
    general = covariance()
    with_noise = lambda pair: general.subs(dict(zip(noise, pair, strict=True))).applyfunc(sp.expand)  # noqa: E731
    return [
        Step(
            "A gradient noise n, of variance C/S, moves p by −δn and, in the same step, θ by −δ²n. In units of n²:",
            push * push.T / n**2,
            kick,
            name=MOVED,
        ),
        Step(
            "The SDE's noise be √(δC/S)(aδ, 1 + bδ) dW with constant C. Over a time δ the drift carries noise from p "
            "to θ and damps it; in units of C/S:",
            with_noise(unknown).subs(c1, 0),
            sp.Matrix(
                [[0, delta**3 * (a + sp.S.Half)], [delta**3 * (a + sp.S.Half), delta**2 + delta**3 * (2 * b - gamma)]]
            ),
            order=(delta, 4),
        ),
        Step(
            "So a = 1/2 and b = γ/2 give the heavy ball's, up to δ⁴:",
            with_noise(formula).subs(c1, 0),
            kick,
            order=(delta, 4),
        ),
        Step(
            "Where C varies a term remains, since the SDE meets C on its way and the heavy ball only at the start:",
            with_noise(formula) - kick,
            sp.Matrix([[0, 0], [0, delta**3 * p * c1 / (2 * c)]]),
            order=(delta, 4),
        ),
        Step(
            "On a quadratic the stationary variance relative to the heavy ball's is then right to O(η), no better than "
            "the first-order SDE's:",
            stationary(linear(lam), formula) / ball,
            1 - delta**2 * lam / 4,
            order=(delta, 3),
            name=Var(theta),
        ),
        Step(
            "With the first order's noise (0, 1) it is too small by 2γδ = 2(1 − m), some fifth at m = 0.9:",
            stationary(linear(lam), bare) / stationary(linear(lam), formula),
            1 - 2 * gamma * delta,
            order=(delta, 2),
        ),
    ]


def check(formula):
    """The noise carried along by matrix exponentials, against an enumerated step; two Lyapunov equations, rational."""
    d, friction, curvature = sp.Rational(1, 1000), sp.Rational(3, 2), 2
    values = {delta: d, gamma: friction}
    share, M = formula.subs(values), linear(curvature).subs(values)
    with mpmath.workdps(30):
        matrix = mpmath.matrix([[mpmath.mpf(entry.p) / entry.q for entry in M.row(i)] for i in (0, 1)])
        vector = mpmath.matrix([mpmath.mpf(entry.p) / entry.q for entry in share])
        carried = lambda s: mpmath.expm(matrix * s, method="taylor") * vector  # noqa: E731
        time = mpmath.mpf(1) / 1000
        exact = [
            sp.Float(time * mpmath.quad(lambda s: carried(s)[i] * carried(s)[j], [0, time], maxdegree=3), 25)  # noqa: B023
            for i, j in ((0, 0), (0, 1), (1, 1))
        ]
    ends = [sp.Matrix([-(d**2) * k, -d * k]) for k in (1, -1)]
    enumerated: Any = oracles.mean([e * e.T for e in ends])
    step = sp.Matrix([[1 - curvature * d**2, d - friction * d**2], [-curvature * d, 1 - friction * d]])
    Q = sp.Matrix([[q, r], [r, u]])
    residual = step * Q * step.T + enumerated - Q
    ball = sp.solve([residual[0, 0], residual[0, 1], residual[1, 1]], [q, r, u], dict=True)[0][q]
    return [
        Comparison(
            "covariance of one step on a quadratic, δ = 10⁻³, up to 10 δ⁴",
            exact,
            [enumerated[0, 0], enumerated[0, 1], enumerated[1, 1]],
            10 * d**4,
        ),
        Comparison(
            "stationary Var θ over the heavy ball's, δ = 10⁻³, up to 2 δ²",
            stationary(M, share).subs(values) / ball,
            1,
            2 * d**2,
        ),
    ]


dW = sp.Symbol("dW")
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
    printed=sp.Eq(
        sp.MatrixSymbol("dN", 2, 1),
        sp.MatMul(sp.sqrt(delta * c / S) * dW, sp.Matrix([delta / 2, 1 + gamma * delta / 2])),
        evaluate=False,
    ),
    assumptions=(
        Assumption("One step lasts δ = √η.", sp.Eq(delta, sp.sqrt(eta), evaluate=False)),
        Assumption(
            "The friction is fixed while η → 0, so m → 1.", sp.Eq(gamma, (1 - m) / sp.sqrt(eta), evaluate=False)
        ),
        Assumption("C doesn't depend on θ.", sp.Eq(c1, 0, evaluate=False)),
        Assumption("The drift is that of second order, on a loss with three derivatives.", sp.Q.finite(L3)),
    ),
    formula=sp.Matrix([delta / 2, 1 + gamma * delta / 2]),
    arguments=(delta, gamma),
    steps=steps,
    check=check,
    slip=Slip("the first order's noise, on the velocity alone", sp.Matrix([0, 1])),
)
