"""Lecture, after (11): the skewness of the fluctuation, and whether a Gaussian needs S ≪ N."""

import sympy as sp

from derivations import oracles
from derivations.claim import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import N, S

skew = sp.Symbol("gamma_1", real=True)  # skewness of the per-example gradients (1/N form)
spread = sp.Symbol("kappa_2", positive=True)  # their variance (1/N form)
rest = sp.Symbol("r", positive=True, integer=True)  # N − S, the examples outside the batch
others = sp.Symbol("q", nonnegative=True, integer=True)  # S − 1


def steps(formula):
    """Centred gradients x_i, Σ x_i² = Nκ_2, Σ x_i³ = Nγ_1κ_2^{3/2}. The factor N/S drops out of the skewness."""
    x1, x2 = sp.symbols("x_1 x_2", real=True)
    x = (x1, x2, -x1 - x2)
    cubes = sum(v**3 for v in x)
    pairs = sum(x[i] ** 2 * x[j] for i in range(3) for j in range(3) if i != j)
    one, two, three = S / N, S * (S - 1) / (N * (N - 1)), S * (S - 1) * (S - 2) / (N * (N - 1) * (N - 2))
    third = N * skew * spread ** sp.Rational(3, 2) * (one - 3 * two + 2 * three)
    variance = N * spread * (one - two)
    split = {N: others + 1 + rest, S: others + 1}
    return [
        Step(
            "With replacement the S draws are independent, so second and third cumulants are S times those of one:",
            S * skew * spread ** sp.Rational(3, 2) / (S * spread) ** sp.Rational(3, 2),
            formula[0],
        ),
        Step(
            "In a subset, one, two, three given examples are together with probabilities q_1, q_2, q_3. Since "
            "Σ x_i = 0, the sum of x_i²x_j over i ≠ j is −Σ x_i³, "
            "that of x_ix_jx_k over distinct indices 2Σ x_i³; for three:",
            sp.Matrix([pairs, 6 * x[0] * x[1] * x[2]]),
            sp.Matrix([-cubes, 2 * cubes]),
        ),
        Step(
            "So the batch sum has the third moment Σ x_i³ (q_1 − 3q_2 + 2q_3) and the variance Σ x_i² (q_1 − q_2). "
            "Hence its skewness, with S = q + 1 and N = S + r:",
            sp.factor(third.subs(split)) / sp.factor(variance.subs(split)) ** sp.Rational(3, 2),
            formula[1].subs(split),
        ),
        Step("It vanishes for half of the data, far from S ≪ N:", formula[1].subs(N, 2 * S), 0),
        Step(
            "A subset and what it leaves out have opposite fluctuations, so their skewnesses are opposite:",
            formula[1].subs(N, S + rest),
            -formula[1].subs(N, S + rest).subs({S: rest, rest: S}, simultaneous=True),
        ),
        Step("For N → ∞ it is that of draws with replacement:", sp.Limit(formula[1] ** 2, N, sp.oo), formula[0] ** 2),
    ]


def check(formula):
    """Third and second central moment of ψ over every batch, exactly; the signed square of the skewness is rational."""
    gradients = [sp.Rational(value) for value in ("0", "1/2", "-1", "5", "2")]

    def signed_square(values):
        centre, variance = oracles.mean(values), oracles.variance(values)
        third = oracles.mean((value - centre) ** 3 for value in values)
        return sp.sign(third) * third**2 / variance**3

    one = signed_square(gradients)
    comparisons = []
    for size, entry in ((2, 0), (4, 0), (2, 1), (4, 1)):
        batches = oracles.batches(5, size, replacement=entry == 0)
        psis = [sp.Rational(5, size) * sum(gradients[i] for i in batch) - sum(gradients) for batch in batches]
        derived = formula.subs({skew: sp.sign(one) * sp.sqrt(sp.Abs(one)), N: 5, S: size})[entry]
        mode = "without" if entry else "with"
        comparisons.append(
            Comparison(
                f"signed square of the skewness of ψ, N = 5, S = {size}, all {len(batches)} batches {mode} replacement",
                sp.sign(derived) * derived**2,
                signed_square(psis),
            )
        )
    return comparisons


def skewnesses(power):
    """With replacement, and of a random subset; the power of S is 1/2."""
    subset = skew * (N - 2 * S) / (N - 2) * sp.sqrt((N - 1) / (N - S)) / S**power
    return sp.ImmutableDenseMatrix([skew / S**power, subset])


CLAIM = Claim(
    module=__name__,
    title="Is the fluctuation Gaussian?",
    sources=(Source("lecture", "11"), Source("lecture", place="section 5.1, after (11)")),
    verdict=Verdict.ORDER,
    order="1/√S",
    summary="The fluctuation has skewness γ_1/√S for draws with replacement, γ_1 that of the per-example gradients, so "
    "it is Gaussian for large S only, at any N. S ≪ N is not needed: subsets of up to half of the data are less skew "
    "still, half of the data not at all; larger ones are as skew as what they leave out, so N − S must be large too.",
    printed=sp.Eq(sp.Function("skewness")(sp.Symbol("psi")), 0, evaluate=False),
    assumptions=(
        Assumption("There are at least three examples.", sp.Ge(N, 3, evaluate=False)),
        Assumption("A batch without replacement leaves out some of the data.", sp.Lt(S, N, evaluate=False)),
        Assumption("The per-example gradients are not all the same.", sp.Gt(spread, 0, evaluate=False)),
    ),
    formula=skewnesses(sp.Rational(1, 2)),
    arguments=(N, S, skew),
    steps=steps,
    check=check,
    slip=Slip("1/S for 1/√S", skewnesses(1)),
)
