"""Lecture (10): the gradient of the mini-batch loss is unbiased."""

import itertools

import sympy as sp

from derivations import oracles
from derivations.claim import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import E, N, S, g

w = sp.Symbol("w", real=True)
whole, noisy = sp.Function("∇ℓ"), sp.Function("∇ℓ̂")


def steps(formula):
    """The mean over finitely many batches may be differentiated term by term."""
    losses = [sp.Function(f"ell_{i}")(w) for i in (1, 2, 3)]
    batches = list(itertools.product(range(3), repeat=2))
    batch_losses = [sp.Rational(3, 2) * (losses[i] + losses[k]) for i, k in batches]
    mean = sum(batch_losses) / len(batches)
    total = sp.Symbol("p_1", real=True)
    return [
        Step(
            "With the parameters fixed, the mean over batches is a finite sum, so it may be exchanged with the "
            "derivative; here for all 9 batches of S = 2 from N = 3, and any losses:",
            sum(sp.diff(value, w) for value in batch_losses) / len(batches),
            sp.Derivative(mean, w),
        ),
        Step(
            "The mean of the batch losses is the loss, so this is its gradient:",
            sp.diff(mean, w),
            sp.Derivative(sum(losses), w),
        ),
        Step(
            "For any N and S: the counts are S/N on average, and the gradients add up to p_1 = Ng:",
            (N / S * (S / N) * total).subs(total, N * g),
            formula,
            name=E(noisy(w)),
        ),
    ]


def check(formula):
    """Gradients in the plane, averaged over every batch, in rationals."""
    gradients = [sp.Matrix(v) for v in ((1, -2), (sp.Rational(1, 3), 4), (-5, sp.Rational(1, 2)), (2, 7))]
    comparisons = []
    for size, replacement in ((3, True), (2, False)):
        noisy_gradients = [
            sp.Rational(4, size) * sum((gradients[i] for i in batch), sp.zeros(2, 1))
            for batch in oracles.batches(4, size, replacement)
        ]
        derived = oracles.mean(gradients).applyfunc(lambda entry, n=size: formula.subs({N: 4, S: n, g: entry}))
        mode = "with" if replacement else "without"
        comparisons.append(
            Comparison(
                f"E ∇ℓ̂ for N = 4, S = {size} in two dimensions, over all batches {mode} replacement",
                derived,
                oracles.mean(noisy_gradients),
            )
        )
    return comparisons


CLAIM = Claim(
    module=__name__,
    title="The mini-batch gradient is unbiased",
    sources=(Source("lecture", "10"),),
    verdict=Verdict.EXACT,
    summary="At fixed parameters the batch gradient is the gradient on average, exactly. The expectation on the right "
    "is then of something that is not random, and may be left out.",
    printed=sp.Eq(E(noisy(w)), E(whole(w)), evaluate=False),
    assumptions=(
        Assumption(
            "The parameters are fixed before the batch is drawn.", sp.Eq(sp.Function("Cov")(w, sp.Symbol("n_i")), 0)
        ),
        Assumption("All examples are equally likely.", sp.Eq(E(sp.Symbol("n_i")), S / N)),
        Assumption("The losses are differentiable there.", sp.Q.finite(whole(w))),
    ),
    formula=N * g,
    arguments=(N, g),
    steps=steps,
    check=check,
    slip=Slip("the gradient of the mean loss for that of the sum", g),
)
