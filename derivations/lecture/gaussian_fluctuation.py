"""Lecture, after (11): the skewness of the fluctuation, and whether a Gaussian needs S ≪ N."""

import sympy as sp

from derivations import assumptions, oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import N, S

skew = sp.Symbol("gamma_1", real=True)  # skewness of the per-example gradients (1/N form)
spread = sp.Symbol("kappa_2", positive=True)  # their variance (1/N form)
rest = sp.Symbol("r", positive=True, integer=True)  # N − S, the examples outside the batch
others = sp.Symbol("q", nonnegative=True, integer=True)  # S − 1


def over(third, variance):
    """The skewness third/variance^{3/2}, not yet worked out."""
    return sp.Mul(third, sp.Pow(variance, -sp.Rational(3, 2), evaluate=False), evaluate=False)


def steps(formula):
    """Centred gradients x_i with Σ x_i² = Nκ_2, Σ x_i³ = Nγ_1κ_2^{3/2}. The factor N/S drops out of the skewness."""
    x = sp.symbols("x_1 x_2 x_3", real=True)
    p, q = sp.symbols("p_1 p_2 p_3"), [S / N]
    for drawn in (1, 2):
        q.append(q[-1] * (S - drawn) / (N - drawn))
    pairs = sum(x[i] ** 2 * x[j] for i in range(3) for j in range(3) if i != j)
    distinct = sp.Matrix([p[1] * p[0] - p[2], p[0] ** 3 - 3 * p[0] * p[1] + 2 * p[2]])
    powers = {p[n - 1]: sum(v**n for v in x) for n in (1, 2, 3)}
    cubes = N * skew * spread ** sp.Rational(3, 2)
    third, variance = q[1] * (N - S) * (N - 2 * S) / ((S - 1) * (N - 2)), q[0] * (N - S) / (N - 1)
    split = {N: others + 1 + rest, S: others + 1}
    left = formula[1].subs(N, S + rest)
    return [
        Step(
            "With replacement the S draws are independent, so the second cumulant κ_2 and the third, γ_1κ_2^{3/2}, "
            "are S times those of one draw:",
            over(S * skew * spread ** sp.Rational(3, 2), sp.Mul(S, spread, evaluate=False)),
            formula[0],
        ),
        Step(
            "Without replacement, the third moment of the batch sum is q_1 Σ x_i³ + 3q_2 Σ x_i²x_j + q_3 Σ x_ix_jx_k "
            "over distinct indices, if one, two, three given examples are in the batch with probabilities q_1, q_2, "
            "q_3. With p_n = Σ x_i^n the last two sums, here for three examples, are",
            sp.Matrix([pairs, 6 * x[0] * x[1] * x[2]]),
            distinct.subs(powers),
            shown=sp.Eq(sp.Matrix([pairs, 6 * x[0] * x[1] * x[2]]), distinct, evaluate=False),
        ),
        Step(
            "The gradients are centred, p_1 = 0. So the third moment is p_3 times q_1 − 3q_2 + 2q_3, which is",
            q[0] - 3 * q[1] + 2 * q[2],
            third,
        ),
        Step("and the variance, q_1 Σ x_i² + q_2 Σ x_ix_j, is p_2 times q_1 − q_2,", q[0] - q[1], variance),
        Step(
            "With p_3 = Nγ_1κ_2^{3/2} and p_2 = Nκ_2 the skewness is",
            sp.factor((cubes * third).subs(split))
            / sp.factor((N * spread * variance).subs(split)) ** sp.Rational(3, 2),
            formula[1].subs(split),
            shown=sp.Eq(over(cubes * third, N * spread * variance), formula[1], evaluate=False),
        ),
        Step("It vanishes for half of the data, far from S ≪ N:", sp.Subs(formula[1], N, 2 * S), 0),
        Step(
            "A subset and what it leaves out have opposite fluctuations, so their skewnesses are opposite:",
            left,
            -left.subs({S: rest, rest: S}, simultaneous=True),
            shown=sp.Eq(formula[1], -sp.Subs(formula[1], S, N - S), evaluate=False),
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
    subset = skew * (N - 2 * S) / (N - 2) * sp.sqrt(N - 1) / sp.sqrt(N - S) / S**power
    return sp.ImmutableDenseMatrix([skew / S**power, subset])


def says(formula):
    """What the summary states, in numbers."""
    sizes = [(n, size) for n in range(3, 16) for size in range(2, n // 2 + 1)]

    def sizes_of(n, size):
        return [abs(entry) for entry in formula.subs({skew: 1, N: n, S: size})]

    one = [sp.Rational(value) for value in ("0", "1/2", "-1", "5", "2")]

    def squared(values):
        return oracles.mean((v - oracles.mean(values)) ** 3 for v in values) ** 2 / oracles.variance(values) ** 3

    return [
        prose.formula("skewness γ_1/√S for draws with replacement", formula[0], {"γ_1": skew, "S": S}, text="γ_1/√S"),
        prose.cases(
            "γ_1 that of the per-example gradients, so it is Gaussian for large S only, at any N",
            [
                squared(oracles.fluctuations(one[:n], size, replacement=True)) * size == squared(one[:n])
                for n in (3, 4, 5)
                for size in (1, 2, 3)
            ],
            "S times the squared skewness of ψ for N = 3, 4, 5 and S = 1, 2, 3, over all batches",
        ),
        prose.direction(
            "subsets of up to half of the data are less skew (for S > 1)",
            [sizes_of(*pair) for pair in sizes],
            "|skewness| with replacement and without for 2 ≤ S ≤ N/2, N < 16",
            word="less",
        ),
        prose.cases(
            "half of the data not at all",
            [formula[1].subs({skew: 1, N: 2 * size, S: size}) != 0 for size in range(2, 9)],
            "the skewness of a subset with N = 2S, S = 2 to 8",
        ),
        prose.cases(
            "larger ones are as skew as what they leave out",
            [sizes_of(n, size)[1] == sizes_of(n, n - size)[1] for n, size in sizes],
            "|skewness| of subsets of S and of N − S examples",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Is the fluctuation Gaussian?",
    sources=(Source("lecture", place="section 5.1, after (11)"),),
    verdict=Verdict.ORDER,
    order="1/√S",
    summary="The fluctuation has skewness γ_1/√S for draws with replacement, γ_1 that of the per-example "
    "gradients, so it is Gaussian for large S only, at any N. S ≪ N is not needed: subsets of up to half "
    "of the data are less skew (for S > 1), half of the data not at all; larger ones are as skew as what "
    "they leave out, so N − S must be large too.",
    printed=sp.Eq(sp.Function("skewness")(sp.Symbol("psi")), 0, evaluate=False),
    assumptions=(
        assumptions.THREE_EXAMPLES,
        Assumption("A batch without replacement leaves out some of the data.", sp.Lt(S, N, evaluate=False)),
        Assumption("The per-example gradients are not all the same."),
    ),
    formula=skewnesses(sp.Rational(1, 2)),
    arguments=(N, S, skew),
    slip=Slip("1/S for 1/√S", skewnesses(1)),
)
