"""SGD on linear regression: the second moment about the minimiser, exact at finite η with state-dependent noise."""

from typing import Any

import sympy as sp

from derivations import assumptions, oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import S, eta

# Written for two parameters; the function of the formula takes matrices of any size.
H = sp.MatrixSymbol("H", 2, 2)  # Hessian of the mean loss
Sigma = sp.MatrixSymbol("Sigma", 2, 2)  # E δδᵀ, δ = θ − θ*
Cstar = sp.MatrixSymbol("C_0", 2, 2)  # C at the minimiser
K = sp.MatrixSymbol("K", 2, 2)  # mean over examples of H_i Σ H_i
X = sp.MatrixSymbol("X", 2, 2)  # mean over examples of H_i E[δ] e_iᵀ, e_i = ∇ℓ_i(θ*)
i = sp.Symbol("i", integer=True)
noises_at_minimiser: Any = sp.IndexedBase("e")
drift = Sigma - eta * (H * Sigma + Sigma * H) + eta**2 * H * Sigma * H  # (I − ηH) Σ (I − ηH)
PRINTED = drift + eta**2 / S * (Cstar + K - H * Sigma * H)


def steps(formula):
    """C(δ) of one example → a batch → one step, for given δ → its mean over δ → without the cross term."""
    u_1: Any
    u_1, u_2, e = (sp.MatrixSymbol(name, 2, 1) for name in ("u_1", "u_2", "e"))
    mean: Any = (u_1 + u_2) / 2  # Hδ

    def average(function):
        return (function(u_1, e) + function(u_2, -e)) / 2

    one, other, gradient = (sp.MatrixSymbol(name, 2, 1) for name in ("g_1", "g_2", "g"))
    noise = Cstar + K - H * Sigma * H + X + X.T
    pairs = S * (one * one.T + other * other.T) / 2 + S * (S - 1) * gradient * gradient.T
    return [
        Step(
            "About the minimiser ∇ℓ_i = u_i + e_i with u_i = H_iδ, H_i = x_ix_iᵀ, and Σ e_i = 0 (two examples, so "
            "e_2 = −e_1, in the plane). C(δ) is the noise there, plus the covariance of u_i, plus a cross term "
            "and its transpose:",
            average(lambda u, b: (u + b) * (u + b).T) - mean * mean.T,
            average(lambda u, b: b * b.T)
            + average(lambda u, b: u * u.T)
            - mean * mean.T
            + average(lambda u, b: u * b.T)
            + average(lambda u, b: b * u.T),
            name=sp.Symbol("C"),
        ),
        Step(
            "Of the S² pairs of draws in a batch S are one and the same draw, the others are independent, so E "
            "ĝĝᵀ is ggᵀ plus 1/S times the covariance of the examples' gradients g_i:",
            pairs / S**2,
            gradient * gradient.T + ((one * one.T + other * other.T) / 2 - gradient * gradient.T) / S,
        ),
        Step(
            "For given δ, then, δ′δ′ᵀ has the mean (I − ηH)δδᵀ(I − ηH) + (η²/S) C(δ). This is linear in δδᵀ and "
            "δ, so its mean over δ has Σ and μ = E δ in their places; write C_0, K, X for the means of e_ie_iᵀ, "
            "H_iΣH_i, H_iμe_iᵀ:",
            (sp.Identity(2) - eta * H) * Sigma * (sp.Identity(2) - eta * H) + eta**2 / S * noise,
            formula,
            name=sp.Symbol("Sigma'"),
        ),
        Step(
            "Where μ = 0, as at stationarity (μ′ = (I − ηH)μ), the cross term is gone:",
            formula.xreplace({X: sp.ZeroMatrix(2, 2)}),
            PRINTED,
        ),
    ]


