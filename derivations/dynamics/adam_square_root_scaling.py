"""Malladi et al. 2022: Adam with κ times the batch keeps its equation under the square root scaling rule."""

import functools

import sympy as sp

from derivations import assumptions, oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import E, S, Var, eta, g, h, sigma, t

kappa = sp.Symbol("kappa", positive=True)  # factor on the batch size
beta1, beta2 = sp.symbols("beta_1 beta_2", nonnegative=True)  # decays of the averages of ĝ and ĝ²
eps = sp.Symbol("epsilon", positive=True)  # added to the root
u = sp.Symbol("u", positive=True)  # S v: the second-moment average times the batch size
average = sp.Symbol("mu", real=True)  # the average of ĝ
rate1 = sp.Symbol("c_1", positive=True)  # (1 − β₁) over the time of a step
new = sp.symbols("η′ β₁′ β₂′ ε′", positive=True)  # for the batch κS
moves = sp.symbols("Δu Δμ Δθ")
TRUE = (0.01, 0.98, 0.998, 0.1)  # η, β₁, β₂, ε of the runs by Monte Carlo


def root(value):
    """√value in one piece."""
    return sp.sqrt(value, evaluate=False)


def steps(formula):
    """The coefficients of one step with batch κS are κ times those with batch S."""
    new_eta, new_beta1, new_beta2, new_eps = new
    divisor, new_divisor = root(u / S) + eps, root(u / (kappa * S)) + new_eps
    after = formula[1].subs(beta1, 1 - rate1 * h)

    def step(words, name, primed, right):
        """Checked with the rule in place of the primed parameters."""
        left = sp.Subs(primed, new, tuple(formula))
        return Step(words, left, right, name=name, shown=sp.Eq(primed, right, evaluate=False))

    return [
        step(
            "v ← β₂v + (1 − β₂)ĝ². If noise dominates, E ĝ² = g² + σ²/S ≈ σ²/S, so v is of order 1/S and u = S v moves "
            "by (1 − β₂)(σ² − u) a step, for any batch size. With κS and the new parameters, it moves as in κ steps:",
            E(moves[0]),
            (1 - new_beta2) * (sigma**2 - u),
            kappa * (1 - beta2) * (sigma**2 - u),
        ),
        step(
            "μ ← β₁μ + (1 − β₁)ĝ drifts as in κ steps",
            E(moves[1]),
            (1 - new_beta1) * (g - average),
            kappa * (1 - beta1) * (g - average),
        ),
        step(
            "and gains their variance: the square of 1 − β₁′ makes up for the larger batch.",
            Var(moves[1]),
            (1 - new_beta1) ** 2 * sigma**2 / (kappa * S),
            kappa * (1 - beta1) ** 2 * sigma**2 / S,
        ),
        step(
            "θ ← θ − ημ/(√v + ε). At κS the root √(u/S) is smaller by √κ, and ε′ with it, so η√κ moves θ as κ steps "
            "do:",
            moves[2],
            -new_eta * average / new_divisor,
            -kappa * eta * average / divisor,
        ),
        Step(
            "The bias corrections 1 − β₁ⁿ after n steps follow: with 1 − β₁ = c₁h and n = t/h steps, or t/(κh) of the "
            "larger batch, β₁ⁿ tends to exp(−c₁t) for both as h → 0; so for β₂.",
            sp.Limit(after ** (t / (kappa * h)), h, 0, "+"),
            sp.Limit((1 - rate1 * h) ** (t / h), h, 0, "+"),
        ),
    ]


def check(formula):
    """Adam itself, v random and g² in it, by Monte Carlo; then its moments where v is its own mean."""
    (mean, deviation, _), (other_mean, other_deviation, _) = _runs(tuple(formula))
    return [
        *_idealised(formula),
        Comparison(
            "mean of θ after 200 steps of Adam with 4S by the rule, over that after 800 with S: 10,000 true runs each, "
            "to within Monte Carlo's 1 % and what g² and v's fluctuations add",
            other_mean / mean,
            1,
            0.06,
        ),
        Comparison("the standard deviation of θ, the same", other_deviation / deviation, 1, 0.06),
    ]


def _at(formula, *values):
    return [float(x.subs(dict(zip((kappa, eta, beta1, beta2, eps), values, strict=True)))) for x in formula]


@functools.cache
def _runs(scaled):
    """(mean, deviation, S v) of Adam's own runs with S = 4, and with 4S and parameters by a rule."""
    parameters = _at(scaled, 4, *TRUE)
    small = oracles.adaptive_runs(TRUE[0], TRUE[1:3], TRUE[3], 4, 800, corrected=True, seed=0)
    rate, first, second, floor = parameters
    large = oracles.adaptive_runs(rate, (first, second), floor, 16, 200, corrected=True, seed=1)
    return small, large


