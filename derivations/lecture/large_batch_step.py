"""Lecture (5): one step with the union of k batches, which must be disjoint."""

import sympy as sp

from derivations import prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import S, k, theta

rate = sp.Symbol("etahat", positive=True)  # of the large step
total = sp.Symbol("G", real=True)  # Σ_j Σ_{x∈B_j} ∇ℓ(x; w_t), all gradients at the start
i, j, t = sp.symbols("i j t", integer=True)
shared = sp.Symbol("o", nonnegative=True, integer=True)  # examples that two batches share
w, x, large = sp.Indexed("w", t), sp.Indexed("x", i, j), sp.Indexed("what", t + 1)
one_batch = sp.Sum(sp.Function("∇ℓ")(x, w), (i, 1, S))


def steps(formula):
    """The size and the sum over the union, then the mean step."""
    a, b, c = sp.symbols("a b c", real=True)  # gradient sums over B alone, over both, over B′ alone
    gradients = sp.Function("G")
    return [
        Step("Disjoint batches of S examples each have a union of", sp.Sum(S, (j, 0, k - 1)), k * S),
        Step(
            "examples, so the batch mean of the gradients over the union is the sum G over all batches, divided by kS:",
            theta - rate * total / sp.Sum(S, (j, 0, k - 1)),
            formula,
            name=large,
        ),
        Step(
            "But with batches B and B′ that share examples, the double sum counts the shared ones twice, the union "
            "once:",
            sp.Add(a + b, b + c, evaluate=False),
            sp.Add(a + b + c, b, evaluate=False),
            shown=sp.Eq(
                sp.Add(*(gradients(sp.Symbol(name)) for name in ("B", "B′")), evaluate=False),
                sp.Add(*(gradients(sp.Symbol(name)) for name in ("B∪B′", "B∩B′")), evaluate=False),
                evaluate=False,
            ),
        ),
        Step(
            "and B′ adds to the S examples of B its own ones alone, so with o shared ones the union has fewer than 2S:",
            sp.Add(S, S - shared, evaluate=False),
            2 * S - shared,
        ),
    ]


def check(formula):
    """One SGD step by (1) on the joined batch as a set, in rationals, for losses (θ − x)⁴/4."""
    start, step_size = sp.Rational(1, 2), sp.Rational(1, 10)
    data = [sp.Rational(value) for value in ("3", "-1", "2/3", "5", "-4", "1/7")]
    comparisons = []
    for batches in (((0, 3), (1, 5), (2, 4)), ((0, 1, 2), (3, 4, 5)), ((4, 0),)):
        union = set().union(*batches)
        direct = start - step_size * sum((start - data[n]) ** 3 for n in union) / len(union)
        gradients = sum((start - data[n]) ** 3 for batch in batches for n in batch)
        values = {theta: start, rate: step_size, k: len(batches), S: len(batches[0]), total: gradients}
        comparisons.append(Comparison(f"one step with the union of {batches}", formula.subs(values), direct))
    return comparisons


def says(formula):
    """What the summary states, in numbers."""
    data = [sp.Rational(value) for value in ("3", "-1", "2/3", "5", "-4", "1/7")]

    def gap(*batches):
        """The printed step from 1/2 minus the step by the batch mean over the union, for losses (θ − x)⁴/4."""
        slopes = [(sp.Rational(1, 2) - value) ** 3 for value in data]
        union = set().union(*batches)
        values = {k: len(batches), S: len(batches[0]), total: sum(slopes[n] for batch in batches for n in batch)}
        step = -rate * sum(slopes[n] for n in union) / len(union)
        return (formula - theta).subs(values).subs(rate, 1) - step.subs(rate, 1)

    return [
        prose.cases(
            "is the one printed, exactly, if the batches are disjoint",
            [gap((0, 3), (1, 5), (2, 4)) == 0, gap((0, 1, 2), (3, 4, 5)) == 0, gap((0,), (4,)) == 0],
            "the two steps for three ways to split six examples",
        ),
        prose.direction(
            "the union has fewer than kS",
            [4, len({0, 1} | {1, 2})],
            "kS = 4 and the union of {1, 2} and {2, 3}",
        ),
        prose.figure(
            "the double sum counts the shared ones twice",
            sum(batch.count(1) for batch in ((0, 1), (1, 2))),
            "terms of example 2 in the batches {1, 2} and {2, 3}",
            text="twice",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="One step with a large batch",
    sources=(Source("lecture", "5"),),
    verdict=Verdict.CONDITIONAL,
    summary="The step with the union of k batches of size S is the one printed, exactly, if the batches are disjoint, "
    "as they are within an epoch. If they share examples, the union has fewer than kS, and the double sum counts "
    "the shared ones twice.",
    printed=sp.Eq(
        large,
        w - rate / (k * S) * sp.Sum(sp.UnevaluatedExpr(one_batch), (j, 0, k - 1)),
        evaluate=False,
    ),
    assumptions=(Assumption("The batches are disjoint."),),
    formula=theta - rate / (k * S) * total,
    arguments=(theta, rate, k, S, total),
    slip=Slip("each batch's mean in full, as if normalised by each worker's own batch size", theta - rate / S * total),
)
