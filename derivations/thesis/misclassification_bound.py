"""Thesis, text after (2.2): the cross-entropy as an upper bound of the misclassification rate."""

import itertools

import sympy as sp

from derivations import prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict

loss = sp.Symbol("L_CE", nonnegative=True)  # mean cross-entropy in nats
rate = sp.Symbol("r", nonnegative=True)  # misclassification rate
lead = sp.Symbol("d", nonnegative=True)  # how far the predicted class is ahead of the true one
rest = sp.Symbol("q", nonnegative=True)  # probability of all other classes
surplus = sp.Symbol("s", nonnegative=True)


def steps(formula):
    """The least loss a misclassified example can have."""
    true, chance = (1 - lead - rest) / 2, sp.Symbol("yhat_y", nonnegative=True)
    return [
        Step(
            "A misclassified example has a class with probability ŷ_y + d, d ≥ 0; with q for all others, the three "
            "sum to one, so ŷ_y = (1 − d − q)/2 ≤ 1/2 whatever the number of classes:",
            sp.Subs(chance + (chance + lead) + rest, chance, true),
            sp.S.One,
        ),
        Step(
            "The least loss of such an example is that of d = q = 0, and there the bound is reached:",
            sp.Subs(formula, loss, -sp.log(true.subs({lead: 0, rest: 0}))),
            sp.S.One,
        ),
        Step(
            "Any other has ŷ_y = exp(−s)/2 with s ≥ 0, and the bound exceeds one by s/ln 2. An example that is not "
            "misclassified counts 0 and costs at least 0, so the mean over examples keeps the inequality:",
            sp.Subs(formula, loss, -sp.log(sp.exp(-surplus) / 2)),
            1 + surplus / sp.log(2),
        ),
    ]


def check(formula):
    """All predictions of three classes in steps of 1/40: the least bound over those that misclassify class 1."""
    parts = 40
    wrong = [
        sp.Rational(a, parts)
        for a, b in itertools.product(range(1, parts), repeat=2)
        if a + b <= parts and max(b, parts - a - b) >= a
    ]
    return [
        Comparison(
            "the smallest bound among all misclassified examples, against their misclassification rate, one",
            formula.subs(loss, -sp.log(max(wrong))).evalf(20),
            sp.S.One,
            sp.Float("1e-18"),
        )
    ]


def says(formula):
    """What the summary states, in numbers."""
    grid = [sp.Rational(n, 100) for n in range(1, 100)]
    wrong = [-sp.log(p) for p in grid if p <= 1 - p]  # two classes; class 1 has the probability p
    least = min(wrong, key=float)
    return [
        prose.figure(
            "as little as ln 2 = 0.693", least, "the least loss of a misclassified example of two classes", text="0.693"
        ),
        prose.figure("ln 2 =", least, "the same", text="ln 2"),
        prose.direction(
            "less than the one error that it is", [1, least], "one error, and the least loss of a misclassified example"
        ),
        prose.figure(
            "0.713 for ŷ = (0.49, 0.51)", -sp.log(sp.Rational(49, 100)), "minus the logarithm of 0.49", text="0.713"
        ),
        prose.figure(
            "in nats divided by ln 2",
            loss / formula,
            "the loss over the bound",
            text="ln 2",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Cross-entropy and the misclassification rate",
    sources=(Source("thesis", place="text after (2.2)"),),
    verdict=Verdict.CONDITIONAL,
    summary="True of a cross-entropy in bits. In nats, as losses are computed, a misclassified example can cost as "
    "little as ln 2 = 0.693, less than the one error that it is: 0.713 for ŷ = (0.49, 0.51) where the first class "
    "is true. The misclassification rate is at most the cross-entropy in nats divided by ln 2.",
    printed=sp.Le(rate, loss, evaluate=False),
    assumptions=(
        Assumption("The logarithm is to base 2."),
        Assumption("The predicted class is the most probable one; a tie counts as an error."),
        Assumption("Labels are one-hot."),
    ),
    formula=loss / sp.log(2),
    arguments=(loss,),
    slip=Slip("ln 3 for three classes", loss / sp.log(3)),
)
