"""Square loss with label noise: at the minimum C = 2L₀H, with L₀ the mean loss there."""

import itertools

import sympy as sp

from derivations import oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import D, S, eta

L0 = sp.Symbol("L_0", positive=True)  # mean loss at the minimum
h_ij = sp.Symbol("H_ij", real=True)  # entry of H


def steps(formula):
    """Gradient of the square loss → C as a mean over inputs and residuals → H → the factor → the expected loss."""
    above, below = sp.symbols("a b", positive=True)  # residuals a and −b: any centred law on two points
    weights = (below / (above + below), above / (above + below))
    residuals = (above, -below)
    q = sp.Symbol("q", positive=True)  # probability of the first of two inputs
    slopes = [sp.MatrixSymbol(f"J_{k}", 2, 1) for k in (1, 2)]  # ∂f/∂θ at the two inputs
    bends = [sp.Symbol(f"B_{k}", real=True) for k in (1, 2)]  # ∂²f/∂θ∂θᵀ there, an entry
    inputs = list(zip((q, 1 - q), slopes, bends, strict=True))
    points = [(w * v, r, x, b) for w, x, b in inputs for r, v in zip(residuals, weights, strict=True)]
    H = q * slopes[0] * slopes[0].T + (1 - q) * slopes[1] * slopes[1].T
    second = sp.MatAdd(*(p * r**2 * x * x.T for p, r, x, _ in points))
    floor = sum(p * r**2 / 2 for p, r, _, _ in points)
    lams = sp.symbols("lambda_1:4", positive=True)
    return [
        Step(
            "∇ℓ_i = r_iJ_i with the residual r_i = f(x_i) − y_i and J_i = ∂f/∂θ. The residual is centred at every "
            "input, so the mean gradient is zero (two inputs, with probabilities q and 1 − q; residuals a or −b):",
            sp.MatAdd(*(sp.Mul(p, r, evaluate=False) * x for p, r, x, _ in points)),
            sp.ZeroMatrix(2, 1),
        ),
        Step(
            "The Hessian is E JJᵀ + E r ∂²f/∂θ∂θᵀ, and of the second part nothing is left:",
            sp.Add(*(p * r * b for p, r, _, b in points), evaluate=False),
            0,
        ),
        Step(
            "The variance of a centred law on a, −b is σ² = ab, and the loss at the minimum is half of it:",
            floor,
            above * below / 2,
            name=L0,
        ),
        Step("C = E r²JJᵀ, and r² is independent of J: C = σ²H:", second, above * below * H, name=sp.Symbol("C")),
        Step("Together:", second, formula.subs({L0: floor, h_ij: 1}) * H, name=sp.Symbol("C")),
        Step(
            "If C stays what it is at the minimum, the expected loss above L₀ is (η/4S) Tr C = (ηL₀/2S) Tr H "
            "(three eigenvalues λ_i of H):",
            eta / (4 * S) * sum(formula.subs(h_ij, lam) for lam in lams),
            eta * L0 / (2 * S) * sum(lams),
        ),
    ]


def check(formula):
    """All gradients of a data set with each input met with each residual; and a mean over all draws of labels."""
    inputs = [sp.Matrix(v) for v in ((1, 2), (-1, 1), (3, sp.Rational(1, 2)))]
    truth = sp.Matrix([sp.Rational(1, 3), -2])
    law = [sp.Integer(2), sp.Integer(-1), sp.Integer(-1)]  # centred, skewed
    examples = [(x, (x.T * truth)[0] - r) for x in inputs for r in law]
    H = oracles.mean([x * x.T for x, _ in examples])
    best = H.LUsolve(oracles.mean([x * y for x, y in examples]))
    residuals = [(x.T * best)[0] - y for x, y in examples]
    floor = oracles.mean([r**2 / 2 for r in residuals])
    C = oracles.covariance([x * r for (x, _), r in zip(examples, residuals, strict=True)])
    # For one draw of labels the relation holds in the mean only, at the true parameters, and before centring.
    pairs = [(r1, r2, r3) for r1 in law for r2 in law for r3 in law]
    drawn = oracles.mean([oracles.mean([x * x.T * r**2 for x, r in zip(inputs, draw, strict=True)]) for draw in pairs])
    words = "three inputs and the residuals 2, −1, −1"
    return [
        Comparison(
            f"C at the minimiser of nine examples, {words} in all combinations",
            H.applyfunc(lambda entry: formula.subs({L0: floor, h_ij: entry})),
            C,
        ),
        Comparison(
            f"E r²xxᵀ at the true parameters over all 27 draws of labels, {words}",
            H.applyfunc(lambda entry: formula.subs({L0: oracles.mean([r**2 / 2 for r in law]), h_ij: entry})),
            drawn,
        ),
    ]


