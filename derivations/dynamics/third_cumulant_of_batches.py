"""Sampling theory: the third cumulant of a batch mean, with and without replacement."""

import sympy as sp

from derivations import oracles
from derivations.claim import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import E, N, S, eta, g

kappa = sp.Symbol("kappa_3", real=True)  # (1/N) Σ (x_i − x̄)³ of the per-example gradients along one direction
variance = sp.Symbol("V", nonnegative=True)  # of a batch mean
batch = sp.Symbol("b_3", real=True)  # third cumulant of a batch mean
phi1, phi2, phi3 = sp.symbols("phi_1 phi_2 phi_3", real=True)  # derivatives of an observable at θ
batch_cumulant = sp.Function("kappa_3")(sp.Symbol(r"\hat{g}"))


def steps(formula):
    """Centred data: Σ x_i = 0, Σ x_i³ = N κ₃; then sums over pairs and triples are multiples of Σ x_i³."""
    cubes = N * kappa
    one, two = S / N, S * (S - 1) / (N * (N - 1))
    three = two * (S - 2) / (N - 2)

    def observable(third):
        """E φ(θ − ηĝ), by the moments of ĝ from its cumulants."""
        second_moment, third_moment = g**2 + variance, g**3 + 3 * g * variance + third
        return -eta * phi1 * g + eta**2 / 2 * phi2 * second_moment - eta**3 / 6 * phi3 * third_moment

    return [
        Step(
            "With replacement the batch sum is a sum of S independent terms, and cumulants add:",
            S * kappa / S**3,
            formula[0],
            name=batch_cumulant,
        ),
        Step(
            "A subset contains one, two, three given examples with probabilities S/N, S(S−1)/(N(N−1)), "
            "S(S−1)(S−2)/(N(N−1)(N−2)). For centred data Σ_{i≠j} x_i²x_j = −Σ x_i³ and the sum over ordered triples of "
            "different examples is 2 Σ x_i³:",
            (one - 3 * two + 2 * three) * cubes / S**3,
            formula[1],
            name=batch_cumulant,
        ),
        Step(
            "Half of the data has none: a subset and its complement have opposite fluctuations.",
            formula[1].subs(N, 2 * S),
            sp.S.Zero,
        ),
        Step("For N → ∞ the two agree:", sp.Limit(formula[1], N, sp.oo), formula[0]),
        Step(
            "One step with these third cumulants, against a Gaussian step with the same mean and variance: E φ(θ) of "
            "an observable differs by O(η³), and so by O(η²) over a fixed time, t/η steps:",
            (observable(batch) - observable(0)).subs(batch, formula[0]),
            -(eta**3) / 6 * phi3 * kappa / S**2,
            name=E(sp.Symbol("phi")),
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
        Assumption("There are at least three examples.", sp.Ge(N, 3, evaluate=False)),
        Assumption("The batch is i.i.d. draws, or a uniformly random subset.", sp.Le(S, N, evaluate=False)),
        Assumption(
            "κ₃ is the third central moment of the data in its 1/N form.",
            sp.Eq(kappa, E((sp.Symbol("x_i") - sp.Symbol(r"\bar{x}")) ** 3), evaluate=False),
        ),
    ),
    formula=sp.Matrix([kappa / S**2, (N - S) * (N - 2 * S) / ((N - 1) * (N - 2)) * kappa / S**2]),
    arguments=(N, S, kappa),
    steps=steps,
    check=check,
    slip=Slip("f² for (N−S)(N−2S)/((N−1)(N−2))", sp.Matrix([kappa / S**2, (N - S) ** 2 / (N - 1) ** 2 * kappa / S**2])),
)
