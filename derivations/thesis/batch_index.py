"""Thesis, text after (2.4): over which examples the batch gradient is a mean."""

import itertools

import sympy as sp

from derivations import oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import N, S, eta

i = sp.Symbol("i", integer=True)
SIZE = 4
gradients = sp.symbols(f"g_1:{SIZE + 1}", real=True)  # per-example gradients of four examples
estimate = sp.Symbol("ĝ^S")
x = sp.IndexedBase("∇L")
batch = sp.IndexedBase("b")  # the indices drawn
RESULT = -eta * sp.Add(*gradients) / SIZE


def steps(formula):
    """The mean step over all random batches, four examples."""
    subsets = list(itertools.combinations(gradients, 2))
    return [
        Step(
            "Of all subsets of S of the N examples, those with a given example are as many as ways to choose the S − 1 "
            "others. With its factor 1/S an example has the mean weight 1/N:",
            sp.binomial(N - 1, S - 1) / sp.binomial(N, S) / S,
            1 / N,
        ),
        Step(
            "So the mean step of (2.4) is −η times the full gradient. Here each of four examples is in three of the "
            "six subsets of two:",
            sp.Mul(-eta / (2 * len(subsets)), sp.Add(*itertools.chain(*subsets), evaluate=False), evaluate=False),
            formula,
        ),
        Step(
            "With replacement each of the S draws has the mean of the data:",
            -eta / S * sp.Sum(sp.Add(*gradients) / SIZE, (i, 1, S)),
            formula,
        ),
    ]


def check(formula):
    """The mean over all orders of a pass, whose first batch is random: the first three of four examples."""
    values = dict(zip(gradients, (sp.Integer(1), sp.Integer(-4), sp.Rational(1, 3), sp.Integer(9)), strict=True))
    rate = sp.Rational(1, 10)
    moves = [-rate * sp.Add(*order[:3]) / 3 for order in itertools.permutations(values.values())]
    return [
        Comparison(
            "mean first step over all 24 orders of four examples, S = 3",
            formula.subs(values).subs(eta, rate),
            oracles.mean(moves),
        )
    ]


def says(formula):
    """What the summary states, in numbers."""
    mean_step = -eta * sum(gradients[i] for batch in oracles.batches(SIZE, 3, False) for i in batch) / (3 * 4)
    return [
        prose.figure(
            "then the mean step is −η times the full gradient",
            sp.simplify(mean_step / (sum(gradients) / SIZE)).subs(eta, sp.Rational(1, 10)),
            "the mean step over all subsets of three of four examples, over their mean gradient",
            {"η": sp.Rational(1, 10)},
            text="−η",
        ),
        prose.cases(
            "the same first S examples at every step",
            [sp.simplify(-eta * sum(gradients[:3]) / 3 - formula) != 0],
            "the step with the first three of four examples against the mean step",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="The sum in a batch gradient",
    sources=(Source("thesis", place="text after (2.4)"),),
    verdict=Verdict.CONDITIONAL,
    summary="The sum runs over i = 1 to S. It is the batch gradient if i numbers the examples of the batch, the "
    "'random subset' of the words before it; then the mean step is −η times the full gradient. With i the "
    "number of the training example, as in (2.3), it would be the same first S examples at every step.",
    printed=sp.Eq(estimate, sp.Sum(sp.Indexed(x, i), (i, 1, S)) / S, evaluate=False),
    assumptions=(
        Assumption("The index i numbers the examples of the batch, not those of the training set."),
        Assumption("Every batch of S examples is equally likely."),
        Assumption("The batch is drawn independently of θ."),
    ),
    formula=RESULT,
    arguments=(eta, *gradients),
    slip=Slip("the sum of the losses for their mean", RESULT * SIZE),
)
