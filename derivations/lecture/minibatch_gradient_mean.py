"""Lecture (10): the gradient of the mini-batch loss is unbiased."""

from typing import Any

import sympy as sp

from derivations import assumptions, oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import E, N, P, S, g

w = sp.Symbol("w", real=True)
whole, noisy, batch_loss = sp.Function("∇ℓ"), sp.Function("∇ℓ̂"), sp.Function("ℓhat")
i, b, n = sp.symbols("i b n", integer=True, positive=True)
x = sp.Indexed("x", i)  # gradient of example i


def steps(formula):
    """The mean over finitely many batches may be differentiated term by term."""
    expected: Any = sp.Sum(S / N * x, (i, 1, N))
    return [
        Step(
            "There are finitely many batches b, each with its chance P(b), whatever the way of drawing. If the chances "
            "do not depend on w, derivative and mean may be exchanged:",
            sp.Sum(P(b) * sp.Derivative(batch_loss(b, w), w), (b, 1, n)),
            sp.Derivative(sp.Sum(P(b) * batch_loss(b, w), (b, 1, n)), w),
            name=E(noisy(w)),
        ),
        Step(
            "By (9) that is the derivative of ℓ. In the gradients x_i of the examples: ∇ℓ̂ = (N/S) Σ n_i x_i is linear "
            "in the counts, each S/N on average, so its mean is the sum of all gradients, Ng with their mean g:",
            sp.Mul(N / S, expected, evaluate=False),
            formula.subs(g, sp.Sum(x, (i, 1, N)) / N),
            name=E(noisy(w)),
        ),
    ]


def check(formula):
    """Gradients in the plane, averaged over every batch, in rationals."""
    gradients = [sp.Matrix(v) for v in ((1, -2), (sp.Rational(1, 3), 4), (-5, sp.Rational(1, 2)), (2, 7))]
    comparisons = []
    for size, replacement in ((3, True), (2, False)):
        noisy_gradients = [
            sp.Rational(4, size) * sum((gradients[q] for q in batch), sp.zeros(2, 1))
            for batch in oracles.batches(4, size, replacement)
        ]
        derived = oracles.mean(gradients).applyfunc(lambda entry, size=size: formula.subs({N: 4, S: size, g: entry}))
        mode = "with" if replacement else "without"
        comparisons.append(
            Comparison(
                f"E ∇ℓ̂ for N = 4, S = {size} in two dimensions, over all batches {mode} replacement",
                derived,
                oracles.mean(noisy_gradients),
            )
        )
    return comparisons


def says(formula):
    """What the summary states, in numbers."""
    x = [sp.Rational(value) for value in ("3", "1/2", "-2", "7")]
    sizes = [(n, size) for n in (2, 3, 4) for size in range(1, n + 1)]
    return [
        prose.cases(
            "the batch gradient is the gradient on average, exactly",
            [
                oracles.mean(oracles.fluctuations(x[:n], size, replacement)) + sum(x[:n])
                == formula.subs({N: n, g: sum(x[:n]) / n})
                for n, size in sizes
                for replacement in (True, False)
            ],
            "for N = 2, 3, 4, S ≤ N, over all batches with replacement and without",
        )
    ]


CLAIM = Claim(
    module=__name__,
    title="The mini-batch gradient is unbiased",
    sources=(Source("lecture", "10"),),
    verdict=Verdict.EXACT,
    summary="At fixed parameters the batch gradient is the gradient on average, exactly. The expectation on the right "
    "is then of something that is not random, and may be left out.",
    printed=sp.Eq(E(noisy(w)), E(whole(w)), evaluate=False),
    assumptions=(
        assumptions.FIXED_PARAMETERS,
        assumptions.EQUALLY_LIKELY,
        Assumption("The losses are differentiable there."),
    ),
    formula=N * g,
    arguments=(N, g),
    slip=Slip("the gradient of the mean loss for that of the sum", g),
)
