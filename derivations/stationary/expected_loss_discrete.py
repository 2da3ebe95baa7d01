"""Expected loss of SGD with momentum on a quadratic with constant noise, exact at finite learning rate."""

import sympy as sp

from derivations import assumptions, prose
from derivations.parts import Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import D, E, S, eta, lam_i, m

c_ii = sp.Symbol("C_ii", nonnegative=True)  # the noise along its eigenvector


def steps(formula):
    """Second moments of one direction → its loss → the trace over all directions → the expansion in η."""
    q, r, w = sp.symbols("q r w", real=True)  # E θ², E θv, E v²
    force = eta**2 / S * c_ii
    cross = m * r - eta * lam_i * q  # E θ(mv − ηλθ)
    velocity = m**2 * w - 2 * m * eta * lam_i * r + eta**2 * lam_i**2 * q + force  # E v′²
    solution = {
        q: eta * c_ii * (1 + m) / (S * (1 - m) * lam_i * (2 * (1 + m) - eta * lam_i)),
        w: 2 * eta**2 * c_ii / (S * (1 - m) * (2 * (1 + m) - eta * lam_i)),
        r: eta**2 * c_ii / (S * (1 - m) * (2 * (1 + m) - eta * lam_i)),
    }
    cosine, sine = sp.symbols("c s", real=True)
    axes = sp.Matrix([[cosine, -sine], [sine, cosine]])
    l1, l2 = sp.symbols("lambda_1 lambda_2", positive=True)
    K = sp.Matrix([[sp.Symbol("C_11"), sp.Symbol("C_12")], [sp.Symbol("C_12"), sp.Symbol("C_22")]])
    H, C = axes * sp.diag(l1, l2) * axes.T, axes * K * axes.T
    matrix = sp.eye(2) - eta / (2 * (1 + m)) * H
    adjugate = matrix.trace() * sp.eye(2) - matrix
    unit = {sine: sp.sqrt(1 - cosine**2)}
    pair = [formula.subs({lam_i: a, c_ii: b}) for a, b in ((l1, K[0, 0]), (l2, K[1, 1]))]
    return [
        Step(
            "One eigendirection of H: v′ = mv − ηλθ − ηξ, θ′ = θ + v′. The moments q = E θ², r = E θv, w = E v² solve "
            "q′ = q, r′ = r, w′ = w for",
            sp.Matrix([q + 2 * cross + velocity, cross + velocity, velocity]).subs(solution),
            sp.Matrix([q, r, w]).subs(solution),
            shown=sp.Eq(sp.Matrix([q, r, w]), sp.Matrix([q, r, w]).subs(solution), evaluate=False),
        ),
        Step("Its loss λq/2 diverges where ηλ reaches 2(1 + m):", (lam_i * q / 2).subs(solution), formula),
        Step(
            "The loss is a sum over eigendirections, only C_ii enters, and the sum is a trace in any basis (here "
            "a plane turned by any angle; M⁻¹ = adj M/det M): with "
            "M = I − ηH/(2(1 + m)):",
            (eta / (4 * S * (1 - m)) * (C * adjugate).trace() / matrix.det()).subs(unit),
            pair[0] + pair[1],
            name=E(sp.Symbol("L")),
            shown=sp.Eq(
                eta / (4 * S * (1 - m)) * sp.Trace(sp.MatrixSymbol("C", 2, 2) * sp.MatrixSymbol("M", 2, 2).I),
                pair[0] + pair[1],
                evaluate=False,
            ),
        ),
        Step(
            "To first order η enters with momentum only as η/(1 − m); the next order adds curvature:",
            formula,
            eta / (4 * S * (1 - m)) * (c_ii + eta * lam_i * c_ii / (2 * (1 + m))),
            order=(eta, 3),
        ),
    ]


