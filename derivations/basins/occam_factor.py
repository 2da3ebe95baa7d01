"""Smith & Le: the Bayesian evidence of a minimum, an L2 prior normalised and Laplace's method applied."""

import mpmath
import sympy as sp

from derivations import oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import D, P, lam, theta

cost = sp.Symbol("L_0", real=True)  # sum loss at the minimum with its L2 term: −ln(likelihood · prior's exponential)
logdet = sp.Symbol("ln det H", real=True)  # of that regularised sum loss: Σ ln λ_i


def steps(formula):
    """One Gaussian integral a direction, each over the prior's."""
    p, rho, eps = sp.symbols("p rho epsilon", positive=True)  # an eigenvalue; one per example; ε = 1/√N
    x, c_3, c_4 = sp.symbols("x c_3 c_4", real=True)
    norm, line = sp.Pow(lam / (2 * sp.pi), sp.Rational(1, 2), evaluate=False), (theta, -sp.oo, sp.oo)
    u = eps * x
    return [
        Step(
            "An L2 term λθ²/2 for each parameter is a Gaussian prior of variance 1/λ. Its norm is a factor √(λ/(2π)) a "
            "direction:",
            sp.Integral(sp.Mul(norm, sp.exp(-lam * theta**2 / 2), evaluate=False), line),
            1,
        ),
        Step(
            "The evidence is the integral of likelihood times prior. About the minimum their exponent is −L₀ − pθ²/2; "
            "with one parameter, minus the logarithm is:",
            -sp.log(norm * sp.Integral(sp.exp(-cost - p * theta**2 / 2), line)),
            formula.subs({D: 1, logdet: sp.log(p)}),
        ),
        Step(
            "Each further eigendirection of H, of eigenvalue p, multiplies the evidence by such an integral and adds "
            "½ ln(p/λ):",
            formula - sp.log(norm * sp.Integral(sp.exp(-p * theta**2 / 2), line)),
            formula.subs({D: D + 1, logdet: logdet + sp.log(p)}, simultaneous=True),
        ),
        Step(
            "H is the Hessian with the L2 term, which adds λ to each eigenvalue. A direction in which the data say "
            "nothing has p = λ and costs nothing:",
            formula.subs({D: D + 1, logdet: logdet + sp.log(lam)}, simultaneous=True),
            formula,
        ),
        Step(
            "Derivatives of the sum loss grow as N. At θ_A + x/√N the quadratic term is of order one; the cubic term, "
            "odd, is the next, and with ε = 1/√N the error is O(ε²) = O(1/N):",
            sp.exp(-sp.expand((rho * u**2 / 2 + c_3 * u**3 + c_4 * u**4) / eps**2)),
            sp.exp(-rho * x**2 / 2) * (1 - eps * c_3 * x**3),
            order=(eps, 2),
        ),
    ]


def check(formula):
    """Linear regression, whose evidence is a Gaussian density of the targets; logistic regression by quadrature."""
    design = sp.Matrix([[1, 2], [1, -1], [3, sp.Rational(1, 2)]])
    target, decay = sp.Matrix([1, -2, sp.Rational(3, 2)]), sp.Rational(2, 3)
    hessian = design.T * design + decay * sp.eye(2)
    best = hessian.LUsolve(design.T * target)
    residual = target - design * best
    least = (residual.dot(residual) + decay * best.dot(best)) / 2 + 3 * sp.log(2 * sp.pi) / 2
    regression = formula.subs({cost: least, D: 2, lam: decay, logdet: sp.log(hessian.det())}).evalf(30)
    marginal = sp.eye(3) + design * design.T / decay
    density = (target.dot(marginal.LUsolve(target)) + sp.log(marginal.det()) + 3 * sp.log(2 * sp.pi)) / 2

    # Three quarters of N examples at input 1 have label +1, the others −1.
    errors = []
    for n in (40, 80, 160):
        total = n * (sp.log(1 + sp.exp(-theta)) * 3 + sp.log(1 + sp.exp(theta))) / 4 + theta**2 / 2
        function = sp.lambdify(theta, total, "mpmath")
        best_1 = mpmath.findroot(sp.lambdify(theta, sp.diff(total, theta), "mpmath"), 1)
        curvature = sp.diff(total, theta, 2).subs(theta, best_1)
        derived = formula.subs({cost: function(best_1), D: 1, lam: 1, logdet: sp.log(curvature)}).evalf()
        width = 1 / mpmath.sqrt(sp.lambdify(theta, sp.diff(total, theta, 2), "mpmath")(best_1))
        points = [best_1 + width * i for i in (-12, -4, 0, 4, 12)]
        area = oracles.quadrature(lambda x, f=function: mpmath.exp(-f(x)), points, 20)
        errors.append(derived + mpmath.log(area / mpmath.sqrt(2 * mpmath.pi)))
    return [
        Comparison(
            "linear regression of three targets on two parameters, unit noise, λ = 2/3: exact, against the targets' "
            "Gaussian density",
            regression,
            density.evalf(30),
            sp.Float("1e-25"),
        ),
        Comparison(
            "logistic regression, λ = 1, N = 40, 80, 160: the error by quadrature, extrapolated to 1/N = 0, vanishes",
            (errors[0] - 6 * errors[1] + 8 * errors[2]) / 3,
            0,
            1e-3,
        ),
    ]


