"""The average of S independent measurements has the variance σ²/S. Overwrite all of this: one claim a file."""

import itertools

import sympy as sp

from derivations import oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import S, Var, sigma

# Symbols that the claims share are in derivations/symbols.py; what only this one needs is defined here.
mean = sp.Symbol("xbar", real=True)
i = sp.Symbol("i", integer=True)


def steps(formula):
    """The derivation. sympy must reduce left − right to zero on each line, and at least one has the formula in it."""
    return [
        Step(
            "The variances of independent terms add, and each term is a measurement divided by S:",
            sp.Sum(sigma**2 / S**2, (i, 1, S)),
            formula,
            name=Var(mean),
        ),
        Step("A single measurement is its own average:", sp.Subs(formula, S, 1), sigma**2),
    ]


def check(formula):
    """Numbers found without the derivation: here all outcomes of three draws from the values 1, 2 and 6."""
    values = [sp.Integer(v) for v in (1, 2, 6)]
    averages = [oracles.mean(draws) for draws in itertools.product(values, repeat=3)]
    return [
        Comparison(
            "the variance of the average of three draws from 1, 2 and 6, over all 27 outcomes",
            formula.subs({S: 3, sigma: sp.sqrt(oracles.variance(values))}),
            oracles.variance(averages),
        )
    ]


def says(formula):
    """Each figure and each direction in the summary, tied to a comparison that would fail if it were false."""
    shrinking = [formula.subs({sigma: 1, S: size}) for size in (1, 2, 10)]
    return [
        prose.formula("has the variance σ²/S", formula, {"σ": sigma, "S": S}, text="σ²/S"),
        prose.direction("falls with S", shrinking, "the variance for S = 1, 2, 10 at σ = 1"),
    ]


CLAIM = Claim(
    module=__name__,
    title="The variance of an average",
    sources=(Source("textbook", place="sampling"),),
    verdict=Verdict.EXACT,
    summary="The average of S independent measurements, each of standard deviation σ, has the variance σ²/S, which "
    "falls with S.",
    printed=sp.Eq(Var(mean), sigma**2 / S, evaluate=False),
    assumptions=(
        # Where an assumption is one of numbers, add it as a condition: the numbers of the check must then satisfy it,
        # as in Assumption("The batch is a subset.", sp.Le(S, N, evaluate=False)).
        Assumption("The measurements are independent draws from one distribution of a finite variance."),
    ),
    formula=sigma**2 / S,
    arguments=(sigma, S),
    slip=Slip("the standard deviation divided by S, as if it were that which averages", sigma / S),
)
