"""Lecture (1): one step of SGD; on average over batches it is a step of gradient descent."""

from typing import Any

import sympy as sp

from derivations import oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import E, N, S, eta, g, t

grad = sp.Function("∇ℓ")
i, j = sp.symbols("i j", integer=True)
x = sp.Indexed("x", i)  # gradient of example i at the parameters w
w = sp.Indexed("w", t)


def steps(formula):
    """The mean number of times an example is in the batch is S/N, in both modes of sampling."""
    count = sp.Symbol("n_i")
    gradients = sp.Sum(x, (i, 1, N))
    expected: Any = sp.Sum(S / N * x, (i, 1, N))
    return [
        Step(
            "Let n_i be the number of times example i is in the batch. Without replacement, C(N−1, S−1) of the C(N, S) "
            "subsets hold it:",
            sp.binomial(N - 1, S - 1) / sp.binomial(N, S),
            S / N,
            name=E(count),
        ),
        Step(
            "With replacement, each of the S draws hits it with probability 1/N:",
            sp.Sum(1 / N, (j, 1, S)),
            S / N,
            name=E(count),
        ),
        Step(
            "The step is −(η/S) Σ n_i x_i with the gradients x_i at fixed w, linear in the counts. So its mean is −η "
            "times the mean gradient g:",
            sp.Mul(-eta / S, expected, evaluate=False),
            formula.subs(g, gradients / N),
            name=E(sp.Symbol("Δw")),
        ),
    ]


def check(formula):
    """Every batch of two out of four gradients in the plane, in rationals."""
    gradients = [sp.Matrix(v) for v in ((1, -2), (sp.Rational(1, 3), 4), (-5, sp.Rational(1, 2)), (2, 7))]
    size, rate = 2, sp.Rational(3, 10)
    mean_gradient = oracles.mean(gradients)
    derived = mean_gradient.applyfunc(lambda entry: formula.subs({eta: rate, g: entry, N: 4, S: size}))
    return [
        Comparison(
            f"mean step for N = 4, S = 2 in two dimensions, over all batches {mode} replacement",
            derived,
            oracles.mean(
                -rate / size * sum((gradients[i] for i in batch), sp.zeros(2, 1))
                for batch in oracles.batches(4, size, replacement=mode == "with")
            ),
        )
        for mode in ("with", "without")
    ]


def says(formula):
    """What the summary states, in numbers."""
    x = [sp.Rational(value) for value in ("3", "1/2", "7", "-2")]
    return [
        prose.formula("the step −ηg of gradient descent", formula, {"η": eta, "g": g}, text="−ηg"),
        prose.cases(
            "for batches drawn with replacement and for random subsets alike",
            [
                oracles.mean(-sum(x[i] for i in batch) / size for batch in oracles.batches(4, size, replacement))
                == formula.subs({eta: 1, g: sum(x) / 4})
                for size in (1, 2, 3)
                for replacement in (True, False)
            ],
            "the mean step for N = 4, η = 1, S = 1, 2, 3, over all batches",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="The iteration of SGD",
    sources=(Source("lecture", "1"), Source("thesis", "2.4")),
    verdict=Verdict.STATEMENT,
    summary="The iteration defines SGD with the batch mean of the gradients. Its mean step at fixed parameters is the "
    "step −ηg of gradient descent on the mean loss, for batches drawn with replacement and for random subsets alike.",
    printed=sp.Eq(
        sp.Indexed("w", t + 1),
        w - eta / S * sp.Sum(grad(sp.Indexed("x", sp.Indexed("b", j)), w), (j, 1, S)),
        evaluate=False,
    ),
    assumptions=(
        Assumption("All examples are equally likely, so that each is S/N times in a batch on average.", sp.Le(S, N)),
        Assumption("The loss is a sum over examples; batch normalisation, which couples them, is left out."),
    ),
    formula=-eta * g,
    arguments=(eta, g),
    slip=Slip("the batch sum for the batch mean", -eta * S * g),
)
