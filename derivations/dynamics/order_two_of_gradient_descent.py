"""Barrett & Dherin 2021: gradient descent follows the gradient flow of L + (η/4)|∇L|² to second order."""

import mpmath
import sympy as sp

from derivations import prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import eta, lam

L = sp.Symbol("L", real=True)
g1, g2 = sp.symbols("g_1 g_2", real=True)
x, y = sp.symbols("x y", real=True)
modified = sp.Symbol("Ltilde")
square, nabla = sp.Abs(sp.Symbol("∇L")) ** 2, sp.Function("∇")  # for display


def gradient(function):
    return sp.Matrix([function.diff(x), function.diff(y)])


def steps(formula):
    """Fit the flow's Taylor series to one step, for any smooth loss in the plane."""
    loss = sp.Function("L")(x, y)
    slope = gradient(loss)
    hessian = slope.jacobian([x, y])
    field = -gradient(formula.subs({g1: slope[0], g2: slope[1], L: loss}))
    guess = -slope - eta / 2 * hessian * slope
    squared = sp.Matrix([sp.Derivative(slope.dot(slope), z) for z in (x, y)])
    F, J, H, nabla_L = sp.symbols("F J H ∇L", commutative=False)
    quadratic = formula.subs({L: lam * x**2 / 2, g1: lam * x, g2: 0})
    return [
        Step(
            "A flow θ′ = F(θ) moves by ηF + ½η²JF + O(η³) in a time η, J the Jacobian of F. With F = −∇L − ½ηH∇L the "
            "terms of order η² cancel, and this is a step of gradient descent:",
            eta * guess + eta**2 / 2 * guess.jacobian([x, y]) * guess,
            -eta * slope,
            order=(eta, 3),
            shown=sp.Eq(eta * F + eta**2 / 2 * J * F, -eta * nabla_L, evaluate=False),
        ),
        Step(
            "H∇L is a gradient, because H is symmetric:",
            hessian * slope,
            squared / 2,
            shown=sp.Eq(H * nabla_L, nabla(square) / 2, evaluate=False),
        ),
        Step(
            "So F is the negative gradient of the modified loss:",
            guess,
            field,
            name=F,
            shown=sp.Eq(-nabla_L - eta / 2 * H * nabla_L, -nabla(L + eta / 4 * square), evaluate=False),
        ),
        Step(
            "In one dimension with L = λθ²/2 the modified curvature is λ(1 + ηλ/2), and its flow multiplies θ by 1 − "
            "ηλ up to O(η³):",
            sp.exp(-eta * quadratic.diff(x, 2)),
            1 - eta * lam,
            order=(eta, 3),
        ),
    ]


def check(formula):
    """The flow of the modified loss by mpmath's Taylor solver: the error of one step at two step sizes."""
    loss = x**4 / 4 + x * y**2 / 2 + sp.exp(y) + x**2
    slope = gradient(loss)
    values = {x: sp.Rational(3, 5), y: sp.Rational(-2, 5)}
    with mpmath.workdps(18):
        begin = [mpmath.mpf("0.6"), mpmath.mpf("-0.4")]
        errors = []
        for inverse in (500, 1000):
            rate = sp.Rational(1, inverse)
            field = -gradient(formula.subs({L: loss, g1: slope[0], g2: slope[1], eta: rate}))
            function = sp.lambdify((x, y), list(field), "mpmath")
            flow = mpmath.odefun(lambda _, p, function=function: function(*p), 0, begin)
            end = flow(mpmath.mpf(1) / inverse)
            step = [name.subs(values) - rate * v for name, v in zip((x, y), slope.subs(values), strict=True)]
            errors.append([abs(a - mpmath.mpf(sp.N(b, 18))) for a, b in zip(end, step, strict=True)])
        orders = [mpmath.log(a / b, 2) for a, b in zip(*errors, strict=True)]
    return [
        Comparison(f"order in η of one step's error, component {i}, from η = 1/500 and 1/1000", sp.Float(o), 3, 0.05)
        for i, o in enumerate(orders, start=1)
    ]


def says(formula):
    """What the summary states, in numbers."""
    one, fixed, plain = {}, {}, {}
    for rate in (sp.Rational(1, 50), sp.Rational(1, 100)):  # L = x²/2 from 1
        bent = sp.diff(formula.subs({L: x**2 / 2, g1: x, g2: 0, eta: rate}), x, 2)
        one[rate] = sp.exp(-rate * bent) - (1 - rate)
        fixed[rate] = sp.exp(-bent) - (1 - rate) ** (1 / rate)
        plain[rate] = sp.exp(-rate) - (1 - rate)
    names = {"L": L, "η": eta, "|∇L|²": g1**2 + g2**2}
    how = "on x²/2 from 1, at η = 1/50 and 1/100"
    return [
        prose.formula("L + (η/4)|∇L|²", formula, names),
        prose.order("up to O(η³) a step", one, "η", f"one step {how}"),
        prose.order("O(η²) over a fixed time", fixed, "η", f"at t = 1 {how}"),
        prose.order("the error is O(η²) a step", plain, "η", f"one step against the flow of L {how}"),
    ]


CLAIM = Claim(
    module=__name__,
    title="Modified loss of gradient descent",
    sources=(Source("Barrett & Dherin 2021"),),
    verdict=Verdict.ORDER,
    order="η³",
    summary="One step of gradient descent is the gradient flow of L + (η/4)|∇L|² over a time η, up to O(η³) a step, "
    "O(η²) over a fixed time. Against the flow of L itself the error is O(η²) a step.",
    printed=sp.Eq(modified, L + eta / 4 * square, evaluate=False),
    assumptions=(
        Assumption("The loss has bounded fourth derivatives."),
        Assumption("η times the largest curvature is small."),
    ),
    formula=L + eta / 4 * (g1**2 + g2**2),
    arguments=(eta, L, g1, g2),
    slip=Slip("η/2 for η/4", L + eta / 2 * (g1**2 + g2**2)),
)
