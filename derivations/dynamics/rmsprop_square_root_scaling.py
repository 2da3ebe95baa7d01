"""Malladi et al. 2022: RMSprop with κ times the batch keeps its equation under the square root scaling rule."""

import functools

import sympy as sp

from derivations import assumptions, oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import E, S, Var, eta, g, sigma

kappa = sp.Symbol("kappa", positive=True)  # factor on the batch size
beta = sp.Symbol("beta", nonnegative=True)  # decay of the second-moment average
eps = sp.Symbol("epsilon", positive=True)  # added to its root
u = sp.Symbol("u", positive=True)  # S v: the second-moment average times the batch size
new = sp.symbols("η′ β′ ε′", positive=True)  # for the batch κS
moves = sp.symbols("Δu Δθ")


def root(value):
    """√value in one piece."""
    return sp.sqrt(value, evaluate=False)


def by_rule(primed, formula):
    """The primed parameters replaced by the rule, unevaluated."""
    if isinstance(primed, sp.MatrixBase):
        return primed.applyfunc(lambda entry: by_rule(entry, formula))
    return sp.Subs(primed, new, tuple(formula))


def steps(formula):
    """The coefficients of one step with batch κS are κ times those with batch S: κ steps of the same equation."""
    new_eta, new_beta, new_eps = new
    divisor, new_divisor = root(u / S) + eps, root(u / (kappa * S)) + new_eps

    def step(words, primed, right, name=None):
        """Checked with the rule in place of the primed parameters."""
        return Step(words, by_rule(primed, formula), right, name=name, shown=sp.Eq(primed, right, evaluate=False))

    return [
        step(
            "v ← βv + (1 − β)ĝ², θ ← θ − ηĝ/(√v + ε). If noise dominates, E ĝ² = g² + σ²/S ≈ σ²/S, so v is of order "
            "1/S and u = S v moves by (1 − β)(σ² − u) a step, for any batch size. With κS and the new parameters, u "
            "moves as in κ steps:",
            (1 - new_beta) * (sigma**2 - u),
            kappa * (1 - beta) * (sigma**2 - u),
            name=E(moves[0]),
        ),
        step(
            "θ drifts by −ηg/(√(u/S) + ε). At κS the root is smaller by √κ, and ε′ with it. With η′ = η√κ, θ drifts as "
            "in κ steps:",
            -new_eta * g / new_divisor,
            -kappa * eta * g / divisor,
            name=E(moves[1]),
        ),
        step(
            "and gains the variance of κ steps:",
            new_eta**2 * sigma**2 / (kappa * S * new_divisor**2),
            kappa * eta**2 * sigma**2 / (S * divisor**2),
            name=Var(moves[1]),
        ),
        step(
            "Seen as an equation with the time η² a step, its constants are the drift's √S/η, (1 − β)/η² and εη. The "
            "rule leaves them as they are:",
            sp.Matrix([sp.sqrt(kappa * S) / new_eta, (1 - new_beta) / new_eta**2, new_eps * new_eta]),
            sp.Matrix([sp.sqrt(S) / eta, (1 - beta) / eta**2, eps * eta]),
        ),
    ]


def check(formula):
    """RMSprop itself, v random and g² in it, by Monte Carlo; then its moments where v is its own mean."""
    (mean, deviation, _), (other_mean, other_deviation, _) = _runs(tuple(formula))
    return [
        *_idealised(formula),
        Comparison(
            "mean of θ after 200 steps of RMSprop with 4S by the rule, over that after 800 with S: 10,000 true runs "
            "each, to within Monte Carlo's 1 % and what g² and v's fluctuations add",
            other_mean / mean,
            1,
            0.06,
        ),
        Comparison("the standard deviation of θ, the same", other_deviation / deviation, 1, 0.06),
    ]


def _at(formula, *values):
    return [float(x.subs(dict(zip((kappa, eta, beta, eps), values, strict=True)))) for x in formula]


@functools.cache
def _runs(scaled):
    """(mean, deviation, S v) of RMSprop's own runs with S = 4, and with 4S and parameters by a rule."""
    rate, decay, floor = 0.01, 0.998, 0.1
    new_rate, new_decay, new_floor = _at(scaled, 4, rate, decay, floor)
    return (
        oracles.adaptive_runs(rate, (0.0, decay), floor, 4, 800, corrected=False, seed=0),
        oracles.adaptive_runs(new_rate, (0.0, new_decay), new_floor, 16, 200, corrected=False, seed=1),
    )


