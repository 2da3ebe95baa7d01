"""Laplace's method in many dimensions, next order: three contractions of the third and fourth derivatives."""

import itertools
import math

import numpy as np
import sympy as sp

from derivations import assumptions, prose
from derivations.parts import Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import D, E, T, theta

alpha, beta, kappa = sp.symbols("alpha beta kappa", real=True)  # the contractions, as the summary has them
uv = sp.symbols("u v", real=True)


def contractions(loss, inverse):
    """α, β, κ of a loss of two parameters at the origin, where its Hessian has this inverse."""
    tensors = [loss]
    for _ in range(4):
        tensors.append(sp.derive_by_array(tensors[-1], uv))
    third, fourth = (np.array(x.subs(dict.fromkeys(uv, 0)).tolist(), dtype=object) for x in tensors[3:])
    P = np.array(inverse.tolist(), dtype=object)
    return {
        alpha: np.einsum("ijk,lmn,ij,kl,mn", third, third, P, P, P),
        beta: np.einsum("ijk,lmn,il,jm,kn", third, third, P, P, P),
        kappa: np.einsum("ijkl,ij,kl", fourth, P, P),
    }


def steps(formula):
    """The exponential to order T, then Gaussian means as derivatives."""
    eps, p, q = sp.symbols("epsilon p q", positive=True)  # ε = √T; P's entries, in the axes of H
    x = sp.Symbol("x", real=True)
    u, v = uv
    c, d = sp.symbols("L_uuu L_uuv L_uvv L_vvv", real=True), sp.symbols("L_uuuu L_uuuv L_uuvv L_uvvv L_vvvv", real=True)
    cubic = sum(sp.binomial(3, j) * c[j] * u ** (3 - j) * v**j for j in range(4)) / 6
    quartic = sum(sp.binomial(4, j) * d[j] * u ** (4 - j) * v**j for j in range(5)) / 24
    L3, L4 = sp.Function("L_3")(u, v), sp.Function("L_4")(u, v)
    density, line = sp.exp(-(x**2) / (2 * p)) / sp.sqrt(2 * sp.pi * p), (x, -sp.oo, sp.oo)
    orders = sp.Matrix([(p / 2) ** n / sp.factorial(n) * sp.Derivative(x ** (2 * n), (x, 2 * n)) for n in (2, 3)])
    contracted = contractions(cubic + quartic, sp.diag(p, q))

    def gaussian_mean(form, n):
        for _ in range(n):
            form = (p * sp.diff(form, u, 2) + q * sp.diff(form, v, 2)) / 2
        return form / sp.factorial(n)

    means = gaussian_mean(sp.expand(cubic**2), 3), gaussian_mean(quartic, 2)
    nine_and_six = (sp.Mul(n, x / 72, evaluate=False) for n, x in ((9, alpha), (6, beta)))
    return [
        Step(
            "At θ_A + ε(u, v) with ε = √T, exp(−(L − L_A)/T) is a Gaussian of covariance P times a factor that is near "
            "one. With the cubic and quartic Taylor terms of L (the next are odd, or beyond order T):",
            sp.exp(-eps * L3 - eps**2 * L4),
            1 - eps * L3 + eps**2 * (L3**2 / 2 - L4),
            order=(eps, 3),
        ),
        Step(
            "A form f of degree 2n has the Gaussian mean (½ P_ij ∂_i ∂_j)ⁿ f/n!. In one direction, of variance p, for "
            "n = 2 and 3; directions in the axes of H are independent, and their operators commute:",
            sp.Matrix([sp.Integral(x**n * density, line) for n in (4, 6)]),
            orders,
            shown=sp.Eq(sp.Matrix([E(x**4), E(x**6)]), orders, evaluate=False),
        ),
        Step(
            "The quartic term has three pairings of its four indices, all equal:",
            means[1],
            contracted[kappa] / 8,
            shown=sp.Eq(E(L4), sp.Mul(3, kappa / 24, evaluate=False), evaluate=False),
        ),
        Step(
            "Of the fifteen pairings of the indices of two cubic terms, nine join a term to itself and six do not:",
            means[0] / 2,
            contracted[alpha] / 8 + contracted[beta] / 12,
            shown=sp.Eq(E(L3**2) / 2, sp.Add(*nine_and_six, evaluate=False), evaluate=False),
        ),
        Step(
            "The odd term has mean zero. Together, with ε² = T (and with one parameter α = β, in all 5/24 of it):",
            1 + T * (means[0] / 2 - means[1]),
            formula.subs(contracted),
            shown=sp.Eq(1 + T * (E(L3**2) / 2 - E(L4)), formula, evaluate=False),
        ),
    ]


