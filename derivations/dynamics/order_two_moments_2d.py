"""The drift of the order-2 modified equation of SGD in two dimensions, from one step's mean."""

from typing import Any

import sympy as sp

from derivations import assumptions, linear_models, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import Cov, E, S, eta

x: Any = sp.Matrix(sp.symbols("x_1 x_2", real=True))  # the displacement θ − θ₀
g: Any = sp.Matrix(sp.symbols("g_1 g_2", real=True))
h11, h12, h22 = sp.symbols("H_11 H_12 H_22", real=True)
c11, c12, c22 = sp.symbols("C_11 C_12 C_22", real=True)
H: Any = sp.Matrix([[h11, h12], [h12, h22]])
C: Any = sp.Matrix([[c11, c12], [c12, c22]])
third = sp.symbols("L_111 L_112 L_122 L_222", real=True)  # third derivatives of the loss
slopes = [sp.Matrix(2, 2, sp.symbols(f"C_11\\,{i} C_12\\,{i} C_12\\,{i} C_22\\,{i}", real=True)) for i in (1, 2)]
moved = sp.Symbol("Δθ")
DRIFT, u, ut, h, A = sp.symbols("b g gᵀ H C", commutative=False)  # for display
START = {x[0]: 0, x[1]: 0}
loss = (
    g.dot(x)
    + (x.T * H * x)[0] / 2
    + sum(third[i + j + k] * x[i] * x[j] * x[k] / 6 for i in (0, 1) for j in (0, 1) for k in (0, 1))
)


def along_the_path(formula):
    """The drift at the displacement x: the formula with the gradient and the Hessian there."""
    gradient, hessian = loss.diff(x), sp.hessian(loss, list(x))
    entries = zip((*g, h11, h12, h22), (*gradient, hessian[0, 0], hessian[0, 1], hessian[1, 1]), strict=True)
    return formula.subs(dict(entries), simultaneous=True)


def generator(f, b):
    """Applies b·∇ + (η/2S) C:∇∇ to every entry of f."""
    at = C + slopes[0] * x[0] + slopes[1] * x[1]

    def one(entry) -> Any:
        noise = sum(at[i, j] * sp.diff(entry, x[i], x[j]) for i in (0, 1) for j in (0, 1))
        return sum(b[i] * sp.diff(entry, x[i]) for i in (0, 1)) + eta / (2 * S) * noise

    return f.applyfunc(one)


def below(f, order) -> Any:
    """The terms below an order in η at the start."""
    f = f.subs(START).applyfunc(sp.expand)
    return f.applyfunc(lambda entry: sum(entry.coeff(eta, n) * eta**n for n in range(order)))


def steps(formula):
    """The first two terms of the generator's series, and the modified loss's gradient."""
    b, plain = along_the_path(formula), along_the_path(-g)
    modified = loss + eta / 4 * loss.diff(x).dot(loss.diff(x))
    bend = below(generator(generator(x, plain), plain), 2)
    once, products = generator(x, b), generator(x * x.T, b)
    means = sp.MatAdd(eta * below(once, 2), eta**2 / 2 * below(generator(once, b), 1), evaluate=False)
    second = eta * below(products, 2) + eta**2 / 2 * below(generator(products, b), 1)
    size = sp.Abs(sp.Symbol("∇L"))
    new = -u - eta / 2 * h * u
    equal = lambda left, right: sp.Eq(left, right, evaluate=False)  # noqa: E731
    return [
        Step(
            "E f(θ) after a time η is the series f + η𝓛f + (η²/2)𝓛²f + … at the start. With the first-order drift "
            "−g, 𝓛x = −g and the mean strays from SGD's −ηg by (η²/2)𝓛²x, where",
            bend,
            H * g,
            order=(eta, 1),
            name=sp.Symbol("𝓛²x"),
            shown=equal(sp.Function("𝓛")(-u), h * u),
        ),
        Step(
            "A drift changed by −(η/2)Hg takes it back. Everywhere it is a gradient, since H is symmetric: ∇|∇L|² = "
            "2Hg.",
            -modified.diff(x),
            b,
            name=DRIFT,
            shown=equal(-sp.Function("∇")(sp.Symbol("L") + eta / 4 * size**2), new),
        ),
        Step(
            "With 𝓛x = b, one step's mean is SGD's up to η³:",
            means,
            -eta * g,
            order=(eta, 3),
            name=E(moved),
            shown=equal(eta * new + eta**2 / 2 * h * u, -eta * u),
        ),
        Step(
            "With the diffusion as it was 𝓛(xxᵀ) = xbᵀ + bxᵀ + (η/S)C, and the series for xxᵀ minus the means' product "
            "is SGD's covariance, also up to η³:",
            sp.MatAdd(second, -(eta**2) * g * g.T, evaluate=False),
            eta**2 / S * C,
            order=(eta, 3),
            name=Cov(moved),
            shown=equal(sp.Add(eta**2 / S * A + eta**2 * u * ut, -(eta**2) * u * ut, evaluate=False), eta**2 / S * A),
        ),
    ]


