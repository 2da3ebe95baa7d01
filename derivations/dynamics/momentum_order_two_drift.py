"""The second-order drift of the SDE of heavy-ball SGD, from the logarithm of one step's map."""

import sympy as sp

from derivations import assumptions, linear_models, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import E, S, c, g

delta = sp.Symbol("delta", positive=True)  # √η, the time of one step
gamma, p, H = sp.symbols("gamma p H", real=True)  # friction (1 − m)/δ; velocity v/δ; L''
L3, L4, c1, x, y = sp.symbols("L_3 L_4 c_1 x y", real=True)  # L''', L'''', C'; displacements of θ and p
moved, pushed = sp.symbols("Δθ Δp")
drift = sp.Matrix([p - delta / 2 * (gamma * p + g), -gamma * p - g + delta / 2 * (H * p - gamma**2 * p - gamma * g)])
heavy_ball = sp.Matrix([delta * p - delta**2 * (gamma * p + g), -delta * (gamma * p + g)])


def along_the_path(f):
    """f with the gradient, the curvature and the velocity met at the displacement (x, y)."""
    loss = g * x + H * x**2 / 2 + L3 * x**3 / 6 + L4 * x**4 / 24
    return f.subs({g: sp.diff(loss, x), H: sp.diff(loss, x, 2), p: p + y}, simultaneous=True)


def mean(f, b):
    """δ𝓛f + (δ²/2)𝓛²f at the start; the noise has the variance rate δC/S in p and its share δ/2 in θ."""
    rate = delta * (c + c1 * x) / S
    for n in range(1, 3):
        curved = (delta / 2) ** 2 * sp.diff(f, x, 2) + delta * sp.diff(f, x, y) + sp.diff(f, y, 2)
        f = b[0] * sp.diff(f, x) + b[1] * sp.diff(f, y) + rate / 2 * curved
        yield delta**n / sp.factorial(n) * f.subs({x: 0, y: 0})


def steps(formula):
    """Backward error analysis, first on a quadratic, where it is a logarithm, then on any smooth loss."""
    theta = sp.Symbol("theta", real=True)
    start = sp.Matrix([theta, p])
    one = sp.ImmutableMatrix([[1 - delta**2 * H, delta - delta**2 * gamma], [-delta * H, 1 - delta * gamma]])
    excess = one - sp.eye(2)
    logarithm = excess - excess**2 / 2 + excess**3 / 3  # each power of the excess is O(δ) smaller
    matrix = formula.subs(g, H * theta).jacobian([theta, p])
    flow, first = along_the_path(formula), along_the_path(formula.subs(delta, 0))
    bend = (first.jacobian([x, y]) * first).subs({x: 0, y: 0})
    X, b, B = sp.symbols("X b B", commutative=False)
    equal = lambda left, right: sp.Eq(left, right, evaluate=False)  # noqa: E731
    return [
        Step(
            "On a quadratic, g = Hθ, a heavy-ball step is a matrix M on (θ, p):",
            start + heavy_ball.subs(g, H * theta),
            sp.MatMul(one, sp.ImmutableMatrix(start), evaluate=False),
        ),
        Step(
            "The linear equation whose flow over a time δ is M has the matrix log(M)/δ. With X = M − 1 = O(δ), log(M) "
            "is δ times the matrix of the claimed drift:",
            logarithm.applyfunc(sp.expand),
            delta * matrix,
            order=(delta, 3),
            name=sp.Function("log")(sp.Symbol("M")),
            shown=equal(X - X**2 / 2 + X**3 / 3, delta * matrix),
        ),
        Step(
            "On any smooth loss: a step has the δ²-term (−(γp + g), 0). A flow over δ has (δ²/2)Bb, where b is its "
            "drift and B the derivative of b; for the first-order drift (p, −γp − g) Bb is",
            bend,
            sp.Matrix([-(gamma * p + g), gamma * (gamma * p + g) - H * p]),
            name=sp.Symbol("Bb"),
            shown=equal(
                sp.MatMul(
                    sp.ImmutableMatrix([[0, 1], [-H, -gamma]]),
                    sp.ImmutableMatrix([p, -gamma * p - g]),
                    evaluate=False,
                ),
                sp.Matrix([-(gamma * p + g), gamma * (gamma * p + g) - H * p]),
            ),
        ),
        Step(
            "The drift's term of order δ is the difference (−(γp + g), 0) − Bb/2:",
            sp.Matrix([sp.Add(-g, -gamma * p, *sp.expand(-bend[0] / 2).args, evaluate=False), -bend[1] / 2]),
            sp.diff(formula, delta),
        ),
        Step(
            "With it the mean over a time δ is the heavy ball's up to δ³. Noise doesn't enter: its variance rate δc/S "
            "is small, and b is linear in p:",
            sp.Matrix([sum(mean(f, flow)) for f in (x, y)]),
            heavy_ball,
            order=(delta, 3),
            name=E(moved, pushed),
            shown=equal(delta * b + delta**2 / 2 * B * b, heavy_ball),
        ),
    ]


