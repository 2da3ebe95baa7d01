"""Lecture (14): the covariance of the fluctuation ψ of a batch gradient drawn with replacement."""

from typing import Any

import sympy as sp

from derivations import oracles
from derivations.claim import Assumption, Claim, Comparison, Example, Slip, Source, Step, Verdict
from derivations.symbols import Cov, N, S, Var

F = sp.Symbol("F", nonnegative=True)  # variance (1/N form) of the per-example gradients along one direction
psi = sp.Symbol("psi", real=True)
p1, p2 = sp.symbols("p_1 p_2", real=True)  # Σ x_i and Σ x_i² of the per-example gradients x_i


def steps(formula):
    """Counts of a batch are multinomial; ψ = (N/S) Σ n_i x_i − Σ x_i."""
    once, draw = sp.Symbol("n_i"), sp.Symbol("d", integer=True)
    variance, covariance = S / N * (1 - 1 / N), -S / N**2
    population = p2 / N - (p1 / N) ** 2
    return [
        Step(
            "Each of the S independent draws hits example i with chance 1/N, so the count n_i has the variance",
            sp.Sum(1 / N - 1 / N**2, (draw, 1, S)),
            variance,
            name=Var(once),
        ),
        Step(
            "and, as no draw hits two examples i ≠ j, the covariance",
            sp.Sum(0 - 1 / N**2, (draw, 1, S)),
            covariance,
            name=Cov(once, sp.Symbol("n_j")),
        ),
        Step(
            "In any one direction, with p_2 = Σ x_i² and Σ_{i≠j} x_i x_j = p_1² − p_2, the batch sum s_B = Σ n_i x_i "
            "has S times the variance of the data:",
            variance * p2 + covariance * (p1**2 - p2),
            S * population,
            name=Var(sp.Symbol("s_B")),
        ),
        Step(
            "The sum loss's gradient is estimated by N/S times the batch sum; with F for the data's variance:",
            sp.Mul(sp.Pow(N / S, 2, evaluate=False), S * F, evaluate=False),
            formula,
            name=Cov(psi),
        ),
    ]


def check(formula):
    """All nine batches of two out of three gradients in the plane, in rationals."""
    gradients = [sp.Matrix(v) for v in ((1, -2), (sp.Rational(1, 3), 4), (-5, sp.Rational(1, 2)))]
    n, size = len(gradients), 2
    total = sum(gradients, sp.zeros(2, 1))
    psis: list[Any] = [
        sp.Rational(n, size) * sum((gradients[i] for i in batch), sp.zeros(2, 1)) - total
        for batch in oracles.batches(n, size, replacement=True)
    ]
    covariance = oracles.covariance(gradients)
    derived = covariance.applyfunc(lambda entry: formula.subs({N: n, S: size, F: entry}))
    return [
        Comparison("Cov(ψ) for N = 3, S = 2 in two dimensions, over all 9 batches", derived, oracles.covariance(psis))
    ]


CLAIM = Claim(
    module=__name__,
    title="Covariance of a batch gradient's fluctuation",
    sources=(Source("lecture", "14"),),
    verdict=Verdict.WRONG,
    summary="The lecture draws batches with replacement, and then the covariance is N²F/S, exactly. What is printed is "
    "the covariance of batches drawn without replacement (with F in its 1/(N−1) form): it vanishes at S = N, where "
    "that of draws with replacement is NF.",
    printed=sp.Eq(Cov(psi), N * (N / S - 1) * F, evaluate=False),
    corrected=sp.Eq(Cov(psi), N**2 / S * F, evaluate=False),
    assumptions=(
        Assumption("Batches are drawn with replacement.", sp.Ge(S, 1, evaluate=False)),
        Assumption("F is the covariance of the per-example gradients in its 1/N form.", sp.Q.nonnegative(F)),
    ),
    formula=N**2 / S * F,
    arguments=(N, S, F),
    steps=steps,
    check=check,
    slip=Slip("1/S² for 1/S", N**2 / S**2 * F),
    printed_formula=N * (N / S - 1) * F,
    example=Example("Cov(ψ) for N = 3, S = 2, F = 1", sp.Rational(3, 2), sp.Rational(9, 2)),
)
