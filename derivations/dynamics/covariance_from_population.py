"""Smith & Le 2018: a batch mean against the mean of a data set that is itself a sample of a population."""

import itertools
from typing import Any

import sympy as sp

from derivations import oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import Cov, E, N, S

F = sp.Symbol("F", real=True)  # an entry of the population's covariance of one example's gradient
C = sp.Symbol("C", real=True)  # the same entry for the data, 1/N form
mu = sp.Symbol("mu", real=True)  # the population's mean of one example's gradient
difference = sp.Symbol("ĝ − g")  # of the batch mean and the data's mean
i = sp.Symbol("i", integer=True, positive=True)


def steps(formula):
    """ĝ − g is a linear combination of independent gradients."""
    inside, outside = 1 / S - 1 / N, -1 / N

    def total(function) -> Any:
        """Of the coefficients: S are in the batch."""
        batch: Any = sp.Sum(function(inside), (i, 1, S))
        return batch + sp.Sum(function(outside), (i, S + 1, N))

    f = (N - S) / (N - 1)
    return [
        Step(
            "ĝ − g = Σ a_i x_i with a_i = 1/S − 1/N for the S examples of the batch and −1/N for the others. These sum "
            "to zero, so the population's mean μ drops out:",
            mu * total(lambda a: a),
            sp.S.Zero,
            name=E(difference),
        ),
        Step(
            "The x_i are independent with covariance F, so F is multiplied by Σ a_i²:",
            F * total(lambda a: a**2),
            formula,
            name=Cov(difference),
        ),
        Step(
            "The same by conditioning on the data: f C/S with f = (N−S)/(N−1) for given data, and the covariance C of "
            "N draws has the mean (1 − 1/N)F. The conditional mean of ĝ − g is zero, so nothing is added:",
            f / S * (1 - 1 / N) * F,
            formula,
            name=E(sp.Symbol("f") * C / S),
        ),
        Step(
            "For the sum loss the fluctuation ψ is N times as large, and the covariance N² times. That is lecture "
            "(14):",
            N**2 * formula,
            N * (N / S - 1) * F,
            name=Cov(sp.Symbol("psi")),
        ),
    ]


def check(formula):
    """Every data set of three examples from a population of three values, and every subset of two."""
    population = [sp.Matrix(v) for v in ((1, -2), (sp.Rational(1, 3), 4), (-5, sp.Rational(1, 2)))]
    n, size = 3, 2
    differences = [
        oracles.mean([data[j] for j in subset]) - oracles.mean(data)
        for data in itertools.product(population, repeat=n)
        for subset in oracles.batches(n, size, replacement=False)
    ]
    derived = oracles.covariance(population).applyfunc(lambda x: formula.subs({F: x, N: n, S: size}))
    words = "the 2 × 2 covariance for N = 3, S = 2: all 27 data sets with all 3 subsets"
    return [Comparison(words, derived, oracles.covariance(differences))]


def says(formula):
    """What the summary states, in numbers."""
    names = {"N": N, "S": S, "F": F}
    population = [sp.Integer(v) for v in (1, -3, 5)]
    exact = []
    for n, size in ((2, 1), (3, 1), (3, 2), (3, 3)):
        differences = [
            psi / n
            for data in itertools.product(population, repeat=n)
            for psi in oracles.fluctuations(data, size, replacement=False)
        ]
        derived = formula.subs({F: oracles.variance(population), N: n, S: size})
        exact.append(derived == oracles.variance(differences))
    return [
        prose.formula("(1/S − 1/N) F", formula, names),
        prose.cases("F, exactly", exact, "for four N and S, over all data sets and subsets"),
        prose.formula("multiplied by N²", N**2 * formula / formula, names, text="N²"),
        prose.formula("N(N/S − 1)F", sp.expand(N**2 * formula), names),
    ]


CLAIM = Claim(
    module=__name__,
    title="Covariance of a batch gradient about that of a sampled data set",
    sources=(Source("Smith & Le 2018"), Source("lecture", "14")),
    verdict=Verdict.CONDITIONAL,
    summary="If the data are themselves independent draws from a population with covariance F, the batch a subset "
    "of them, and the average runs over both, then the batch mean fluctuates about the data's mean with "
    "covariance (1/S − 1/N) F, exactly. For the sum loss that is multiplied by N² and becomes N(N/S − "
    "1)F, as in lecture (14): right in this reading, with F the population's covariance.",
    printed=sp.Eq(Cov(difference), (1 / S - 1 / N) * F, evaluate=False),
    assumptions=(
        Assumption("The N examples are independent draws from one population.", sp.Ge(N, 2, evaluate=False)),
        Assumption("The batch is a subset of the data, chosen independently of them.", sp.Le(S, N, evaluate=False)),
        Assumption(
            "The parameters do not depend on the data, as at initialisation: the per-example gradients at θ are then "
            "independent with covariance F."
        ),
    ),
    formula=(1 / S - 1 / N) * F,
    arguments=(N, S, F),
    slip=Slip("1/S + 1/N, as if the batch were not part of the data", (1 / S + 1 / N) * F),
)
