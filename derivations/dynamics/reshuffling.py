"""Sampling theory: batches of one reshuffled epoch are negatively correlated, and an epoch's noise cancels."""

import itertools

import sympy as sp

from derivations import assumptions, oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import Cov, E, N, S, Var

C = sp.Symbol("C", real=True)  # an entry of the covariance (1/N form) of the per-example gradients
first, second = sp.symbols("ghat_a ghat_b")  # two batches of one epoch
i = sp.Symbol("i", integer=True, positive=True)
x, y = sp.symbols("x y", real=True)  # two components of an example's gradient


def steps(formula):
    """Two slots of a random permutation, then S² pairs of slots, then the whole epoch."""
    population = E(x * y) - E(x) * E(y)
    f = (N - S) / (N - 1)
    batches, variance = N / S, f * C / S
    return [
        Step(
            "Let x, y be two components of an example's gradient, 𝔼 the mean over the N examples, C = 𝔼(xy) − "
            "𝔼(x)𝔼(y). Two slots a, b of a random order hold two different examples, each of the N(N − 1) ordered "
            "pairs equally likely; the sum of x_i y_j over all pairs i, j is N²𝔼(x)𝔼(y), of which the pairs i = j make "
            "up N𝔼(xy):",
            (N**2 * E(x) * E(y) - N * E(x * y)) / (N * (N - 1)) - E(x) * E(y),
            -population / (N - 1),
            name=Cov(*sp.symbols("x_a y_b")),
        ),
        Step(
            "Two batches of an epoch share no slot. Their means have S² pairs of slots, each with weight 1/S²:",
            sp.Sum(-C / (N - 1), (i, 1, S**2)) / S**2,
            formula,
            name=Cov(first, second),
        ),
        Step(
            "In terms of one batch's own covariance f C/S with f = (N−S)/(N−1), for N/S batches:",
            formula,
            -variance / (batches - 1),
            name=Cov(first, second),
        ),
        Step(
            "In the sum over the epoch, N/S variances and (N/S)(N/S − 1) covariances cancel: the batch means add up to "
            "N/S times the full gradient, whatever the order.",
            batches * variance + batches * (batches - 1) * formula,
            sp.S.Zero,
            name=Var(sp.Sum(sp.Symbol("ghat_a"), (sp.Symbol("a"), 1, batches))),
        ),
    ]


def check(formula):
    """Every order of the data, in rationals, in the plane."""
    gradients = [sp.Matrix(v) for v in ((2, -1), (sp.Rational(1, 2), 3), (-4, sp.Rational(2, 3)), (0, 5))]
    size = 2
    epochs = [
        [oracles.mean(order[:size]), oracles.mean(order[size:])] for order in itertools.permutations(gradients, 4)
    ]
    derived = oracles.covariance(gradients).applyfunc(lambda x: formula.subs({C: x, N: 4}))
    joint = oracles.covariance([a.col_join(b) for a, b in epochs])
    scalars = [sp.Integer(v) for v in (3, -1, 4, 1, -5, 9)]
    pairs = [(oracles.mean(o[:2]), oracles.mean(o[4:])) for o in itertools.permutations(scalars)]
    centre = oracles.mean(scalars)
    between = oracles.mean([(a - centre) * (b - centre) for a, b in pairs])
    return [
        Comparison("the 2 × 2 cross-covariance for N = 4, S = 2, over all 24 orders", derived, joint[:2, 2:]),
        Comparison(
            "first and third batch for N = 6, S = 2, over all 720 orders",
            formula.subs({C: oracles.variance(scalars), N: 6}),
            between,
        ),
        Comparison(
            "the sum of an epoch: Cov + Cov + cross terms for N = 4, S = 2, against zero",
            joint[:2, :2] + joint[2:, 2:] + derived + derived.T,
            sp.zeros(2, 2),
        ),
    ]


def says(formula):
    """What the summary states, in numbers."""
    x = [sp.Integer(v) for v in (3, -1, 4, 1)]
    between, sums = {}, []
    for size in (1, 2):
        epochs = [[oracles.mean(order[k : k + size]) for k in range(0, 4, size)] for order in itertools.permutations(x)]
        between[size] = oracles.mean((e[0] - oracles.mean(x)) * (e[1] - oracles.mean(x)) for e in epochs)
        sums += [sum(epoch) == sum(epochs[0]) for epoch in epochs]
    return [
        prose.formula("covariance −C/(N−1)", formula, {"C": C, "N": N}, text="−C/(N−1)"),
        prose.cases(
            "whatever the batch size",
            [value == formula.subs({C: oracles.variance(x), N: 4}) for value in between.values()],
            "two batches of an epoch for N = 4, S = 1 and 2, over all orders",
        ),
        prose.cases("an epoch's batch means sum to a constant", sums, "for N = 4, S = 1 and 2, over all orders"),
    ]


CLAIM = Claim(
    module=__name__,
    title="Batches of a reshuffled epoch",
    sources=(Source("Cochran, Sampling Techniques"),),
    verdict=Verdict.EXACT,
    summary="At fixed θ, two batches of one reshuffled epoch have covariance −C/(N−1), whatever the batch size, and an "
    "epoch's batch means sum to a constant. The noise of independent steps, which the equation needs, is not there: "
    "what a whole epoch leaves comes only from the motion of θ within it.",
    printed=sp.Eq(Cov(first, second), -C / (N - 1), evaluate=False),
    assumptions=(
        Assumption("An epoch is a uniformly random order of the data, cut into N/S batches."),
        Assumption("There are at least two batches."),
        Assumption("All batches are evaluated at one θ."),
        assumptions.COVARIANCE_OVER_N,
    ),
    formula=-C / (N - 1),
    arguments=(N, C),
    slip=Slip("−C/N for −C/(N−1)", -C / N),
)