i = sp.Symbol("i", integer=True)


def says(formula):
    """What the summary states, in numbers."""
    names = {"Σ ln(λ_i/λ)": logdet - D * sp.log(lam)}
    design, target, decay = (
        sp.Matrix([[1, 2], [1, -1], [3, sp.S.Half]]),
        sp.Matrix([1, -2, sp.Rational(3, 2)]),
        sp.Rational(2, 3),
    )
    hessian = design.T * design + decay * sp.eye(2)
    best = hessian.LUsolve(design.T * target)
    residual = target - design * best
    least = (residual.dot(residual) + decay * best.dot(best)) / 2 + 3 * sp.log(2 * sp.pi) / 2
    marginal = sp.eye(3) + design * design.T / decay
    density = (target.dot(marginal.LUsolve(target)) + sp.log(marginal.det()) + 3 * sp.log(2 * sp.pi)) / 2
    derived = formula.subs({cost: least, D: 2, lam: decay, logdet: sp.log(hessian.det())})
    bare = formula.subs({cost: least - decay * best.dot(best) / 2, D: 2, lam: decay, logdet: sp.log(hessian.det())})
    off = {}
    for n in (160, 320):  # n/4 examples with label −1, the others +1, input 1, λ = 1
        total = n * (sp.log(1 + sp.exp(-theta)) * 3 + sp.log(1 + sp.exp(theta))) / 4 + theta**2 / 2
        function, bend = (sp.lambdify(theta, f, "mpmath") for f in (total, sp.diff(total, theta, 2)))
        place = mpmath.findroot(sp.lambdify(theta, sp.diff(total, theta), "mpmath"), 1)
        ends = [place + k / mpmath.sqrt(bend(place)) for k in (-12, -4, 0, 4, 12)]
        area = oracles.quadrature(lambda x, f=function: mpmath.exp(-f(x)), ends, 20)
        values = {cost: sp.Float(function(place), 20), D: 1, lam: 1, logdet: sp.log(sp.Float(bend(place), 20))}
        off[n] = formula.subs(values).evalf() + sp.Float(mpmath.log(area / mpmath.sqrt(2 * mpmath.pi)), 15)
    return [
        prose.formula("plus ½ Σ ln(λ_i/λ)", formula - cost, names, text="½ Σ ln(λ_i/λ)"),
        prose.cases(
            "It is exact for linear regression",
            [abs((derived - density).evalf(30)) < sp.Float("1e-25")],
            "minus the logarithm of the targets' Gaussian density, three targets and two parameters",
        ),
        prose.order("an error O(1/N)", off, "N", "logistic regression by quadrature, N = 160 and 320"),
        prose.cases(
            "The loss L₀ contains the L2 term λ|θ|²/2",
            [abs((bare - density).evalf(30)) > 1e-3],
            "without it the evidence of the linear regression is wrong",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Bayesian evidence and the Occam factor",
    sources=(Source("Smith & Le 2018", place="section on Bayesian model comparison"),),
    verdict=Verdict.ORDER,
    order="1/N",
    summary="Minus the log-evidence of a minimum is the regularised sum loss there plus ½ Σ ln(λ_i/λ), with λ_i the "
    "eigenvalues of the regularised sum loss's Hessian. It is exact for linear regression and has an error O(1/N) "
    "else. The loss L₀ contains the L2 term λ|θ|²/2, and λ_i contain λ.",
    printed=sp.Eq(
        -sp.log(P(sp.Symbol("data"))),
        cost + sp.Rational(1, 2) * sp.Sum(sp.log(sp.Indexed("lambda", i) / lam), (i, 1, D)),
        evaluate=False,
    ),
    assumptions=(
        Assumption("The sum loss is −ln of the likelihood, normalised over the data."),
        Assumption("The prior is Gaussian of variance 1/λ."),
        Assumption("The posterior is concentrated at one non-degenerate minimum: N is large."),
    ),
    formula=cost + (logdet - D * sp.log(lam)) / 2,
    arguments=(cost, logdet, D, lam),
    slip=Slip("the prior left unnormalised: no λ, but 2π", cost + (logdet - D * sp.log(2 * sp.pi)) / 2),
)