def check(formula):
    """½ Tr(HΓ), Γ from the ten second moments of (θ, v) in the plane, in rationals; H and C do not commute."""
    H, C = sp.Matrix([[41, 12], [12, 34]]) / 25, sp.Matrix([[2, 1], [1, 5]])
    axes = sp.Matrix([[4, -3], [3, 4]]) / 5  # H has the eigenvalues 2 and 1
    K = axes.T * C * axes
    size, identity = 8, sp.eye(2)
    comparisons = []
    for rate, momentum in ((sp.Rational(1, 2), sp.S.Zero), (sp.Rational(3, 2), sp.Rational(9, 10))):
        step = sp.Matrix(sp.BlockMatrix([[identity - rate * H, momentum * identity], [-rate * H, momentum * identity]]))
        force = rate**2 / size * sp.Matrix(sp.BlockMatrix([[C, C], [C, C]]))
        entries = {(i, j): sp.Symbol(f"x_{i}{j}") for i in range(4) for j in range(i, 4)}
        moments = sp.Matrix(4, 4, lambda i, j, entries=entries: entries[min(i, j), max(i, j)])
        balance = step * moments * step.T + force - moments
        solved = sp.solve([balance[i, j] for i, j in entries], list(entries.values()))
        derived = sum(
            formula.subs({lam_i: a, c_ii: b, eta: rate, S: size, m: momentum}) for a, b in ((2, K[0, 0]), (1, K[1, 1]))
        )
        comparisons.append(
            Comparison(
                f"E(L) for eigenvalues 2 and 1, S = 8, η = {rate}, m = {momentum}, from ten linear equations",
                derived,
                (H * moments.subs(solved)[:2, :2]).trace() / 2,
            )
        )
    return comparisons


def says(formula):
    """What the summary states, in numbers."""
    names = {"η": eta, "S": S, "m": m}
    leading = eta * sp.diff(formula, eta).subs(eta, 0)
    inner = formula / (eta / (4 * S * (1 - m)) * c_ii)
    exact = []
    for rate, momentum in ((sp.Rational(1, 2), sp.S.Zero), (sp.Rational(3, 2), sp.Rational(9, 10))):
        q, r, w = sp.symbols("q r w")
        force = rate**2 / 8 * 3  # C = 3, S = 8, λ = 1
        cross = momentum * r - rate * q
        velocity = momentum**2 * w - 2 * momentum * rate * r + rate**2 * q + force
        solved = sp.solve([2 * cross + velocity, cross + velocity - r, velocity - w], [q, r, w])
        exact.append(solved[q] / 2 == formula.subs({lam_i: 1, c_ii: 3, eta: rate, S: 8, m: momentum}))
    return [
        prose.formula("η/(4S(1 − m))", leading / c_ii, names),
        prose.formula(
            "Tr[C (I − ηH/(2(1 + m)))⁻¹]", inner, {"η": eta, "m": m, "I": 1, "H": lam_i}, text="(I − ηH/(2(1 + m)))⁻¹"
        ),
        prose.cases("⁻¹], exactly", exact, "λq/2 from the three moments' equations at two η and m"),
        prose.formula(
            "The SDE's (η/4S) Tr C", (leading * (1 - m)), {"η": eta, "S": S, "Tr C": c_ii}, text="(η/4S) Tr C"
        ),
        prose.formula("at the effective rate η/(1 − m)", 4 * S / c_ii * leading, {"η": eta, "m": m}, text="η/(1 − m)"),
    ]


CLAIM = Claim(
    module=__name__,
    title="Expected loss of SGD at finite learning rate",
    sources=(Source("Liu, Ziyin & Ueda 2021"), Source("Jastrzębski et al. 2017")),
    verdict=Verdict.CONDITIONAL,
    summary="On a quadratic with constant noise SGD with heavy-ball momentum has the expected loss η/(4S(1 − m)) "
    "Tr[C (I − ηH/(2(1 + m)))⁻¹], exactly. The SDE's (η/4S) Tr C is its first order at the effective rate "
    "η/(1 − m). The formula is the part of one eigendirection; sum over directions.",
    printed=sp.Eq(
        E(sp.Symbol("L")),
        eta
        / (4 * S * (1 - m))
        * sp.Trace(
            sp.MatrixSymbol("C", D, D) * sp.Inverse(sp.Identity(D) - eta / (2 * (1 + m)) * sp.MatrixSymbol("H", D, D))
        ),
        evaluate=False,
    ),
    assumptions=(
        assumptions.QUADRATIC_FROM_MINIMUM,
        assumptions.POSITIVE_DEFINITE,
        assumptions.STABLE_DIRECTIONS,
        assumptions.MOMENTUM_BELOW_ONE,
        assumptions.CONSTANT_COVARIANCE,
    ),
    formula=eta / (4 * S * (1 - m)) * c_ii / (1 - eta * lam_i / (2 * (1 + m))),
    arguments=(lam_i, c_ii, eta, S, m),
    slip=Slip("the edge of stability at 2(1 − m)", eta / (4 * S * (1 - m)) * c_ii / (1 - eta * lam_i / (2 * (1 - m)))),
)