def _idealised(formula):
    """Moments of Adam with bias corrections on a quadratic: 8000 small-batch steps against 2000 of κ = 4."""
    settings = (0.002, 0.998, 0.9996, 0.4)
    scaled = _at(formula, 4, *settings)
    small, large = _moments(settings, 4, 8000), _moments(scaled, 16, 2000)
    names = ("mean of θ", "variance of θ", "S v")
    return [
        Comparison(
            f"{name} where v is its own mean and g² left out of it: κS by the rule over S, from θ = 1",
            a / b,
            1,
            0.01,
        )
        for name, a, b in zip(names, large, small, strict=True)
    ]


def _moments(settings, batch, number):
    """Mean and covariance of (θ, μ), exactly linear: v is its own mean and g² is left out of it, as assumed."""
    rate, first, second, floor = settings
    curvature, noise = 0.1, 1 / batch
    mean, mu, v = 1.0, 0.0, 0.0
    tt = tm = mm = 0.0
    for n in range(1, number + 1):
        v = second * v + (1 - second) * noise
        a, b = first, (1 - first) * curvature  # μ ← a μ + b θ + (1 − β₁) ξ
        mu = a * mu + b * mean
        tm, mm = a * tm + b * tt, a**2 * mm + 2 * a * b * tm + b**2 * tt + (1 - first) ** 2 * noise
        q = rate / ((1 - first**n) * ((v / (1 - second**n)) ** 0.5 + floor))
        mean -= q * mu
        tt, tm = tt - 2 * q * tm + q**2 * mm, tm - q * mm
    return mean, tt, batch * v


scaling = sp.Matrix([sp.sqrt(kappa) * eta, 1 - kappa * (1 - beta1), 1 - kappa * (1 - beta2), eps / sp.sqrt(kappa)])


def says(formula):
    """What the summary states, in numbers."""
    names = {"η": eta, "κ": kappa, "β₁": beta1, "β₂": beta2, "ε": eps}
    small, large = _runs(tuple(formula))
    linear = _runs((kappa * eta, *formula[1:]))[1]
    texts = ("η√κ", "1 − κ(1−β₁)", "1 − κ(1−β₂)", "ε/√κ")
    how = "Adam's own runs with S = 4"
    return [
        prose.figure("E ĝ² ≈ σ²/S", small[2] / 4, f"v in {how}, σ = 1", {"σ": 1, "S": 4}, text="σ²/S", tolerance=0.01),
        *(prose.formula(text, entry, names) for text, entry in zip(texts, formula, strict=True)),
        prose.cases(
            "each step then does what κ steps did",
            [abs(large[place] / small[place] - 1) < 0.06 for place in (0, 1)],
            f"mean and deviation of θ in {how} and with 16 by the rule, κ = 4, to within 6 %",
        ),
        prose.cases(
            "The linear rule of SGD does not hold",
            [abs(linear[place] / small[place] - 1) < 0.06 for place in (0, 1)],
            "the same with the rate κη",
        ),
        prose.direction(
            "√v, which itself falls",
            [(small[2] / 4) ** 0.5, (large[2] / 16) ** 0.5],
            "the root of the mean of v in Adam's own runs with S = 4 and 16",
        ),
        prose.order(
            "as 1/√S",
            {4: (small[2] / 4) ** 0.5, 16: (large[2] / 16) ** 0.5},
            "S",
            "the root of the mean of v in Adam's own runs with S = 4 and 16",
            text="1/√S",
            tolerance=0.1,
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Square root scaling rule of Adam",
    sources=(Source("Malladi et al. 2022"),),
    verdict=Verdict.CONDITIONAL,
    summary="Where noise dominates the second moment, E ĝ² ≈ σ²/S, Adam with batch κS keeps its equation with "
    "η√κ, 1 − κ(1−β₁), 1 − κ(1−β₂) and ε/√κ: each step then does what κ steps did. The linear rule of SGD "
    "does not hold, because Adam divides by √v, which itself falls as 1/√S.",
    printed=sp.Eq(
        sp.Matrix([new[0], 1 - new[1], 1 - new[2], new[3]]),
        sp.Matrix([sp.sqrt(kappa) * eta, kappa * (1 - beta1), kappa * (1 - beta2), eps / sp.sqrt(kappa)]),
        evaluate=False,
    ),
    assumptions=(
        assumptions.NOISE_DOMINATES,
        assumptions.SCALED_BATCH_SMALL,
        Assumption("μ averages over many steps: κ(1−β₁) ≪ 1.", sp.Lt(kappa * (1 - beta1), 1, evaluate=False)),
        Assumption(
            "v averages over many steps, κ(1−β₂) ≪ 1, and so hardly fluctuates.",
            sp.Lt(kappa * (1 - beta2), 1, evaluate=False),
        ),
    ),
    formula=scaling,
    arguments=(kappa, eta, beta1, beta2, eps),
    slip=Slip(
        "the learning rate scaled linearly, as for SGD",
        sp.Matrix([kappa * eta, 1 - kappa * (1 - beta1), 1 - kappa * (1 - beta2), eps / sp.sqrt(kappa)]),
    ),
)
