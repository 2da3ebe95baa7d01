"""The SDE of SGD (thesis 3.2) against one SGD step, in two dimensions: mean and covariance over a time η."""

from typing import Any

import sympy as sp

from derivations import assumptions, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import Cov, E, S, eta

x: Any = sp.Matrix(sp.symbols("x_1 x_2", real=True))  # the displacement θ − θ₀
g: Any = sp.Matrix(sp.symbols("g_1 g_2", real=True))
h11, h12, h22 = sp.symbols("H_11 H_12 H_22", real=True)
c11, c12, c22 = sp.symbols("C_11 C_12 C_22", real=True)
k11, k12, k22 = sp.symbols("K_11 K_12 K_22", real=True)
H: Any = sp.Matrix([[h11, h12], [h12, h22]])
C: Any = sp.Matrix([[c11, c12], [c12, c22]])
K: Any = sp.Matrix([[k11, k12], [k12, k22]])  # (g·∇)C, the change of C along the gradient
third = sp.symbols("L_111 L_112 L_122 L_222", real=True)  # third derivatives of the loss
slopes = [sp.Matrix(2, 2, sp.symbols(f"C_11\\,{i} C_12\\,{i} C_12\\,{i} C_22\\,{i}", real=True)) for i in (1, 2)]
along = dict(zip((k11, k12, k22), [sum(g[k] * slopes[k][i] for k in (0, 1)) for i in (0, 1, 3)], strict=True))
moved = sp.Symbol("Δθ")
mean = -eta * g + eta**2 / 2 * H * g
covariance = eta**2 / S * C - eta**3 / (2 * S) * (H * C + C * H + K)


def generator(f, noise=eta / (2 * S)):
    """Applies b·∇ + (η/2S) C:∇∇, b = −∇L, for a generic smooth loss, to third derivatives, and C, to first ones."""
    curved = [third[i + j + k] * x[j] * x[k] / 2 for i in (0, 1) for j in (0, 1) for k in (0, 1)]
    drift = -(g + H * x + sp.Matrix([sum(curved[:4]), sum(curved[4:])]))
    at = C + slopes[0] * x[0] + slopes[1] * x[1]
    first = sum(drift[i] * sp.diff(f, x[i]) for i in (0, 1))
    return first + noise * sum(at[i, j] * sp.diff(f, x[i], x[j]) for i in (0, 1) for j in (0, 1) if noise)


def power(f, n, order, noise=eta / (2 * S)) -> Any:
    """𝓛ⁿf at the start for every entry of f, below an order in η."""
    for _ in range(n):
        f = f.applyfunc(lambda entry: generator(entry, noise))
    f = f.subs({x[0]: 0, x[1]: 0}).applyfunc(sp.expand)
    return f.applyfunc(lambda entry: sum(entry.coeff(eta, j) * eta**j for j in range(order)))


def steps(formula):
    """E f(θ_η) = (1 + η𝓛 + (η²/2)𝓛² + …) f, where 𝓛 itself has a term of size η."""
    change, cubes = H * C + C * H + K, H * g * g.T + g * g.T * H
    square, cube = power(x * x.T, 2, 2), power(x * x.T, 3, 1, 0)
    means = eta * power(x, 1, 1) + eta**2 / 2 * power(x, 2, 1)
    products = eta * power(x * x.T, 1, 2) + eta**2 / 2 * square + eta**3 / 6 * cube
    # For display, the same in matrices that do not commute.
    b, bt, B, u, ut, h, A, k, bA = sp.symbols("b bᵀ B g gᵀ H C K (b·∇)C", commutative=False)
    rest = h * A + A * h + k
    shown_mean = -eta * u + eta**2 / 2 * h * u
    second = eta**2 / S * A + eta**2 / 2 * (2 * u * ut - eta / S * rest) - eta**3 / 2 * (h * u * ut + u * ut * h)
    equal = lambda left, right: sp.Eq(left, right, evaluate=False)  # noqa: E731
    return [
        Step(
            "E f(θ) after a time η is the series f + η𝓛f + (η²/2)𝓛²f + … at the start, with 𝓛 = b·∇ + (η/2S) Σ C_ij "
            "∂_i∂_j and the drift b = −∇L. On the displacement x, 𝓛x = b and 𝓛(xxᵀ) = xbᵀ + bxᵀ + (η/S)C. At the "
            "start b = −g, its derivative is B = −H, and K stands for (g·∇)C, so",
            square,
            (2 * g * g.T - eta / S * change).subs(along),
            order=(eta, 2),
            name=sp.Symbol("𝓛²(xxᵀ)"),
            shown=equal(2 * b * bt + eta / S * (B * A + A * B + bA), 2 * u * ut - eta / S * rest),
        ),
        Step(
            "The third power stands behind η³ and is needed without noise only:",
            cube,
            -3 * cubes,
            order=(eta, 1),
            name=sp.Symbol("𝓛³(xxᵀ)"),
            shown=equal(3 * (B * b * bt + b * bt * B), -3 * (h * u * ut + u * ut * h)),
        ),
        Step(
            "The series for x is the mean. An SGD step has −ηg alone. The rest is the error of gradient flow against "
            "gradient descent, and the noise enters at η³ only:",
            means,
            formula[:, 0],
            order=(eta, 3),
            name=E(moved),
            shown=equal(eta * b + eta**2 / 2 * B * b, shown_mean),
        ),
        Step(
            "The series for xxᵀ minus the product of the means is the covariance. The drift's own terms cancel, and "
            "against an SGD step's η²C/S the order η³ remains:",
            products - means * means.T,
            formula[:, 1:].subs(along),
            order=(eta, 4),
            name=Cov(moved),
            shown=equal(
                second - shown_mean * (-eta * ut + eta**2 / 2 * ut * h), eta**2 / S * A - eta**3 / (2 * S) * rest
            ),
        ),
    ]


