"""Standard error of an occupancy from one long run, by the number of barrier crossings in it."""

import mpmath
import sympy as sp

from derivations import prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import Var, eta, t

p = sp.Symbol("p", positive=True)  # stationary occupancy of A
K = sp.Symbol("K", positive=True)  # crossings in the run, both ways
k_AB, k_BA = sp.symbols("k_AB k_BA", positive=True)  # rates


def steps(formula):
    """The telegraph process: its relaxation, its integrated autocovariance, its crossings."""
    s, r, x = sp.symbols("s r x", positive=True)  # lag, k_AB + k_BA, 1/t
    tau_AB, tau_BA, n = sp.symbols("tau_AB tau_BA n", positive=True)
    q, occupied = sp.Function("q")(s), p + (1 - p) * sp.exp(-r * s)
    crossings = 2 * p * (1 - p) * r * t
    rates = {p: k_BA / (k_AB + k_BA), r: k_AB + k_BA}
    steps_in = {t: eta * n, k_AB: 1 / tau_AB, k_BA: 1 / tau_BA}
    return [
        Step(
            "With k_BA = pr and k_AB = (1 − p)r the chance q of being in A a time s after a start in A is "
            "p + (1 − p)exp(−rs), for it is one at s = 0 and",
            sp.Derivative(occupied, s),
            p * r * (1 - occupied) - (1 - p) * r * occupied,
            shown=sp.Eq(sp.Derivative(q, s), p * r * (1 - q) - (1 - p) * r * q, evaluate=False),
        ),
        Step(
            "pq − p² is the autocovariance of the indicator of A. The variance of its mean over a time t, times t², is "
            "the double integral of that, in which the lag s has the weight 2(t − s):",
            sp.Integral(sp.Mul(2, t - s, p * occupied - p**2, evaluate=False), (s, 0, t)),
            2 * p * (1 - p) * (t / r - (1 - sp.exp(-r * t)) / r**2),
            name=t**2 * Var(sp.Symbol("phat")),
        ),
        Step(
            "For long runs exp(−rt) is below any power of x = 1/t, and the variance is 2p(1 − p)/(rt):",
            2 * p * (1 - p) * (x / r - x**2 / r**2),
            2 * p * (1 - p) * x / r,
            order=(x, 2),
            name=Var(sp.Symbol("phat")),
        ),
        Step(
            "The mean number of crossings in that time, out of A at the rate (1 − p)r and out of B at the rate pr:",
            t * (sp.Mul(p, (1 - p) * r, evaluate=False) + sp.Mul(1 - p, p * r, evaluate=False)),
            crossings,
            name=K,
        ),
        Step(
            "In the product of crossings and variance the rate and the time drop out, so the variance is 4p²(1 − "
            "p)²/K, the square of the formula:",
            sp.Mul(crossings, 2 * p * (1 - p) / (r * t), evaluate=False),
            K * formula**2,
            name=K * Var(sp.Symbol("phat")),
        ),
        Step(
            "In SGD steps: with mean times τ_AB and τ_BA the n steps last ηn and hold this many crossings:",
            crossings.subs(rates).subs(steps_in),
            2 * eta * n / (tau_AB + tau_BA),
            name=K,
            shown=sp.Eq(crossings, 2 * eta * n / (tau_AB + tau_BA), evaluate=False),
        ),
    ]


def check(formula):
    """Growth rates of E exp(a · time in A) and E exp(a · crossings): eigenvalues of tilted generators."""
    comparisons = []
    for out, back in ((1, 3), (14, 5)):

        def growth(time_tilt, crossing_tilt, out=out, back=back):
            e = mpmath.exp(crossing_tilt)
            matrix = mpmath.matrix([[time_tilt - out, out * e], [back * e, -back]])
            return max(mpmath.re(value) for value in mpmath.eig(matrix, left=False, right=False))

        with mpmath.workdps(40):
            occupancy = mpmath.diff(lambda x: growth(x, 0), 0)
            variance = mpmath.diff(lambda x: growth(x, 0), 0, 2)
            crossings = mpmath.diff(lambda x: growth(0, x), 0)
            # Over a time t: the variance of the time share is variance/t, and there are t · crossings of them.
            derived = formula.subs({p: sp.Float(occupancy, 30), K: sp.Float(crossings, 30)})
        comparisons.append(
            Comparison(
                f"k_AB = {out}, k_BA = {back}: √t times the standard error, from the second derivative of the growth "
                "rate of E exp(a · time in A) at a = 0",
                derived,
                sp.Float(mpmath.sqrt(variance), 20),
                sp.Float("1e-9"),
            )
        )
    return comparisons


def says(formula):
    """What the summary states, in numbers."""
    names = {"p": p, "K": K}
    at = {p: sp.S.Half, K: 100}
    exact, off = [], {}
    for out, back in ((1, 3), (14, 5)):  # the telegraph process: variance of the time share and crossings over a time
        r, share = sp.Integer(out + back), sp.Rational(back, out + back)
        for time in (200, 400):
            variance = 2 * share * (1 - share) * (1 / (r * time) - (1 - sp.exp(-r * time)) / (r * time) ** 2)
            crossings = 2 * share * (1 - share) * r * time
            ratio = (formula.subs({p: share, K: crossings}) ** 2 / variance).evalf(20)
            exact.append(abs(ratio - 1) < sp.Rational(1, 100))
            off[(out, time)] = abs(1 - 1 / ratio)
    return [
        prose.formula("2p(1 − p)/√K", formula, names),
        prose.cases("whatever the rates", exact, "its square against the exact variance at two pairs of rates, to 1 %"),
        prose.figure("an error of 0.05 takes", formula.subs(at), "as derived at p = 1/2, K = 100", text="0.05"),
        prose.figure(
            "takes 100 crossings",
            sp.solve(formula.subs(p, sp.S.Half) - sp.Rational(1, 20), K)[0],
            "K at p = 1/2 for an error of 0.05",
            text="100",
        ),
        prose.order(
            "right to leading order in 1/t",
            {time: off[1, time] for time in (200, 400)},
            "t",
            "its distance from the exact variance, relative, k_AB = 1, k_BA = 3, t = 200 and 400",
            text="1/t",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Standard error of an occupancy from the number of crossings",
    sources=(Source("integrated autocorrelation time of a two-state Markov chain"),),
    verdict=Verdict.ORDER,
    order="1/t",
    summary="A run with K crossings between two basins, both ways counted, knows the occupancy p of one of them "
    "to 2p(1 − p)/√K, whatever the rates. At p = 1/2 an error of 0.05 takes 100 crossings. The variance "
    "is right to leading order in 1/t.",
    printed=sp.Eq(sp.sqrt(Var(sp.Symbol("phat"))), 2 * p * (1 - p) / sp.sqrt(K), evaluate=False),
    assumptions=(
        Assumption("Crossings form a two-state Markov chain: relaxation inside a basin is fast against them."),
        Assumption("The run is long against 1/(k_AB + k_BA)."),
        Assumption("K is the mean number of crossings."),
    ),
    formula=2 * p * (1 - p) / sp.sqrt(K),
    arguments=(p, K),
    slip=Slip("the binomial error of K independent draws", sp.sqrt(p * (1 - p) / K)),
)