def check(formula):
    """The drift integrated by RK4 on a cubic loss against a step; matrix logarithms, to 40 digits, on a quadratic."""
    d, friction = sp.Rational(1, 10**4), sp.Rational(3, 2)
    slope = lambda q: sp.Rational(2, 3) + sp.Rational(7, 5) * q - 2 * q**2  # noqa: E731
    start = sp.Matrix([sp.Rational(1, 2), sp.Rational(-4, 3)])

    def field(z):
        values = {delta: d, gamma: friction, g: slope(z[0]), H: sp.Rational(7, 5) - 4 * z[0], p: z[1]}
        return formula.subs(values).evalf(40)

    k1 = field(start)
    k2 = field(start + d / 2 * k1)
    k3 = field(start + d / 2 * k2)
    moved_by = d / 6 * (k1 + 2 * k2 + 2 * k3 + field(start + d * k3))
    velocity = (1 - friction * d) * d * start[1] - d**2 * slope(start[0])
    position = sp.Symbol("q")
    linear = formula.subs({delta: d, gamma: friction, g: 2 * position, H: 2}).jacobian([position, p])
    step = sp.Matrix([[1 - 2 * d**2, d - d**2 * friction], [-2 * d, 1 - d * friction]])
    roots = [root.evalf(40) for root in step.eigenvals()]
    exact = sorted((sp.log(root) / d for root in roots), key=sp.im)
    derived = sorted((root.evalf(40) for root in linear.eigenvals()), key=sp.im)
    return [
        Comparison(
            "mean of one step on a cubic loss, δ = 10⁻⁴, up to 10 δ³",
            moved_by,
            sp.Matrix([velocity, velocity / d - start[1]]),
            10 * d**3,
        ),
        Comparison(
            "rates of decay on a quadratic against log(eigenvalues of a step)/δ, up to 10 δ²", derived, exact, 10 * d**2
        ),
    ]


def says(formula):
    """What the summary states, in numbers."""
    names = {"p": p, "δ": delta, "γ": gamma, "g": g, "H": H}
    one, weak = {}, {}
    for size in (sp.Rational(1, 20), sp.Rational(1, 40)):
        friction, start = sp.Rational(3, 2), sp.Matrix([1, sp.Rational(1, 2)])
        q = sp.Symbol("q")
        A = formula.subs({delta: size, gamma: friction, g: q, H: 1}).jacobian([q, p])
        end = (size * A).evalf(30).exp() * start
        ball = heavy_ball.subs({delta: size, gamma: friction, g: start[0], p: start[1]}) + start
        one[size] = sp.N((end - ball).norm(), 20)
        push = (float(size) / 2, 1 + 1.5 * float(size) / 2)
        mean, _ = linear_models.heavy_ball_equation(A.tolist(), push, float(size))
        weak[size**2] = mean - linear_models.heavy_ball(float(size))[0]
    return [
        prose.formula("p − (δ/2)(γp + g)", formula[0], names),
        prose.formula("−γp − g + (δ/2)(Hp − γ²p − γg)", formula[1], names),
        prose.order("up to O(δ³)", one, "δ", "the mean of one step on θ²/2 at δ = 1/20 and 1/40"),
        prose.order("is then O(η)", weak, "η", "E θ after a time of one on θ²/2, γ = 3/2, at δ = 1/20 and 1/40"),
    ]


CLAIM = Claim(
    module=__name__,
    title="Second-order drift of the SDE of heavy-ball SGD",
    sources=(Source("Hairer, Lubich & Wanner 2006", place="backward error analysis"),),
    verdict=Verdict.ORDER,
    order="η√η",
    summary="With dθ = [p − (δ/2)(γp + g)] dt and dp = [−γp − g + (δ/2)(Hp − γ²p − γg)] dt + noise, the mean over "
    "a time δ = √η is that of a heavy-ball step up to O(δ³), on a smooth loss. The weak error at fixed "
    "time and fixed γ is then O(η).",
    printed=sp.Eq(sp.Symbol("b"), drift, evaluate=False),
    assumptions=(
        assumptions.STEP_OF_ROOT_ETA,
        assumptions.FIXED_FRICTION,
        assumptions.FIXED_BATCH_SIZE,
        Assumption("The loss has four derivatives."),
    ),
    formula=drift,
    arguments=(delta, gamma, p, g, H),
    slip=Slip("the sign of Hp", drift - sp.Matrix([0, delta * H * p])),
)
