"""The SDE of heavy-ball SGD in phase space: one step against a time δ = √η."""

import mpmath
import sympy as sp

from derivations import assumptions, linear_models, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import Cov, E, S, Var, c, eta, g, m

delta = sp.Symbol("delta", positive=True)  # √η, the time of one step
gamma, p = sp.symbols("gamma p", real=True)  # friction (1 − m)/δ; velocity v/δ
H, L3, c1, x, y = sp.symbols("H L_3 c_1 x y", real=True)  # L'', L''', C'; displacements of θ and p
START = {x: 0, y: 0}
heavy_ball = sp.Matrix([delta * p - delta**2 * (gamma * p + g), -delta * (gamma * p + g)])


def series(f, formula, order):
    """δ𝓛f + (δ²/2)𝓛²f at the start, below an order in δ, with the drift and the noise met along the path."""
    here = formula.subs({g: g + H * x + L3 * x**2 / 2, p: p + y, c: c + c1 * x}, simultaneous=True)
    total = 0
    for n in (1, 2):
        f = here[0] * sp.diff(f, x) + here[1] * sp.diff(f, y) + here[2] / 2 * sp.diff(f, y, 2)
        total += delta**n / sp.factorial(n) * f.subs(START)
    parts = [sp.expand(total).coeff(delta, n) for n in range(order)]
    return sum(
        delta**n * (sp.factor(part.coeff(c, 0)) + c * sp.factor(part.coeff(c, 1))) for n, part in enumerate(parts)
    )


def less(a, b):
    """a − b, left to the reader."""
    return sp.Add(*sp.Add.make_args(a), *sp.Add.make_args(-b), evaluate=False)


def steps(formula):
    """The recursion in (θ, p), then the generator's series for the SDE."""
    v = sp.Symbol("v", real=True)
    new = m * v - eta * g
    ball = sp.Matrix([new, (new - v) / delta]).subs({v: delta * p, eta: delta**2, m: 1 - gamma * delta})
    means = sp.Matrix([series(f, formula, 3) for f in (x, y)])
    leading = sp.Matrix([series(f, formula, 2) for f in (x, y)])
    products = (sp.Matrix([x, y]) * sp.Matrix([[x, y]])).applyfunc(lambda f: series(f, formula, 3))
    kick = sp.ImmutableMatrix([[delta**4, delta**3], [delta**3, delta**2]]) * c / S
    s = sp.Symbol("s", nonnegative=True)
    moved, pushed = sp.symbols("Δθ Δp")
    return [
        Step(
            "Put p = v/δ and m = 1 − γδ. The step v ← mv − ηg, θ ← θ + v moves θ by the new v and p by 1/δ of the "
            "change of v, on average:",
            ball,
            heavy_ball,
            name=E(moved, pushed),
        ),
        Step(
            "To first order in δ that is δ times the equation's drift:",
            heavy_ball,
            delta * formula[:2, :],
            order=(delta, 2),
        ),
        Step(
            "The gradient's noise, of variance c/S, kicks p by −δ times itself. The equation's noise collects as much "
            "in a time δ:",
            sp.Integral(formula[2], (s, 0, delta)),
            delta**2 * c / S,
            name=Var(pushed),
        ),
        Step(
            "At the next order the means part. The equation's has besides (δ²/2)𝓛² of θ and p: it moves θ with the "
            "mean of old and new velocity, the heavy ball with the new one. The equation's minus the heavy ball's is",
            sp.Matrix([less(means[i], heavy_ball[i]) for i in (0, 1)]),
            delta**2 / 2 * sp.Matrix([gamma * p + g, gamma * (gamma * p + g) - H * p]),
            order=(delta, 3),
        ),
        Step(
            "The covariance, E of the products minus the means' products, is the heavy ball's up to O(δ³). So a step "
            "is wrong by O(δ²), and a fixed time, t/δ steps, by O(δ):",
            sp.Matrix(2, 2, lambda i, j: less(products[i, j], leading[i] * leading[j])),
            kick,
            order=(delta, 3),
            name=Cov(moved, pushed),
        ),
    ]


