"""Smith & Le: the batch size that a fixed best noise scale asks for, and how far it is linear in ηN."""

import functools

import sympy as sp

from derivations import assumptions, oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import N, eta, k, m

B_opt = sp.Symbol("B_opt", positive=True)
g_best = sp.Symbol("g_*", positive=True)  # the noise scale at which test accuracy peaks


def steps(formula):
    """Solve the noise scale for the batch size."""
    rate = sp.Symbol("r", positive=True)  # effective learning rate η/(1 − m)
    B = sp.Symbol("B", positive=True)
    scale = rate * (N / B - 1)
    linear = eta * N / ((1 - m) * g_best)
    opt = sp.Function("B_opt")  # display only
    return [
        Step(
            "With momentum one gradient moves θ by η at once and then by m times as much in all again, a sum that is "
            "the effective learning rate:",
            sp.Add(eta, sp.Mul(m, eta / (1 - m), evaluate=False), evaluate=False),
            eta / (1 - m),
            name=rate,
        ),
        Step(
            "The noise scale g = η/(1 − m) (N/B − 1) falls with B, so at most one B has the value g_*:",
            sp.Derivative(scale, B),
            -rate * N / B**2,
        ),
        Step(
            "The formula is that B:",
            (eta / (1 - m)) * (N * sp.Pow(formula, -1, evaluate=False) - 1),
            g_best,
            name=sp.Symbol("g"),
        ),
        Step(
            "The straight line ηN/((1 − m)g_*) is too large; the factor that corrects it is 1 − B/N, exactly:",
            linear * (1 - formula / N),
            formula,
            name=B_opt,
        ),
        Step(
            "So k times the learning rate asks for less than k times the batch, and never for more than N:",
            formula.subs(eta, k * eta) / formula,
            k / (1 + (k - 1) * formula / N),
            shown=sp.Eq(opt(k * eta) / opt(eta), k / (1 + (k - 1) * opt(eta) / N), evaluate=False),
        ),
        Step(
            "Drawn with replacement, a batch has the noise scale η/(1 − m) · N/B, without the −1 (F in its 1/N form). "
            "There is no such limit, and the line B = ηN/((1 − m)g_*) is exact:",
            sp.Mul(eta / (1 - m), N, sp.Pow(linear, -1, evaluate=False), evaluate=False),
            g_best,
            shown=sp.Eq(sp.Mul(eta / (1 - m), N / B, evaluate=False), g_best, evaluate=False),
        ),
    ]


DATA = tuple(sp.Integer(x) for x in (3, -1, 4, 1, -5, 9, 2, 6, -7))
BEST = sp.Rational(1, 5)  # g_*: that of B = 2 of six examples at η = 1/10


@functools.cache
def noise_scale(number, size):
    """g/η of subsets, all enumerated: the variance of ψ over N F, F the data's variance in its 1/(N−1) form."""
    data = DATA[:number]
    spread = oracles.variance(data) * sp.Rational(number, number - 1)
    return oracles.variance(oracles.fluctuations(data, size, replacement=False)) / (number * spread)


def best(number, rate):
    """The B whose subsets have the noise scale g_* at this effective rate."""
    (found,) = [size for size in range(1, number + 1) if rate * noise_scale(number, size) == BEST]
    return found


def check(formula):
    """Enumerated batches of three to nine numbers: the noise scale is the same along the formula, nowhere else."""
    tenth = sp.Rational(1, 10)
    cases = (
        (6, sp.Rational(1, 5), sp.S.Zero),
        (6, sp.Rational(1, 20), sp.Rational(1, 2)),
        (6, sp.Rational(1, 15), sp.Rational(5, 6)),
        (6, sp.Rational(1, 25), sp.S.Zero),
        (3, tenth, sp.S.Zero),
        (9, tenth, sp.S.Zero),
        (8, sp.Rational(1, 15), sp.S.Zero),
        (9, sp.Rational(1, 40), sp.S.Zero),
        (4, sp.Rational(1, 30), sp.Rational(1, 2)),
    )
    return [
        Comparison(
            f"N = {number}, η = {rate}, m = {momentum}: the B whose subsets, all enumerated, have the noise scale 1/5",
            formula.subs({eta: rate, m: momentum, N: number, g_best: BEST}),
            best(number, rate / (1 - momentum)),
        )
        for number, rate, momentum in cases
    ]