def _idealised(formula):
    """Moments of RMSprop on a quadratic, propagated step by step: 8000 small-batch steps against 2000 of κ = 4."""
    comparisons = []
    rate, decay, floor, batch, factor = 0.002, 0.9996, 0.4, 4, 4
    new_rate, new_decay, new_floor = _at(formula, factor, rate, decay, floor)
    small = _moments(rate, decay, floor, batch, 8000)
    large = _moments(new_rate, new_decay, new_floor, factor * batch, 2000)
    for name, first, second in zip(("mean of θ", "variance of θ", "S v"), large, small, strict=True):
        words = f"{name} where v is its own mean, g² left out: κS by the rule over S, from θ = 1, v = 9/S"
        comparisons.append(Comparison(words, first / second, 1, 0.005))
    return comparisons


def _moments(rate, decay, floor, batch, number):
    mean, variance, second, variance_of_gradient = 1.0, 0.0, 9.0 / batch, 1.0 / batch
    for _ in range(number):
        step = rate / (second**0.5 + floor)
        second = decay * second + (1 - decay) * variance_of_gradient
        mean, variance = (1 - 0.1 * step) * mean, (1 - 0.1 * step) ** 2 * variance + step**2 * variance_of_gradient
    return mean, variance, batch * second


def says(formula):
    """What the summary states, in numbers."""
    names = {"η": eta, "κ": kappa, "β": beta, "ε": eps}
    small, large = _runs(tuple(formula))
    how = "RMSprop's own runs with S = 4"
    slope, decay = sp.Rational(3), sp.Rational(9, 10)  # a gradient without noise: v tends to its square at any S
    settled = {size: sp.solve(decay * u + (1 - decay) * slope**2 - u, u)[0] for size in (4, 16)}
    return [
        prose.figure("E ĝ² ≈ σ²/S", small[2] / 4, f"v in {how}, σ = 1", {"σ": 1, "S": 4}, text="σ²/S", tolerance=0.01),
        *(
            prose.formula(text, entry, names)
            for text, entry in zip(("η√κ", "1 − κ(1−β)", "ε/√κ"), formula, strict=True)
        ),
        prose.cases(
            "does in one step what κ steps do with S",
            [abs(large[place] / small[place] - 1) < 0.06 for place in (0, 1)],
            f"mean and deviation of θ in {how} and with 16 by the rule, κ = 4, to within 6 %",
        ),
        prose.direction(
            "ε falls, as √v does",
            [[1, formula[2].subs({kappa: 4, eps: 1})], [(small[2] / 4) ** 0.5, (large[2] / 16) ** 0.5]],
            "ε at S and 4S by the rule; the root of the mean of v in RMSprop's own runs with S = 4 and 16",
        ),
        prose.cases(
            "v doesn't depend on S",
            [settled[4] != settled[16]],
            "where v settles for a gradient without noise",
        ),
        prose.cases(
            "the rule isn't right",
            [sp.simplify(formula[0].subs({kappa: 4}) / eta - 4) == 0],
            "whether the rule's rate is 4 times as large at κ = 4, as equal v wants it",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Square root scaling rule of RMSprop",
    sources=(Source("Malladi et al. 2022"),),
    verdict=Verdict.CONDITIONAL,
    summary="Where noise dominates the second moment, E ĝ² ≈ σ²/S, RMSprop with batch κS, η√κ, 1 − κ(1−β) and "
    "ε/√κ does in one step what κ steps do with S: same drift, same variance, same averaging time in "
    "examples. ε falls, as √v does. Where the gradient dominates, v doesn't depend on S and the rule "
    "isn't right.",
    printed=sp.Eq(
        sp.Matrix([new[0], 1 - new[1], new[2]]),
        sp.Matrix([sp.sqrt(kappa) * eta, kappa * (1 - beta), eps / sp.sqrt(kappa)]),
        evaluate=False,
    ),
    assumptions=(
        assumptions.NOISE_DOMINATES,
        assumptions.SCALED_BATCH_SMALL,
        Assumption(
            "Steps are small: κ(1−β) ≪ 1, so that v averages over many steps and hardly fluctuates, and η√κ moves θ "
            "little.",
            sp.Lt(kappa * (1 - beta), 1, evaluate=False),
        ),
    ),
    formula=sp.Matrix([sp.sqrt(kappa) * eta, 1 - kappa * (1 - beta), eps / sp.sqrt(kappa)]),
    arguments=(kappa, eta, beta, eps),
    slip=Slip("ε√κ for ε/√κ", sp.Matrix([sp.sqrt(kappa) * eta, 1 - kappa * (1 - beta), eps * sp.sqrt(kappa)])),
)