def check(formula):
    """θ = Q (e^{y_1}, e^{y_2}) with Q a rotation and y correlated Ornstein–Uhlenbeck processes: lognormal, exact."""
    step, size, rho = sp.Rational(1, 10**5), 3, sp.Rational(1, 2)
    kappa, start = (sp.Rational(7, 5), sp.Rational(1, 2)), (sp.Rational(3, 2), sp.Rational(2))
    turn = sp.Matrix([[3, -4], [4, 3]]) / 5
    noise = [[step / size, rho * step / size], [rho * step / size, step / size]]
    z = sp.symbols("z_1 z_2", positive=True)
    down = sp.Matrix([z[i] * (kappa[i] * sp.log(z[i]) - noise[i][i] / 2) for i in (0, 1)])  # by Itô's formula
    own = sp.Matrix(2, 2, lambda i, j: size / step * noise[i][j] * z[i] * z[j])
    change = own.applyfunc(lambda f: sum(down[i] * sp.diff(f, z[i]) for i in (0, 1)))
    at = dict(zip(z, start, strict=True))
    G, J = turn * down.subs(at), turn * down.jacobian(list(z)).subs(at) * turn.T
    A, B = turn * own.subs(at) * turn.T, turn * change.subs(at) * turn.T
    values = {eta: step, S: size, g[0]: G[0], g[1]: G[1]}
    for symbols, matrix in ((H, J), (C, A), (K, B)):
        values |= {symbols[0, 0]: matrix[0, 0], symbols[0, 1]: matrix[0, 1], symbols[1, 1]: matrix[1, 1]}
    law = lambda i, j: noise[i][j] * (1 - sp.exp(-(kappa[i] + kappa[j]) * step)) / (kappa[i] + kappa[j])  # noqa: E731
    v = [[law(i, j) for j in (0, 1)] for i in (0, 1)]
    e = [sp.exp(sp.exp(-kappa[i] * step) * sp.log(start[i]) + v[i][i] / 2) for i in (0, 1)]
    exact_mean = turn * (sp.Matrix(e) - sp.Matrix(start))
    exact_covariance = turn * sp.Matrix(2, 2, lambda i, j: e[i] * e[j] * (sp.exp(v[i][j]) - 1)) * turn.T
    derived = formula.subs(values)
    return [
        Comparison("mean of a lognormal law, η = 10⁻⁵", derived[:, 0].evalf(50), exact_mean.evalf(50), 50 * step**3),
        Comparison(
            "covariance of a lognormal law, η = 10⁻⁵",
            derived[:, 1:].evalf(50),
            exact_covariance.evalf(50),
            50 * step**4,
        ),
    ]


GRADIENT, COVARIANCE = sp.symbols("g C", commutative=False)


def says(formula):
    """What the summary states, in numbers."""
    names = {"η": eta, "S": S, "g": g[0], "Hg": (H * g)[0], "C": c11}
    names |= {"HC": (H * C)[0, 0], "CH": (C * H)[0, 0], "(g·∇)C": k11}
    rest = sp.expand(formula[0, 1] - eta**2 / S * c11)
    return [
        prose.formula("mean −ηg up to", -eta * g[0], names, text="−ηg"),
        prose.formula("up to (η²/2)Hg", formula[0, 0] + eta * g[0], names, text="(η²/2)Hg"),
        prose.formula("its covariance η²C/S", formula[0, 1] - rest, names, text="η²C/S"),
        prose.formula("−(η³/2S)(HC + CH + (g·∇)C)", rest, names),
        prose.cases(
            "The mean's error has nothing to do with the noise",
            [formula[0, 0].has(symbol) for symbol in (c11, c12, c22, k11)],
            "whether C or its change is in the mean",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="One SGD step and the SDE over a time η, in two dimensions",
    sources=(Source("thesis", "3.2"), Source("Li, Tai & E 2017")),
    verdict=Verdict.ORDER,
    order="η²",
    summary="Over a time η the SDE has one SGD step's mean −ηg up to (η²/2)Hg, and its covariance η²C/S up to "
    "−(η³/2S)(HC + CH + (g·∇)C). The mean's error has nothing to do with the noise.",
    printed=sp.Eq(sp.Tuple(E(moved), Cov(moved)), sp.Tuple(-eta * GRADIENT, eta**2 / S * COVARIANCE), evaluate=False),
    assumptions=(
        assumptions.NOISE_OF_ORDER_ETA,
        Assumption("The gradient is that of a loss with three derivatives, so H is symmetric."),
        Assumption("C is smooth; K is its change along the gradient, (g·∇)C."),
        assumptions.ITO,
    ),
    formula=sp.Matrix.hstack(mean, covariance),
    arguments=(eta, S, *g, h11, h12, h22, c11, c12, c22, k11, k12, k22),
    slip=Slip("HC + CH counted twice", sp.Matrix.hstack(mean, covariance - eta**3 / (2 * S) * (H * C + C * H))),
)
