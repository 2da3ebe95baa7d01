"""Sampling theory: batches of one reshuffled epoch are negatively correlated, and an epoch's noise cancels."""

import itertools

import sympy as sp

from derivations import oracles
from derivations.claim import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import Cov, N, S, Var

C = sp.Symbol("C", real=True)  # an entry of the covariance (1/N form) of the per-example gradients
first, second = sp.symbols(r"\hat{g}_a \hat{g}_b")
i, j = sp.symbols("i j", integer=True, positive=True)
p, q, pq = sp.symbols("p q r", real=True)  # Σ x_i, Σ y_i, Σ x_i y_i of two components x, y of the gradients


def steps(formula):
    """Two slots of a random permutation, then S² pairs of slots, then the whole epoch."""
    population = pq / N - p * q / N**2
    slots = (p * q - pq) / (N * (N - 1)) - p * q / N**2
    f = (N - S) / (N - 1)
    batches, variance = N / S, f * C / S
    return [
        Step(
            "Two slots of a random order hold two different examples, each ordered pair equally likely. With "
            "p = Σ x_i, q = Σ y_i, r = Σ x_i y_i of two components, and C = r/N − pq/N²:",
            slots,
            -population / (N - 1),
        ),
        Step(
            "Two batches of an epoch share no slot; their means have S² pairs of slots, each with weight 1/S²:",
            sp.Sum(slots / S**2, (i, 1, S), (j, 1, S)),
            formula.subs(C, population),
            name=Cov(first, second),
        ),
        Step(
            "In terms of one batch's own covariance f C/S with f = (N−S)/(N−1), for N/S batches:",
            formula,
            -variance / (batches - 1),
        ),
        Step(
            "The sum over the epoch: N/S variances and (N/S)(N/S − 1) covariances cancel, because the batch means add "
            "up to N/S times the full gradient, whatever the order:",
            batches * variance + batches * (batches - 1) * formula,
            sp.S.Zero,
            name=Var(sp.Sum(sp.Symbol(r"\hat{g}_a"), (sp.Symbol("a"), 1, batches))),
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
        Assumption("An epoch is a uniformly random order of the data, cut into N/S batches.", sp.Q.integer(N / S)),
        Assumption("There are at least two batches.", sp.Ge(N / S, 2, evaluate=False)),
        Assumption("All batches are evaluated at one θ.", sp.Eq(sp.Symbol("theta_a"), sp.Symbol("theta_b"))),
        Assumption(
            "C is the covariance of the per-example gradients in its 1/N form.", sp.Eq(C, pq / N - p * q / N**2)
        ),
    ),
    formula=-C / (N - 1),
    arguments=(N, C),
    steps=steps,
    check=check,
    slip=Slip("−C/N for −C/(N−1)", -C / N),
)
