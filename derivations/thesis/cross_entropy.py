"""Thesis (2.2): the cross-entropy loss."""

import mpmath
import sympy as sp

from derivations import prose
from derivations.parts import Assumption, Claim, Comparison, Example, Slip, Source, Step, Verdict

K = 3
targets = sp.symbols(f"y_1:{K + 1}", nonnegative=True)
predictions = sp.symbols(f"yhat_1:{K + 1}", positive=True)
loss = sp.Symbol("L_CE")
RESULT = -sp.Add(*(y * sp.log(p) for y, p in zip(targets, predictions, strict=True)))
LIKELY = {targets[0]: 1, targets[1]: 0, targets[2]: 0, predictions[0]: sp.Rational(7, 10)}


def steps(formula):
    """Minus the logarithm of the likelihood, and what descending it does to a softmax."""
    logits = sp.symbols(f"z_1:{K + 1}", real=True)
    softmax = [sp.exp(z) / sp.Add(*map(sp.exp, logits)) for z in logits]
    likelihood = sp.Mul(*(p**y for y, p in zip(targets, predictions, strict=True)))
    one_hot = dict(zip(targets, (1, 0, 0), strict=True))
    of_logits = formula.subs(dict(zip(predictions, softmax, strict=True)))
    return [
        Step(
            "The model gives the labels y this likelihood; to maximise it is to minimise minus its logarithm:",
            -sp.log(likelihood),
            formula,
        ),
        Step(
            "A certain and correct prediction costs nothing, a prediction of probability 1/e costs one:",
            sp.Matrix([sp.Subs(formula.subs(one_hot), predictions[0], p) for p in (1, sp.exp(-1))]),
            sp.Matrix([0, 1]),
        ),
        Step(
            "For a softmax the derivative by the logits is ŷ − y: descending raises the logit of the true class.",
            sp.Matrix([sp.Derivative(of_logits.subs(one_hot), z) for z in logits]),
            sp.Matrix([p - y for p, y in zip(softmax, (1, 0, 0), strict=True)]),
        ),
    ]


def check(formula):
    """The logarithm as an area under 1/x, by quadrature."""
    counts, guess = (5, 3, 2), (sp.Rational(7, 10), sp.Rational(1, 5), sp.Rational(1, 10))
    values = dict(zip(targets, (sp.Rational(c, 10) for c in counts), strict=True))
    values |= dict(zip(predictions, guess, strict=True))
    with mpmath.workdps(30):
        areas = [mpmath.quad(lambda x: 1 / x, [mpmath.mpf(tenths) / 10, 1]) for tenths in (7, 2, 1)]
        whole = mpmath.fdot(counts, areas) / 10
    certain = dict(zip(targets, (1, 0, 0), strict=True)) | dict(zip(predictions, guess, strict=True))
    return [
        Comparison(
            "one example of class 1 predicted with probability 0.7: the area under 1/x from 0.7 to 1",
            sp.N(formula.subs(certain), 25),
            sp.Float(areas[0], 25),
            sp.Float("1e-20"),
        ),
        Comparison(
            "mean over ten labels in the ratio 5 : 3 : 2, by the same areas",
            sp.N(formula.subs(values), 25),
            sp.Float(whole, 25),
            sp.Float("1e-20"),
        ),
    ]


def says(formula):
    """What the summary states, in numbers."""
    one = formula.subs({targets[0]: 1, targets[1]: 0, targets[2]: 0})
    printed = [-one.subs(predictions[0], sp.Rational(1, 10**n)) for n in (0, 1, 2, 20)]
    return [
        prose.cases(
            "as printed the loss is never positive",
            [value > 0 for value in printed],
            "the printed loss for the probabilities 1, 1/10, 10⁻², 10⁻²⁰ of the true class",
        ),
        prose.direction(
            "falls without bound as the probability of the true class goes to zero",
            printed,
            "the printed loss for the probabilities 1, 1/10, 10⁻², 10⁻²⁰",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Cross-entropy loss",
    sources=(Source("thesis", "2.2"),),
    verdict=Verdict.WRONG,
    summary="The minus sign is missing: as printed the loss is never positive and falls without bound as the "
    "probability of the true class goes to zero. y and ŷ are vectors here, y one-hot, though the text calls them "
    "scalars.",
    printed=sp.Eq(loss, -RESULT, evaluate=False),
    corrected=sp.Eq(loss, RESULT, evaluate=False),
    assumptions=(
        Assumption("y is a distribution over the classes, usually one-hot.", sp.Eq(sp.Add(*targets), 1)),
        Assumption("ŷ is a distribution that excludes no class.", sp.Eq(sp.Add(*predictions), 1)),
    ),
    formula=RESULT,
    arguments=(*targets, *predictions),
    slip=Slip("logarithm to base 2", RESULT / sp.log(2)),
    printed_formula=-RESULT,
    example=Example(
        "loss of an example whose class is predicted with probability 0.7", -RESULT.subs(LIKELY), RESULT.subs(LIKELY)
    ),
)
