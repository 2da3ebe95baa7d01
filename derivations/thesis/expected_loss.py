"""Thesis (2.1): the expected loss on unseen data, and how well a sample's mean stands for it."""

import itertools

import sympy as sp

from derivations import oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import E, N, theta

mean = sp.Symbol("L", real=True)  # E of the loss of one example
spread = sp.Symbol("v", nonnegative=True)  # its variance
loss = sp.Function("L")
i = sp.Symbol("i", integer=True)


def steps(formula):
    """Mean and mean square of an average of N losses of independent examples."""
    return [
        Step(
            "At fixed θ each of the N losses has the mean L(θ), and so has their average:",
            sp.Sum(mean, (i, 1, N)) / N,
            formula[0],
        ),
        Step(
            "Its mean square has N terms v + L² and, as different examples are independent, N(N − 1) terms L². The "
            "variance v/N is what exceeds the square of the mean:",
            (N * (spread + mean**2) + N * (N - 1) * mean**2) / N**2,
            formula[0] ** 2 + formula[1],
        ),
    ]


def check(formula):
    """All samples of three examples from a population of four equally likely ones; the loss is (θ − x)²/2 at θ = 1."""
    losses = [sp.Rational(1, 2) * (1 - x) ** 2 for x in (-2, 0, 1, 5)]
    averages = [sp.Add(*sample) / 3 for sample in itertools.product(losses, repeat=3)]
    derived = formula.subs({mean: oracles.mean(losses), spread: oracles.variance(losses), N: 3})
    return [
        Comparison(
            "mean and variance of the average over 3 examples, over all 64 samples",
            derived,
            [oracles.mean(averages), oracles.variance(averages)],
        )
    ]


def says(formula):
    """What the summary states, in numbers."""
    losses = [sp.Rational(1, 2) * (1 - x) ** 2 for x in (-2, 0, 1, 5)]
    averages = [sp.Add(*sample) / 3 for sample in itertools.product(losses, repeat=3)]
    return [
        prose.cases(
            "is an unbiased estimate",
            [oracles.mean(averages) == formula[0].subs(mean, oracles.mean(losses))],
            "the average over 3 of four equally likely examples, over all 64 samples",
        ),
        prose.figure(
            "with variance v/N",
            oracles.variance(averages),
            "the same",
            {"v": oracles.variance(losses), "N": 3},
            text="v/N",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Expected loss",
    sources=(Source("thesis", "2.1"),),
    verdict=Verdict.STATEMENT,
    summary="This defines the goal; the one letter L stands for an example's loss and for its expectation, and the h "
    "on the left is the model with parameters θ. At a θ chosen without looking at the sample, the sample's mean loss "
    "is an unbiased estimate with variance v/N.",
    printed=sp.Eq(
        loss(sp.Symbol("h")), E(loss(sp.Function("yhat")(sp.Symbol("x"), theta), sp.Symbol("y"))), evaluate=False
    ),
    assumptions=(
        Assumption("Examples are independent draws from one distribution."),
        Assumption("θ does not depend on the sample."),
        Assumption("The loss has a finite variance."),
    ),
    formula=sp.Matrix([mean, spread / N]),
    arguments=(mean, spread, N),
    slip=Slip("the unbiased estimate's N − 1", sp.Matrix([mean, spread / (N - 1)])),
)
