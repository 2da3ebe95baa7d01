"""Lecture (14): the covariance of the fluctuation ψ of a batch gradient, exact for random subsets."""

import itertools

import sympy as sp

from derivations import assumptions, oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import Cov, N, S

F = sp.Symbol("F", nonnegative=True)  # variance along one direction: 1/(N−1) form, or a population's
j = sp.Symbol("j", integer=True)
psi = sp.Symbol("psi", real=True)
p1, p2 = sp.symbols("p_1 p_2", real=True)  # Σ x_i and Σ x_i² of the per-example gradients x_i


def steps(formula):
    """Whether an example is in the subset; then a population's F; then a literal replacement of every draw."""
    inside, pair = S / N * (1 - S / N), -S * (N - S) / (N**2 * (N - 1))
    unbiased = (p2 - p1**2 / N) / (N - 1)
    return [
        Step(
            "Section 3 has the batch as a random subset. Example i is in it or not: variance (S/N)(1 − S/N), each pair "
            "covariance −S(N−S)/(N²(N−1)). With Σ_{i≠j} x_i x_j = p_1² − p_2 and F in its 1/(N−1) form:",
            (N / S) ** 2 * (inside * p2 + pair * (p1**2 - p2)),
            formula.subs(F, unbiased),
            name=Cov(psi),
        ),
        Step(
            "The same with the covariance F of a population from which the N examples are drawn independently, on "
            "average over the data: ψ counts the S in the batch N/S − 1 times and the N − S others −1 times.",
            (N / S - 1) ** 2 * S * F + (N - S) * F,
            formula,
            name=Cov(psi),
        ),
        Step(
            "If every single draw were put back, the S draws were independent, each of the data's variance, here F in "
            "its 1/N form. The result exceeds (14) by NF:",
            (N / S) ** 2 * sp.Sum(F, (j, 1, S)),
            formula + N * F,
            name=Cov(psi),
        ),
    ]


def check(formula):
    """All subsets of four gradients in the plane; all data sets of three examples ±1; then every draw put back."""
    gradients = [sp.Matrix(v) for v in ((1, -2), (sp.Rational(1, 3), 4), (-5, sp.Rational(1, 2)), (2, 0))]
    biased = oracles.variances(oracles.covariance(gradients))
    unbiased = [v * sp.Rational(4, 3) for v in biased]

    def enumerated(size, replacement):
        return oracles.variances(oracles.covariance(oracles.fluctuations(gradients, size, replacement)))

    data_sets = list(itertools.product((-1, 1), repeat=3))  # of a population with variance 1
    return [
        *(
            Comparison(
                f"Var(ψ) along three directions for N = 4, S = {size}, F in its 1/(N−1) form, over all subsets",
                [formula.subs({N: 4, S: size, F: v}) for v in unbiased],
                enumerated(size, replacement=False),
            )
            for size in (1, 2, 3, 4)
        ),
        Comparison(
            "E ψ² for N = 3, S = 2, F = 1 of the population ±1, over all 8 data sets and their 3 subsets",
            formula.subs({N: 3, S: 2, F: 1}),
            oracles.mean(psi**2 for data in data_sets for psi in oracles.fluctuations(data, 2, replacement=False)),
        ),
        Comparison(
            "the same for S = 2 with every draw put back, F in its 1/N form, over all 16 batches, minus NF",
            [formula.subs({N: 4, S: 2, F: v}) for v in biased],
            [total - 4 * v for total, v in zip(enumerated(2, replacement=True), biased, strict=True)],
        ),
    ]


def says(formula):
    """What the summary states, in numbers."""
    gradients = [sp.Rational(value) for value in ("3", "1/2", "-2", "7", "1/3")]

    def holds(number, size, replacement, law):
        x = gradients[:number]
        found = oracles.variance(oracles.fluctuations(x, size, replacement))
        spread = oracles.variance(x) * (1 if replacement else sp.Rational(number, number - 1))
        return found == law.subs({N: number, S: size, F: spread})

    sizes = [(number, size) for number in (2, 3, 4, 5) for size in range(1, number + 1)]
    put_back = sp.expand(formula + N * F)
    return [
        prose.cases(
            "Exact if the batches are random subsets",
            [holds(*pair, False, formula) for pair in sizes],
            "the variance of ψ for each S ≤ N ≤ 5, over all subsets",
        ),
        prose.formula("N²F/S", put_back, {"N": N, "S": S, "F": F}),
        prose.cases(
            "gives N²F/S with F in its 1/N form",
            [holds(*pair, True, put_back) for pair in sizes[:8]],
            "the variance of ψ for each S ≤ N ≤ 4 with every draw put back, over all batches",
        ),
        prose.formula("NF at S = N", put_back.subs(S, N), {"N": N, "F": F}, text="NF"),
        prose.cases(
            "where (14) vanishes",
            [oracles.variance(oracles.fluctuations(gradients[:n], n, False)) == 0 for n in (2, 3, 4, 5)],
            "the variance of ψ for S = N, N = 2 to 5",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Covariance of a batch gradient's fluctuation",
    sources=(Source("lecture", "14"),),
    verdict=Verdict.CONDITIONAL,
    summary="Exact if the batches are random subsets, as section 3 of the lecture has them, and F is the "
    "covariance of the data in its 1/(N−1) form or that of a population from which the data come, as with "
    "Smith & Le. The words before (9), that 'each mini-batch is chosen with replacement', then mean that "
    "the batch is put back. A literal replacement of each example drawn contradicts (14): it gives N²F/S "
    "with F in its 1/N form, which is NF at S = N, where (14) vanishes.",
    printed=sp.Eq(Cov(psi), N * (N / S - 1) * F, evaluate=False),
    assumptions=(
        Assumption("Batches are random subsets, drawn afresh at every step.", sp.Le(S, N, evaluate=False)),
        assumptions.UNBIASED_OR_POPULATION,
    ),
    formula=N * (N / S - 1) * F,
    arguments=(N, S, F),
    slip=Slip("F taken in its 1/N form", N * (N / S - 1) * F * N / (N - 1)),
)
