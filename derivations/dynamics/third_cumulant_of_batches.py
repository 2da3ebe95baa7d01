"""Sampling theory: the third cumulant of a batch mean, with and without replacement."""

import sympy as sp

from derivations import assumptions, linear_models, oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import E, N, S, eta, g

kappa = sp.Symbol("kappa_3", real=True)  # (1/N) Σ (x_i − x̄)³ of the per-example gradients along one direction
variance = sp.Symbol("V", nonnegative=True)  # of a batch mean
i = sp.Symbol("i", integer=True, positive=True)
phi3 = sp.Symbol("φ‴", real=True)  # third derivative of an observable
batch_cumulant = sp.Function("kappa_3")(sp.Symbol("ghat"))


def steps(formula):
    """Centred data: Σ x_i = 0, Σ x_i³ = N κ₃; then sums over pairs and triples are multiples of Σ x_i³."""
    one, two = S / N, S * (S - 1) / (N * (N - 1))
    three = two * (S - 2) / (N - 2)
    p1, p2, p3 = sp.symbols("p_1 p_2 p_3")
    skewless = g**3 + 3 * g * variance  # the third moment of a Gaussian
    return [
        Step(
            "With replacement the batch mean is a sum of S independent terms x/S, each with the third cumulant κ₃/S³, "
            "and cumulants add:",
            sp.Sum(kappa / S**3, (i, 1, S)),
            formula[0],
            name=batch_cumulant,
        ),
        Step(
            "A subset contains one, two, three given examples with the probabilities p₁ = S/N, p₂ = p₁(S−1)/(N−1), p₃ "
            "= p₂(S−2)/(N−2). For centred data Σ x_i³ = Nκ₃, three times the sum of x_i² x_j over i ≠ j is −3Nκ₃, and "
            "the sum of x_i x_j x_k over different i, j, k is 2Nκ₃:",
            (one - 3 * two + 2 * three) * N * kappa / S**3,
            formula[1],
            name=batch_cumulant,
            shown=sp.Eq((p1 - 3 * p2 + 2 * p3) * N * kappa / S**3, formula[1], evaluate=False),
        ),
        Step(
            "Half of the data has none: a subset and its complement have opposite fluctuations.",
            sp.Subs(formula[1], N, 2 * S),
            sp.S.Zero,
        ),
        Step("For N → ∞ the two agree:", sp.Limit(formula[1], N, sp.oo), formula[0]),
        Step(
            "A Gaussian step has the same mean g and variance V, and no third cumulant. The mean of an observable φ "
            "after one step, −ηE(ĝ)φ′ + ½η²E(ĝ²)φ″ − ⅙η³E(ĝ³)φ‴ + …, differs first in E(ĝ³) = g³ + 3gV + κ₃/S², by "
            "O(η³); over a fixed time, t/η steps, that is O(η²):",
            -(eta**3) / 6 * phi3 * sp.Add(skewless + formula[0], -skewless, evaluate=False),
            -(eta**3) / 6 * phi3 * kappa / S**2,
            shown=sp.Eq(
                -(eta**3) / 6 * phi3 * (E(sp.Symbol("ghat") ** 3) - skewless),
                -(eta**3) / 6 * phi3 * kappa / S**2,
                evaluate=False,
            ),
        ),
    ]


def check(formula):
    """Every batch, in rationals."""
    data = [sp.Rational(v) for v in ("2", "-1/2", "5", "11", "-3")]
    comparisons = []
    for n, size in ((5, 2), (5, 3), (4, 3), (4, 2)):
        centre = oracles.mean(data[:n])
        derived = formula.subs({N: n, S: size, kappa: oracles.mean([(x - centre) ** 3 for x in data[:n]])})
        for value, replacement in zip(derived, (True, False), strict=True):
            means = [oracles.mean([data[i] for i in b]) for b in oracles.batches(n, size, replacement)]
            independent = oracles.mean([(x - centre) ** 3 for x in means])
            words = (
                f"N = {n}, S = {size}, with{'' if replacement else 'out'} replacement, over all {len(means)} batches"
            )
            comparisons.append(Comparison(words, value, independent))
    return comparisons


def says(formula):
    """What the summary states, in numbers."""
    names = {"κ₃": kappa, "S": S, "N": N}
    rates = (0.01, 0.005)
    one = {rate: linear_models.sgd(rate, 3, steps=1) - linear_models.gaussian_sgd(rate, 3) ** rate for rate in rates}
    fixed = {rate: linear_models.sgd(rate, 3) - linear_models.gaussian_sgd(rate, 3) for rate in rates}
    how = "E θ³ of SGD minus that of Gaussian SGD on aθ²/2, a = 1, 1 or 4, η = 0.01 and 0.005"
    return [
        prose.formula("κ₃/S² with replacement", formula[0], names, text="κ₃/S²"),
        prose.formula(
            "(N−S)(N−2S)/((N−1)(N−2)) times that", formula[1] / formula[0], names, text="(N−S)(N−2S)/((N−1)(N−2))"
        ),
        prose.cases(
            "none at all for S = N/2",
            [formula[1].subs({N: 2 * size, S: size, kappa: 1}) != 0 for size in (2, 3, 4)],
            "the third cumulant of a subset, N = 4, 6, 8",
        ),
        prose.order("O(η³κ₃) a step", one, "η", f"{how}, one step"),
        prose.order("O(η²κ₃) over a fixed time", fixed, "η", f"{how}, at t = 1"),
    ]


CLAIM = Claim(
    module=__name__,
    title="Third cumulant of a batch gradient",
    sources=(Source("Cochran, Sampling Techniques"),),
    verdict=Verdict.EXACT,
    summary="A batch gradient has third cumulant κ₃/S² with replacement and (N−S)(N−2S)/((N−1)(N−2)) times that "
    "without: none at all for S = N/2. It is the leading part of what a Gaussian with SGD's mean and covariance "
    "misses: O(η³κ₃) a step, O(η²κ₃) over a fixed time.",
    printed=sp.Eq(batch_cumulant, (N - S) * (N - 2 * S) / ((N - 1) * (N - 2)) * kappa / S**2, evaluate=False),
    assumptions=(
        assumptions.THREE_EXAMPLES,
        Assumption("The batch is i.i.d. draws, or a uniformly random subset.", sp.Le(S, N, evaluate=False)),
        Assumption("κ₃ is the third central moment of the data in its 1/N form."),
    ),
    formula=sp.Matrix([kappa / S**2, (N - S) * (N - 2 * S) / ((N - 1) * (N - 2)) * kappa / S**2]),
    arguments=(N, S, kappa),
    slip=Slip("f² for (N−S)(N−2S)/((N−1)(N−2))", sp.Matrix([kappa / S**2, (N - S) ** 2 / (N - 1) ** 2 * kappa / S**2])),
)
