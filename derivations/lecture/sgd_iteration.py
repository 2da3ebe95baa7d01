"""Lecture (1): one step of SGD; on average over batches it is a step of gradient descent."""

import sympy as sp

from derivations import oracles
from derivations.claim import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import E, N, S, eta, g, t

grad = sp.Function("∇ℓ")
j = sp.Symbol("j", integer=True)
w = sp.Indexed("w", t)
total = sp.Symbol("p_1", real=True)  # Σ_i x_i of the per-example gradients


def steps(formula):
    """The mean number of times an example is in the batch is S/N, in both modes of sampling."""
    count = S / N
    return [
        Step(
            "Without replacement, C(N−1, S−1) of the C(N, S) subsets hold a given example:",
            sp.binomial(N - 1, S - 1) / sp.binomial(N, S),
            count,
            name=E(sp.Symbol("n_i")),
        ),
        Step(
            "With replacement, each of the S draws hits it with probability 1/N:",
            sp.Sum(1 / N, (j, 1, S)),
            count,
            name=E(sp.Symbol("n_i")),
        ),
        Step(
            "The step is linear in the counts n_i, so its mean needs only theirs; the x_i add up to p_1 = Ng:",
            (-eta / S * count * total).subs(total, N * g),
            formula,
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


CLAIM = Claim(
    module=__name__,
    title="The iteration of SGD",
    sources=(Source("lecture", "1"),),
    verdict=Verdict.STATEMENT,
    summary="The iteration defines SGD with the batch mean of the gradients. Its mean step at fixed parameters is the "
    "step −ηg of gradient descent on the mean loss, for batches drawn with replacement and for random subsets alike.",
    printed=sp.Eq(sp.Indexed("w", t + 1), w - eta / S * sp.Sum(grad(sp.Indexed("x", j), w), (j, 1, S)), evaluate=False),
    assumptions=(
        Assumption("All examples are equally likely, so that each is S/N times in a batch on average.", sp.Le(S, N)),
        Assumption(
            "The loss is a sum over examples; batch normalisation, which couples them, is left out.",
            sp.Eq(N * g, sp.Sum(sp.Indexed("x", j), (j, 1, N)), evaluate=False),
        ),
    ),
    formula=-eta * g,
    arguments=(eta, g),
    steps=steps,
    check=check,
    slip=Slip("the batch sum for the batch mean", -eta * S * g),
)
