"""Lecture (13): the fluctuation as a sum over the batch; the index of the inner sum."""

from typing import Any

import sympy as sp

from derivations import oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Example, Slip, Source, Step, Verdict
from derivations.symbols import N, S

batch_sum = sp.Symbol("s_B", real=True)  # Σ_{i∈B} x_i, x_i the gradient of example i
full = sp.Symbol("p_1", real=True)  # Σ_k x_k
psi = sp.Symbol("psi", real=True)
j = sp.Symbol("j", integer=True)
n = sp.Symbol("k", integer=True)
grad = sp.Function("∇ℓ")
draw = sp.Indexed("i", j)  # the j-th draw
RESULT = N / S * batch_sum - full


def gradient_of(index):
    """∇ℓ(x, y) of the example with this index."""
    return grad(sp.Indexed("x", index), sp.Indexed("y", index))


def summed(index):
    """(N/S) Σ_j (∇ℓ at the j-th draw − (1/N) Σ_k ∇ℓ at the index)."""
    inner = sp.Sum(gradient_of(index), (n, 1, N)) / N
    return sp.Eq(psi, N / S * sp.Sum(gradient_of(draw) - inner, (j, 1, S)), evaluate=False)


def steps(formula):
    """Both readings of the inner sum; x with an index is the gradient of that example."""
    drawn = sp.Indexed("x", draw)
    right: Any = sp.Sum(drawn - full / N, (j, 1, S))
    printed: Any = sp.Sum(drawn - sp.Sum(drawn, (n, 1, N)) / N, (j, 1, S))
    return [
        Step(
            "Let x_i be the gradient of example i, and i_1, …, i_S the batch. With k inside, the inner sum is "
            "p_1 = Σ_k x_k; its share p_1/N is taken off S times, and ψ = ∇ℓ̂ − ∇ℓ is left:",
            sp.Mul(N / S, right, evaluate=False),
            formula.subs(batch_sum, sp.Sum(drawn, (j, 1, S))),
            name=psi,
        ),
        Step(
            "With the outer index inside, the N terms of the inner sum are all the same, so is their mean, and nothing "
            "is left:",
            sp.Mul(N / S, printed, evaluate=False),
            0,
            name=psi,
        ),
    ]


def check(formula):
    """ψ from its definition, the derivative of ℓ̂ − ℓ, for every batch of two out of three parabolas, in rationals."""
    w = sp.Symbol("w")
    losses = [sp.Rational(a) * (w - b) ** 2 / 2 for a, b in ((1, 3), (2, -1), (5, 2))]
    point = sp.Rational(1, 3)
    derived, independent = [], []
    slopes = [sp.diff(loss, w).subs(w, point) for loss in losses]
    for batch in oracles.batches(3, 2, replacement=True):
        difference = sp.Rational(3, 2) * sum(losses[q] for q in batch) - sum(losses)
        independent.append(sp.diff(difference, w).subs(w, point))
        derived.append(formula.subs({N: 3, S: 2, full: sum(slopes), batch_sum: sum(slopes[q] for q in batch)}))
    return [Comparison("ψ for N = 3, S = 2, each of the 9 batches", derived, independent)]


def says(formula):
    """What the summary states, in numbers."""
    gradients = [sp.Rational(value) for value in ("1", "2", "6")]
    batches = oracles.batches(3, 2, replacement=True)
    literal = [sum(gradients[b] - sum(gradients[b] for _ in range(3)) / 3 for b in batch) for batch in batches]
    meant = oracles.fluctuations(gradients, 2, replacement=True)
    return [
        prose.cases("ψ is 0 for every batch", [value == 0 for value in literal], "the printed sum, over all 9 batches"),
        prose.cases(
            "With k inside, ψ is the batch gradient minus the full one",
            [
                formula.subs({N: 3, S: 2, full: 9, batch_sum: sum(gradients[b] for b in batch)}) == psi
                for batch, psi in zip(batches, meant, strict=True)
            ],
            "both, over all 9 batches",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="The fluctuation as a sum over the batch",
    sources=(Source("lecture", "13"),),
    verdict=Verdict.WRONG,
    summary="The inner sum runs over k, but its terms are printed with the index i of the batch. Read literally, "
    "it is the gradient of example i itself, and ψ is 0 for every batch. With k inside, ψ is the batch "
    "gradient minus the full one.",
    printed=summed(draw),
    corrected=summed(n),
    assumptions=(Assumption("The batch has S members, repeats counted."),),
    formula=RESULT,
    arguments=(N, S, batch_sum, full),
    slip=Slip("the full mean taken off once, not for each member of the batch", N / S * batch_sum - full / S),
    printed_formula=sp.S.Zero,
    example=Example(
        "ψ for gradients 1, 2, 6 and the batch of the first two", 0, RESULT.subs({N: 3, S: 2, batch_sum: 3, full: 9})
    ),
)
