"""Laplace's method in many dimensions, next order: three contractions of the third and fourth derivatives."""

import itertools
import math

import sympy as sp

from derivations.claim import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import D, E, T, theta

# With P = H⁻¹ and repeated indices summed: L_ijk L_lmn P_ij P_kl P_mn, L_ijk L_lmn P_il P_jm P_kn, L_ijkl P_ij P_kl.
alpha, beta, kappa = sp.symbols("alpha beta kappa", real=True)
INDICES = range(2)


def contractions(third, fourth, inverse):
    """α, β, κ for two parameters; third and fourth take sorted index tuples."""
    t3, t4 = (lambda *i: third[tuple(sorted(i))]), (lambda *i: fourth[tuple(sorted(i))])
    six = list(itertools.product(INDICES, repeat=6))
    return {
        alpha: sum(
            t3(i, j, k) * t3(n, p, q) * inverse[i, j] * inverse[k, n] * inverse[p, q] for i, j, k, n, p, q in six
        ),
        beta: sum(
            t3(i, j, k) * t3(n, p, q) * inverse[i, n] * inverse[j, p] * inverse[k, q] for i, j, k, n, p, q in six
        ),
        kappa: sum(
            t4(i, j, k, n) * inverse[i, j] * inverse[k, n] for i, j, k, n in itertools.product(INDICES, repeat=4)
        ),
    }


def derivatives(name, order):
    """A symbol for each partial derivative of this order."""
    tuples = itertools.combinations_with_replacement(INDICES, order)
    return {t: sp.Symbol(f"{name}_{''.join('uv'[i] for i in t)}", real=True) for t in tuples}


def steps(formula):
    """The exponential to order T, then Gaussian moments of covariance H⁻¹ in the Hessian's eigenbasis."""
    eps, a, d = sp.symbols("epsilon a d", positive=True)  # ε = √T, eigenvalues of H
    x = sp.symbols("u v", real=True)
    third, fourth = derivatives("L", 3), derivatives("L", 4)
    weight = {
        t: math.factorial(len(t)) // math.prod(math.factorial(t.count(i)) for i in INDICES) for t in third | fourth
    }
    cubic, quartic = (
        sum(weight[t] * s * sp.prod(x[i] for i in t) for t, s in tensor.items()) / sp.factorial(n)
        for n, tensor in ((3, third), (4, fourth))
    )

    def gaussian_mean(polynomial):
        terms = sp.Poly(sp.expand(polynomial), *x).terms()
        return sum(
            s * sp.factorial2(i - 1) * sp.factorial2(j - 1) * a ** (-i // 2) * d ** (-j // 2)
            for (i, j), s in terms
            if i % 2 == j % 2 == 0
        )

    contracted = contractions(third, fourth, sp.diag(1 / a, 1 / d))
    density = sp.exp(-a * theta**2 / 2) * sp.sqrt(a / (2 * sp.pi))
    return [
        Step(
            "At θ_A + ε(u, v), ε = √T, what multiplies the Gaussian exp(−½ uᵀHu) is, with the cubic and quartic "
            "Taylor terms of L, to order ε²:",
            sp.exp(-eps * cubic - eps**2 * quartic),
            1 - eps * cubic + eps**2 * (cubic**2 / 2 - quartic),
            order=(eps, 3),
        ),
        Step(
            "In the eigenbasis the directions are independent Gaussians of variance 1/a and 1/d, with even moments:",
            sp.Matrix([sp.Integral(theta**n * density, (theta, -sp.oo, sp.oo)) for n in (2, 4, 6)]),
            sp.Matrix([1 / a, 3 / a**2, 15 / a**3]),
        ),
        Step(
            "The quartic term has three equal pairings of its four indices:",
            gaussian_mean(quartic),
            contracted[kappa] / 8,
            name=E(sp.Symbol("L_4")),
        ),
        Step(
            "Of the fifteen pairings of two cubic terms, nine join each to itself once and six join them throughout:",
            gaussian_mean(cubic**2 / 2),
            contracted[alpha] / 8 + contracted[beta] / 12,
            name=E(sp.Symbol("L_3") ** 2 / 2),
        ),
        Step(
            "Together, with ε² = T; the contractions don't depend on the basis:",
            gaussian_mean(1 + T * (cubic**2 / 2 - quartic)),
            formula.subs(contracted),
        ),
        Step(
            "With one parameter α = β = L‴²/L″³, and the sum of the two is 5/24 of it:",
            formula.subs({alpha: beta}),
            1 + T * (sp.Rational(5, 24) * beta - kappa / 8),
        ),
    ]


def check(formula):
    """A trapezium sum over a basin with a Hessian that is not diagonal."""
    u, v = x = sp.symbols("u v")
    loss = u**2 + u * v + v**2 + u**3 / 2 - u * v**2 / 3 + u**2 * v / 4 + u**4 + u**2 * v**2 / 2 + v**4

    def partials(order):
        tuples = itertools.combinations_with_replacement(INDICES, order)
        return {t: sp.diff(loss, *(x[i] for i in t)).subs({u: 0, v: 0}) for t in tuples}

    hessian = sp.hessian(loss, x).subs({u: 0, v: 0})
    derived = (formula.subs(contractions(partials(3), partials(4), hessian.inv())) - 1) / T
    function = sp.lambdify(x, loss, "math")
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
            sp.simplify(derived).evalf(),
            (slopes[0] - 6 * slopes[1] + 8 * slopes[2]) / 3,
            1e-2,
        )
    ]


CLAIM = Claim(
    module=__name__,
    title="First correction to Laplace's method in many dimensions",
    sources=(Source("Bender & Orszag 1978", place="chapter 6, carried over to many dimensions"),),
    verdict=Verdict.ORDER,
    order="T²",
    summary="With P = H⁻¹, α = L_ijk L_lmn P_ij P_kl P_mn, β = L_ijk L_lmn P_il P_jm P_kn and κ = L_ijkl P_ij P_kl, "
    "a basin's weight is Laplace's leading term times 1 + T(α/8 + β/12 − κ/8), up to T². The contractions sum over "
    "all directions, so the correction may grow with D at fixed T.",
    printed=sp.Eq(
        sp.Integral(sp.exp(-sp.Function("L")(theta) / T), theta)
        / ((2 * sp.pi * T) ** (D / 2) * sp.exp(-sp.Symbol("L_A") / T) / sp.sqrt(sp.Symbol("det_A", positive=True))),
        1 + T * (alpha / 8 + beta / 12 - kappa / 8),
        evaluate=False,
    ),
    assumptions=(
        Assumption("The minimum is non-degenerate.", sp.Q.positive_definite(sp.MatrixSymbol("H_A", D, D))),
        Assumption("L has six continuous derivatives near the minimum.", sp.Q.finite(sp.Symbol("L_6"))),
        Assumption("What lies beyond the barrier is negligible.", sp.Gt(sp.Symbol("Delta_L") / T, 1, evaluate=False)),
    ),
    formula=1 + T * (alpha / 8 + beta / 12 - kappa / 8),
    arguments=(T, alpha, beta, kappa),
    steps=steps,
    check=check,
    slip=Slip("the weights of the two cubic contractions exchanged", 1 + T * (alpha / 12 + beta / 8 - kappa / 8)),
)