def bends(places):
    """Whether three points (x, B), x in equal steps, lie on no straight line."""
    (_, first), (_, second), (_, third) = places
    return first - 2 * second + third != 0


def says(formula):
    """What the summary states, in numbers."""
    names = {"η": eta, "N": N, "m": m, "g_*": g_best, "B": formula}
    linear = eta * N / ((1 - m) * g_best)
    at = {eta: sp.Rational(1, 10), N: 6, m: 0, g_best: BEST}
    against_number = [(number, best(number, sp.Rational(1, 10))) for number in (3, 6, 9)]
    curve = [(rate, formula.subs({**at, eta: rate})) for rate in (sp.Rational(n, 10) for n in (1, 2, 3))]
    return [
        prose.formula("B = ηN/((1 − m)g_* + η) examples", formula, names, text="ηN/((1 − m)g_* + η)"),
        prose.formula("The straight line ηN/((1 − m)g_*)", linear, names, text="ηN/((1 − m)g_*)"),
        prose.direction(
            "is too large, by the fraction",
            [best(6, sp.Rational(1, 10)), linear.subs(at)],
            "the B of the enumerated subsets of six, then the line, η = 1/10",
        ),
        prose.formula("by the fraction B/N of itself", (linear - formula) / linear, names, text="B/N"),
        prose.cases(
            "So B against η, as in figure 10b, bends as B nears N",
            [bends(curve)],
            "B at η = 1/10, 2/10, 3/10 for N = 6",
        ),
        prose.cases(
            "but B against N, as in figure 11b, stays exactly straight, through 0",
            [not bends(against_number), all(found * 3 == number for number, found in against_number)],
            "B of enumerated subsets for N = 3, 6, 9 at η = 1/10: no bend, and B/N = 1/3 each",
        ),
        prose.formula("B/N = η/((1 − m)g_* + η)", formula / N, names, text="η/((1 − m)g_* + η)"),
        prose.cases("doesn't depend on N", [sp.simplify(formula / N).has(N)], "whether N is left in B/N"),
        prose.cases(
            "Drawn with replacement both are straight",
            [
                not bends([(rate, linear.subs({**at, eta: rate})) for rate in (1, 2, 3)]),
                not bends([(number, linear.subs({**at, N: number})) for number in (3, 6, 9)]),
            ],
            "the line, which is exact there, against η and against N",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Optimal batch size at a fixed noise scale",
    sources=(Source("lecture", place="text after (24), figures 10b and 11b"), Source("Smith & Le 2018")),
    verdict=Verdict.ORDER,
    order="B/N",
    summary="If accuracy peaks at a fixed noise scale g_*, batches drawn without replacement should have B = "
    "ηN/((1 − m)g_* + η) examples. The straight line ηN/((1 − m)g_*) is too large, by the fraction B/N of "
    "itself. So B against η, as in figure 10b, bends as B nears N; but B against N, as in figure 11b, "
    "stays exactly straight, through 0, because B/N = η/((1 − m)g_* + η) doesn't depend on N. Drawn with "
    "replacement both are straight.",
    printed=sp.Eq(B_opt, eta * N / ((1 - m) * g_best), evaluate=False),
    assumptions=(
        Assumption("Test accuracy depends on η, B, N and m through the noise scale alone."),
        Assumption("It has its only maximum at g_*, the same for all η, N and m."),
        assumptions.WITHOUT_REPLACEMENT,
        Assumption("Momentum acts through η/(1 − m): steps are small.", sp.Lt(eta / (1 - m), 1, evaluate=False)),
    ),
    formula=eta * N / ((1 - m) * g_best + eta),
    arguments=(eta, N, g_best, m),
    slip=Slip("momentum forgotten", eta * N / (g_best + eta)),
)