def check(formula):
    """A cubic loss: the drift integrated by RK4 and the p-noise by quadrature, against one enumerated step."""
    d, friction, size = sp.Rational(1, 10**4), sp.Rational(3, 2), 4
    slope = lambda q: sp.Rational(2, 3) + sp.Rational(7, 5) * q - 2 * q**2  # noqa: E731
    start = sp.Matrix([sp.Rational(1, 2), sp.Rational(-4, 3)])
    values = {delta: d, gamma: friction, S: size, c: 3}

    def drift(z):
        return formula[:2, :].subs(values | {g: slope(z[0]), p: z[1]})

    k1 = drift(start)
    k2 = drift(start + d / 2 * k1)
    k3 = drift(start + d / 2 * k2)
    moved = d / 6 * (k1 + 2 * k2 + 2 * k3 + drift(start + d * k3))
    ends = []  # both values of a two-point gradient noise of variance c/S
    for kick in (sp.sqrt(3) / 2, -sp.sqrt(3) / 2):
        velocity = (1 - friction * d) * d * start[1] - d**2 * (slope(start[0]) + kick)
        ends.append(sp.Matrix([velocity, velocity / d - start[1]]))
    with mpmath.workdps(30):
        rate, time = sp.lambdify(delta, formula[2].subs({S: size, c: 3}))(mpmath.mpf(1) / 10**4), mpmath.mpf(1) / 10**4
        collected = sp.Float(rate * mpmath.quad(lambda s: mpmath.exp(-3 * s), [0, time]), 25)
    return [
        Comparison("mean of one step, δ = 10⁻⁴, up to 10 δ²", moved, (ends[0] + ends[1]) / 2, 10 * d**2),
        Comparison(
            "variance of p after one step, δ = 10⁻⁴, up to 10 δ³",
            collected,
            ((ends[0] - ends[1])[1] / 2) ** 2,
            10 * d**3,
        ),
    ]


dt, dW, dp = sp.symbols("dt dW dp")
push = sp.Mul(eta ** sp.Rational(1, 4), sp.Pow(c / S, sp.S.Half, evaluate=False), dW, evaluate=False)


def says(formula):
    """What the summary states, in numbers."""
    names = {"δ": delta, "C": c, "S": S, "γ": gamma, "p": p, "g": g}
    one, weak, plain = {}, {}, {}
    for size in (sp.Rational(1, 50), sp.Rational(1, 100)):
        friction, start = sp.Rational(3, 2), sp.Matrix([1, sp.Rational(1, 2)])
        q = sp.Symbol("q")
        A = formula[:2, :].subs({delta: size, gamma: friction, g: q}).jacobian([q, p])
        end = (size * A).evalf(30).exp() * start
        ball = heavy_ball.subs({delta: size, gamma: friction, g: start[0], p: start[1]}) + start
        one[size] = sp.N((end - ball).norm(), 20)
        mean, _ = linear_models.heavy_ball_equation(A.tolist(), (0, 1), float(size))
        weak[size**2] = mean - linear_models.heavy_ball(float(size))[0]
        plain[size] = linear_models.equation(float(size), 2) - linear_models.sgd(float(size), 2)
    return [
        prose.figure(
            "γ = (1 − m)/δ",
            sp.Rational(3, 2),
            "γ for m = 0.9, δ = 1/15",
            {"m": sp.Rational(9, 10), "δ": sp.Rational(1, 15)},
            text="(1 − m)/δ",
        ),
        prose.formula("dp = −(γp + g) dt", formula[1], names, text="−(γp + g)"),
        prose.formula("√(δC/S)", sp.sqrt(formula[2]), names),
        prose.order("One step is off by O(δ²)", one, "δ", "the mean of a step on θ²/2 at δ = 1/50 and 1/100"),
        prose.order(
            "the weak error is O(√η)",
            weak,
            "η",
            "E θ after a time of one on θ²/2, γ = 3/2, at δ = 1/50 and 1/100",
            tolerance=0.1,
        ),
        prose.order(
            "without momentum O(η)",
            plain,
            "η",
            "E θ² at t = 1 on a linear model without momentum at η = 1/50 and 1/100",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="The SDE of heavy-ball SGD",
    sources=(Source("Li, Tai & E 2017"), Source("Li, Tai & E 2019")),
    verdict=Verdict.ORDER,
    order="√η",
    summary="With δ = √η, γ = (1 − m)/δ and p = v/δ, a heavy-ball step is a time δ of dθ = p dt, dp = −(γp + g) "
    "dt + √(δC/S) dW. One step is off by O(δ²) in the mean, so at fixed γ, hence m → 1, and fixed time "
    "the weak error is O(√η), and without momentum O(η).",
    printed=sp.Eq(
        sp.Matrix([sp.Symbol("dθ"), dp]),
        sp.Matrix([sp.Mul(p, dt, evaluate=False), sp.Mul(-(gamma * p + g), dt, evaluate=False) + push]),
        evaluate=False,
    ),
    assumptions=(
        assumptions.STEP_OF_ROOT_ETA,
        Assumption("The friction is fixed while η → 0, so m → 1: at fixed m it would grow like 1/√η."),
        assumptions.FIXED_BATCH_SIZE,
        Assumption("A smooth loss."),
    ),
    formula=sp.Matrix([p, -gamma * p - g, delta * c / S]),
    arguments=(delta, gamma, S, p, g, c),
    slip=Slip(
        "the noise of SGD without momentum, η C/S in place of √η C/S", sp.Matrix([p, -gamma * p - g, delta**2 * c / S])
    ),
)