def says(formula):
    """What the summary states, in numbers."""
    x = [(1, 2), (-1, 1), (3, sp.S.Half)]
    law = [sp.Integer(2), sp.Integer(-1), sp.Integer(-1)]  # σ² = 2, L₀ = 1
    spread = oracles.variance(law)
    gradients = [r * a for a, _ in x for r in law]
    curvature = oracles.mean([sp.sympify(a) ** 2 for a, _ in x])
    return [
        prose.formula("C = 2L₀H", formula, {"L₀": L0, "H": h_ij}, text="2L₀H"),
        prose.formula("at the minimum: σ²H", formula, {"σ": sp.sqrt(2 * L0), "H": h_ij}, text="σ²H"),
        prose.figure(
            "L₀ = σ²/2",
            oracles.mean([r**2 / 2 for r in law]),
            "the mean loss for residuals 2, −1, −1",
            {"σ": sp.sqrt(spread)},
            text="σ²/2",
        ),
        prose.cases(
            "C = H needs unit label noise",
            [oracles.variance(gradients) == spread * curvature != curvature],
            "the variance of nine gradients with σ² = 2, against 2H and H",
        ),
        prose.order(
            "by terms of order D/N",
            _fitted(),
            "N",
            "1 − E r²/σ² after a least-squares fit of one parameter to N = 3 and 6 labels, over all draws",
            text="D/N",
        ),
    ]


def _fitted():
    """N ↦ 1 − E r²/σ² of the residuals r that a fit of one parameter leaves, over all draws of labels ±1."""
    lost = {}
    for number in (3, 6):
        inputs = [sp.Integer(a) for a in (1, -1, 3, 2, 1, -2)][:number]
        length = sum(a**2 for a in inputs)
        squares = []
        for draw in itertools.product((-1, 1), repeat=number):
            slope = sum(a * y for a, y in zip(inputs, draw, strict=True)) / length
            squares.append(oracles.mean([(y - slope * a) ** 2 for a, y in zip(inputs, draw, strict=True)]))
        lost[number] = 1 - oracles.mean(squares)
    return lost


CLAIM = Claim(
    module=__name__,
    title="Gradient covariance from label noise",
    sources=(Source("Mori, Ziyin, Liu & Ueda 2022"),),
    verdict=Verdict.CONDITIONAL,
    summary="For the square loss ½(f − y)² with residuals that are centred and independent of the inputs, C = "
    "2L₀H at the minimum: σ²H, with L₀ = σ²/2 the loss left there. C = H needs unit label noise. A fit of D "
    "parameters to N noisy labels has residuals that depend on the inputs, by terms of order D/N.",
    printed=sp.Eq(sp.MatrixSymbol("C", D, D), 2 * L0 * sp.MatrixSymbol("H", D, D), evaluate=False),
    assumptions=(
        Assumption("ℓ = ½ r², r = f(x) − y."),
        Assumption("At the minimum residuals are centred and independent of the inputs."),
        Assumption("Their variance is the same at every input."),
        Assumption(
            "Means are over the law of the data, or over a sample in which residuals and inputs are independent."
        ),
    ),
    formula=2 * L0 * h_ij,
    arguments=(L0, h_ij),
    slip=Slip("C = L₀H: the ½ of the loss forgotten", L0 * h_ij),
)