def check(formula):
    """A process with a known law: which SGD has its drift for the modified one, and is their step's mean the same?"""
    step, size, rho = sp.Rational(1, 10**5), 3, sp.Rational(1, 2)
    kappa, start = (sp.Rational(7, 5), sp.Rational(1, 2)), (sp.Rational(3, 2), sp.Rational(2))
    turn = sp.Matrix([[3, -4], [4, 3]]) / 5
    noise = [[step / size, rho * step / size], [rho * step / size, step / size]]
    # θ = Q e^y, y Ornstein–Uhlenbeck: by Itô's formula its drift is −Q z_i (κ_i ln z_i − noise_ii/2) at z = Qᵀθ.
    z = sp.symbols("z_1 z_2", positive=True)
    down = sp.Matrix([z[i] * (kappa[i] * sp.log(z[i]) - noise[i][i] / 2) for i in (0, 1)])
    at = dict(zip(z, start, strict=True))
    b, hessian = -turn * down.subs(at), turn * down.jacobian(list(z)).subs(at) * turn.T  # of L, up to O(η)
    drift = formula.subs({eta: step, h11: hessian[0, 0], h12: hessian[0, 1], h22: hessian[1, 1]}).evalf(40)
    gradient = drift.jacobian(list(g)).inv() * b.evalf(40)  # solves drift(g) = b, which is linear in g
    v = [noise[i][i] * (1 - sp.exp(-2 * kappa[i] * step)) / (2 * kappa[i]) for i in (0, 1)]
    mean = sp.Matrix([sp.exp(sp.exp(-kappa[i] * step) * sp.log(start[i]) + v[i] / 2) - start[i] for i in (0, 1)])
    return [
        Comparison(
            "−ηg for the g whose modified drift is that of a lognormal process, against that process's mean, η = 10⁻⁵",
            -step * gradient,
            (turn * mean).evalf(40),
            50 * step**3,
        )
    ]


def says(formula):
    """What the summary states, in numbers."""
    place = sp.Symbol("place", positive=True)
    along = {g[0]: h11 * place, g[1]: 0, h12: 0}  # L = H_11 x²/2 + H_22 y²/2 on the first axis
    added = -sp.integrate((formula[0] + g[0]).subs(along), place)
    means, variances, weak = {}, {}, {}
    for rate in (0.005, 0.0025):  # aθ²/2 with a = 1, 1 or 4 from θ = 1
        mean, square = (linear_models.equation(rate, power, order=2, time=rate) for power in (1, 2))
        own, own_square = (linear_models.sgd(rate, power, steps=1) for power in (1, 2))
        means[rate], variances[rate] = mean - own, square - mean**2 - (own_square - own**2)
        weak[rate] = linear_models.equation(rate, 2, order=2) - linear_models.sgd(rate, 2)
    how = "on aθ²/2, a = 1, 1 or 4, from θ = 1 at η = 0.005 and 0.0025"
    return [
        prose.formula("−∇(L + (η/4)|∇L|²)", added, {"η": eta, "|∇L|²": (h11 * place) ** 2}, text="(η/4)|∇L|²"),
        prose.formula("−g − (η/2)Hg", formula[0], {"g": g[0], "η": eta, "Hg": (H * g)[0]}),
        prose.order("mean SGD's up to O(η³)", means, "η", f"of one step {how}"),
        prose.order("the covariance is SGD's up to O(η³)", variances, "η", f"the variance of one step {how}"),
        prose.order("a weak error O(η²)", weak, "η", "E θ² at t = 1, the same"),
    ]


CLAIM = Claim(
    module=__name__,
    title="Drift of the order-2 modified equation",
    sources=(Source("Li, Tai & E 2017"), Source("Li, Tai & E 2019")),
    verdict=Verdict.ORDER,
    order="η³",
    summary="The drift −∇(L + (η/4)|∇L|²) = −g − (η/2)Hg makes one step's mean SGD's up to O(η³); the covariance "
    "is SGD's up to O(η³) with the diffusion as it was. Hence a weak error O(η²) at fixed time and batch "
    "size.",
    printed=sp.Eq(DRIFT, -u - eta / 2 * h * u, evaluate=False),
    assumptions=(
        assumptions.FIXED_BATCH_SIZE,
        Assumption("The gradient is that of a smooth loss, so H is symmetric."),
        Assumption("The examples' gradients have a third moment."),
    ),
    formula=-g - eta / 2 * H * g,
    arguments=(eta, *g, h11, h12, h22),
    slip=Slip("the sign of the correction", -g + eta / 2 * H * g),
)