def check(formula):
    """Three points in the plane, all nine batches of two, δ on two atoms; with mean zero and with another mean."""
    inputs = [sp.Matrix(v) for v in ((1, 2), (-1, 1), (3, sp.Rational(1, 2)))]
    labels = [sp.Integer(1), sp.Rational(-2, 3), sp.Integer(4)]
    rate, size = sp.Rational(1, 10), 2
    curvatures = [x * x.T for x in inputs]
    mean_h = oracles.mean(curvatures)
    best = mean_h.LUsolve(oracles.mean([x * label for x, label in zip(inputs, labels, strict=True)]))

    def gradient(i, point):
        return inputs[i] * ((inputs[i].T * point)[0] - labels[i])

    noises = [gradient(i, best) for i in range(3)]
    comparisons = []
    for words, atoms in (
        ("E δ = 0", [sp.Matrix([1, -2]), sp.Matrix([-1, 2])]),
        ("E δ ≠ 0", [sp.Matrix([1, -2]), sp.Matrix([sp.Rational(1, 2), 3])]),
    ):
        second, centre = oracles.mean([a * a.T for a in atoms]), oracles.mean(atoms)
        moved = []
        for atom in atoms:
            for batch in oracles.batches(3, size, replacement=True):
                step = atom - rate * oracles.mean([gradient(i, best + atom) for i in batch])
                moved.append(step * step.T)
        matrices = {
            H: mean_h,
            Sigma: second,
            Cstar: oracles.mean([e * e.T for e in noises]),
            K: oracles.mean([a * second * a for a in curvatures]),
            X: oracles.mean([a * centre * e.T for a, e in zip(curvatures, noises, strict=True)]),
        }
        exact = {symbol: sp.ImmutableMatrix(value) for symbol, value in matrices.items()}
        derived = sp.Matrix(formula.subs({eta: rate, S: size}).xreplace(exact).doit())
        comparisons.append(
            Comparison(f"E δ′δ′ᵀ for N = 3, S = 2, η = 1/10, {words}, over all batches", derived, oracles.mean(moved))
        )
    return comparisons


def says(formula):
    """What the summary states, in numbers."""
    # One parameter: curvatures h_i and noises e_i with Σ e_i = 0, δ on two atoms; exact means over all batches.
    curvatures, noises = [sp.Integer(1), sp.Integer(4), sp.Integer(2)], [sp.Integer(2), sp.Integer(-3), sp.Integer(1)]

    def gap(rate, size, atoms, cross):
        """The second moment after a step by the recursion minus that over all batches."""
        second, centre = oracles.mean([a**2 for a in atoms]), oracles.mean(atoms)
        drawn = [
            (a - rate * oracles.mean([curvatures[i] * a + noises[i] for i in batch])) ** 2
            for a in atoms
            for batch in oracles.batches(3, size, replacement=True)
        ]
        means = {
            H: oracles.mean(curvatures),
            Sigma: second,
            Cstar: oracles.mean([e**2 for e in noises]),
            K: oracles.mean([a**2 * second for a in curvatures]),
            X: cross * oracles.mean([a * centre * e for a, e in zip(curvatures, noises, strict=True)]),
        }
        matrices = {symbol: sp.ImmutableMatrix([[value, 0], [0, value]]) for symbol, value in means.items()}
        return formula.subs({eta: rate, S: size}).xreplace(matrices).doit()[0, 0] - oracles.mean(drawn)

    rates = [(sp.Rational(1, 10), 1), (sp.Rational(1, 10), 2), (sp.Rational(2, 5), 1), (sp.Rational(2, 5), 2)]
    centred, moved = [sp.Integer(1), sp.Integer(-1)], [sp.Integer(1), sp.Integer(3)]
    return [
        prose.cases(
            "is exact at every η and S, if the mean error E δ is zero",
            [gap(*pair, centred, 0) == 0 for pair in rates],
            "for two η and two S without the cross term, over all batches",
        ),
        prose.cases(
            "add a cross term X + Xᵀ",
            [gap(*pair, moved, 1) == 0 != gap(*pair, moved, 0) for pair in rates],
            "for E δ = 2 with the cross term and without",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Second moments of SGD on linear regression",
    sources=(Source("Ziyin, Liu, Mori & Ueda 2022"),),
    verdict=Verdict.CONDITIONAL,
    summary="For linear regression the recursion of Σ = E δδᵀ about the minimiser is exact at every η and S, if "
    "the mean error E δ is zero, as it is at stationarity. From a start away from the minimiser the noise "
    "there and the spread of the curvatures add a cross term X + Xᵀ, with X the mean over the examples of "
    "H_i E[δ] e_iᵀ; the formula has it.",
    printed=sp.Eq(sp.MatrixSymbol("Sigma'", 2, 2), PRINTED, evaluate=False),
    assumptions=(
        assumptions.WITH_REPLACEMENT,
        Assumption("Each loss is quadratic: ∇ℓ_i = H_iδ + e_i."),
        Assumption("δ is counted from the minimiser: Σ e_i = 0."),
        Assumption("As printed: the mean error is zero (or the cross term vanishes for another reason)."),
    ),
    formula=PRINTED + eta**2 / S * (X + X.T),
    arguments=(Sigma, H, Cstar, K, X, eta, S),
    slip=Slip(
        "−HΣH forgotten: second moments of the curvatures for their covariance",
        drift + eta**2 / S * (Cstar + K + X + X.T),
    ),
)