def check(formula):
    """A trapezium sum over a basin with a Hessian that is not diagonal."""
    u, v = uv
    loss = u**2 + u * v + v**2 + u**3 / 2 - u * v**2 / 3 + u**2 * v / 4 + u**4 + u**2 * v**2 / 2 + v**4
    hessian = sp.hessian(loss, uv).subs({u: 0, v: 0})
    function = sp.lambdify(uv, loss, "math")
    slopes = []
    for temperature in (0.02, 0.01, 0.005):
        spacing = 0.5 * math.sqrt(temperature)
        axis = [spacing * i for i in range(-16, 17)]
        total = math.fsum(math.exp(-function(*point) / temperature) for point in itertools.product(axis, repeat=2))
        leading = 2 * math.pi * temperature / math.sqrt(hessian.det())
        slopes.append((spacing**2 * total / leading - 1) / temperature)
    return [
        Comparison(
            "relative error of the leading term divided by T for a basin in the plane with all third derivatives but "
            "one, at T = 1/50, 1/100, 1/200, extrapolated to T = 0",
            sp.simplify((formula.subs(contractions(loss, hessian.inv())) - 1) / T).evalf(),
            (slopes[0] - 6 * slopes[1] + 8 * slopes[2]) / 3,
            1e-2,
        )
    ]


def says(formula):
    """What the summary states, in numbers."""
    u, v = uv
    one = contractions(u**2 / 2 + u**3 / 3 + u**4 + v**2 / 2, sp.eye(2))
    two = contractions(u**2 / 2 + u**3 / 3 + u**4 + v**2 / 2 + v**3 / 3 + v**4, sp.eye(2))
    by_directions = [abs(formula.subs(found).subs(T, 1) - 1) for found in (one, two)]
    off = {}
    for temperature in (0.01, 0.005):  # one direction: x²/2 + x³/3 + x⁴
        spacing = 0.3 * math.sqrt(temperature)
        total = math.fsum(
            math.exp(-((spacing * k) ** 2 / 2 + (spacing * k) ** 3 / 3 + (spacing * k) ** 4) / temperature)
            for k in range(-40, 41)
        )
        factor = spacing * total / math.sqrt(2 * math.pi * temperature)
        off[temperature] = factor - float(formula.subs(one).subs(T, temperature))
    names = {"T": T, "α": alpha, "β": beta, "κ": kappa}
    # Along one direction all three contractions are products with L‴ = 2, L⁗ = 24.
    return [
        prose.figure("P = H⁻¹", sp.diag(2, 1).inv()[0, 0], "P_11 for H = diag(2, 1)", {"H": 2}, text="H⁻¹"),
        prose.formula(
            "Laplace's leading term times 1 + T(α/8 + β/12 − κ/8)", formula, names, text="1 + T(α/8 + β/12 − κ/8)"
        ),
        prose.order("up to T²", off, "T", "the weight of x²/2 + x³/3 + x⁴ by sums, T = 0.01 and 0.005", text="T²"),
        prose.direction(
            "the correction may grow with D at fixed T",
            by_directions,
            "the correction at T = 1 with such a basin along one direction, then along two",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="First correction to Laplace's method in many dimensions",
    sources=(Source("Bender & Orszag 1978", place="chapter 6, carried over to many dimensions"),),
    verdict=Verdict.ORDER,
    order="T²",
    summary="With P = H⁻¹, α = L_ijk L_lmn P_ij P_kl P_mn, β = L_ijk L_lmn P_il P_jm P_kn and κ = L_ijkl P_ij "
    "P_kl, a basin's weight is Laplace's leading term times 1 + T(α/8 + β/12 − κ/8), up to T². The "
    "contractions sum over all directions, so the correction may grow with D at fixed T.",
    printed=sp.Eq(
        sp.Integral(sp.exp(-sp.Function("L")(theta) / T), theta),
        (2 * sp.pi * T) ** (D / 2)
        * sp.exp(-sp.Symbol("L_A") / T)
        / sp.sqrt(sp.Symbol("det H_A", positive=True))
        * (1 + T * (alpha / 8 + beta / 12 - kappa / 8)),
        evaluate=False,
    ),
    assumptions=(
        assumptions.NON_DEGENERATE_MINIMUM,
        assumptions.SIX_DERIVATIVES,
        assumptions.NOTHING_BEYOND_BARRIER,
    ),
    formula=1 + T * (alpha / 8 + beta / 12 - kappa / 8),
    arguments=(T, alpha, beta, kappa),
    slip=Slip("the weights of the two cubic contractions exchanged", 1 + T * (alpha / 12 + beta / 8 - kappa / 8)),
)
