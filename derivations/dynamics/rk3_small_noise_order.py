"""The third-order small-noise Runge–Kutta scheme for any smooth drift and noise in one dimension: what it matches."""

from typing import Any

import sympy as sp

from derivations import assumptions, oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import E, Var, h

a0, a1, a2, a3 = sp.symbols("a a_1 a_2 a_3", real=True)  # the drift and its derivatives at the start
b0, b1, b2, b3 = sp.symbols("b b_1 b_2 b_3", real=True)  # the noise, likewise
x, xi = sp.symbols("x xi", real=True)  # displacement; a standard Gaussian
epsilon, rho = sp.symbols("varepsilon rho", positive=True)
alpha, beta = sp.symbols("alpha beta", real=True)
share = (24 - sp.sqrt(96)) / 40
shares = {alpha: share, beta: 3 - 4 * share}
mean = h * a0 + h**2 / 2 * a0 * a1 + h**3 / 6 * (a0 * a1**2 + a0**2 * a2) + epsilon**2 * h**2 / 4 * b0**2 * a2
variance = epsilon**2 * h * b0**2 + epsilon**2 * h**2 * (a1 * b0**2 + a0 * b0 * b1)
small = {epsilon: rho * sp.sqrt(h)}


def drift(q):
    """a(X + q), to the third derivative."""
    return a0 + a1 * q + a2 * q**2 / 2 + a3 * q**3 / 6


def noise(q):
    """b(X + q), likewise."""
    return b0 + b1 * q + b2 * q**2 / 2 + b3 * q**3 / 6


def below(f, order=4):
    """The terms in h below an order."""
    f = sp.Poly(f, h)
    return sp.expand(sum(f.coeff_monomial(h**k) * h**k for k in range(order)))


def exact(f) -> Any:
    """E f − f after a time h, below h⁴ with ε² = ρ²h: the generator's series; its cube needs no noise."""

    def generator(q, strength):
        return drift(x) * sp.diff(q, x) + strength / 2 * noise(x) ** 2 * sp.diff(q, x, 2)

    once = generator(f, rho**2 * h)
    powers = once, generator(once, rho**2 * h), generator(generator(generator(f, 0), 0), 0)
    at_start = (below(sp.expand(power.subs(x, 0)), 4 - n) for n, power in enumerate(powers, 1))
    return sum(h**n / sp.factorial(n) * sp.collect(power, h, sp.factor) for n, power in enumerate(at_start, 1))


def displacement():
    """X' − X of the scheme below h⁴; with ε² = ρ²h the noise n = ε b √h ξ is a polynomial in h."""
    n = below(rho * h * noise(h / 2 * a0) * xi)
    k2 = below(drift(h / 2 * a0 + alpha * n))
    k3 = below(drift(below(-h * a0 + 2 * h * k2 + beta * n)))
    return below(h / 6 * (a0 + 4 * k2 + k3) + n)


def gaussian(f) -> Any:
    """E over ξ."""
    f = sp.Poly(f, xi)
    return sum(f.coeff_monomial(xi**k) * sp.factorial2(k - 1) for k in (0, 2, 4, 6, 8))


def steps(formula):
    """Exact moments and the scheme's, in powers of h with ε² = ρ²h; ρ tells the powers of ε apart."""
    first = displacement()
    second = below(below(first, 3) ** 2)
    general = [gaussian(f) for f in (first, second, below(below(first, 2) * below(second, 3)))]
    scheme = [sp.collect(sp.expand(f.subs(shares)), h, sp.factor) for f in general]
    true = [exact(x**k) for k in (1, 2, 3)]
    means = below(true[0], 3), below(scheme[0], 3)
    one, two = below(scheme[0], 2), below(scheme[1], 3)
    spread, b = epsilon**2 / 2 * noise(x) ** 2, sp.Function("b")(x)
    lost = [h**2 / 2 * (spread * sp.diff(spread * sp.diff(x**k, x, 2), x, 2)).subs(x, 0) for k in (2, 3)]
    squares = sp.Matrix([b**2 * sp.Derivative(b**2, (x, 2)), 3 * b**2 * sp.Derivative(x * b**2, (x, 2))])
    halves, moved = sp.Matrix([sp.S.Half, sp.S.Half]), sp.Symbol("x_RK")
    left_out = h**2 / 2 * sp.Matrix([b0**2 * b1**2 + b0**3 * b2, 6 * b0**3 * b1])
    less = lambda a, b: sp.Add(*sp.Add.make_args(a), -b, evaluate=False)  # noqa: E731
    equal = lambda left, right: sp.Eq(left, right, evaluate=False)  # noqa: E731
    return [
        Step(
            "Write a, a₁, a₂ for the drift and its derivatives at the start, b, b₁, b₂ for the noise, and ε² = ρ²h. "
            "With the generator 𝓛 = a∂ + (ε²/2)b²∂² the displacement x has after a time h the mean h𝓛x + (h²/2)𝓛²x + "
            "(h³/6)𝓛³x + …:",
            true[0],
            formula[0].subs(small),
            order=(h, 4),
            name=E(x),
        ),
        Step(
            "and, from the same series for x², the variance",
            less(true[1], means[0] ** 2),
            formula[1].subs(small),
            order=(h, 4),
            name=Var(x),
        ),
        Step(
            "α and β are made for this: the noise of the stages has the mean and mean square of a Brownian path's "
            "over the step, ∫W ds/(hW_h) = 1/2 and ∫W² ds/h² = 1/2:",
            (sp.Matrix([4 * alpha + beta, 4 * alpha**2 + beta**2]) / 6).subs(shares),
            halves,
            shown=equal(sp.Matrix([4 * alpha + beta, 4 * alpha**2 + beta**2]) / 6, halves),
        ),
        Step(
            "So the scheme's displacement has the same mean,",
            scheme[0],
            formula[0].subs(small),
            order=(h, 4),
            name=E(moved),
            shown=equal(sp.collect(general[0], h, lambda f: sp.collect(sp.factor(f), a2)), formula[0].subs(small)),
        ),
        Step(
            "the same variance,",
            less(scheme[1], means[1] ** 2),
            formula[1].subs(small),
            order=(h, 4),
            name=Var(moved),
        ),
        Step(
            "and the same third cumulant, E x³ − 3 E x E x² + 2(E x)³, none for both at this order:",
            sp.Add(scheme[2], sp.Mul(-3, one, two, evaluate=False), 2 * one**3, evaluate=False),
            below(sp.expand(true[2] - 3 * true[0] * true[1] + 2 * true[0] ** 3)),
            order=(h, 4),
        ),
        Step(
            "What the scheme leaves out at the next order is, for ε⁴, the noise met by noise: (h²/2)𝓛² without drift. "
            "A step X + εbΔW has none of it, and its second and third moments lack, at x = 0,",
            sp.Matrix(lost),
            epsilon**4 * left_out,
            shown=equal(sp.Symbol("ε") ** 4 * h**2 / 4 * squares, sp.Symbol("ε") ** 4 * left_out),
        ),
    ]


def check(formula):
    """A lognormal process with a curved drift: its exact law, and the scheme run on a three-point law."""
    step, rate, start, strength = sp.Rational(1, 10**5), sp.Rational(7, 5), sp.Rational(3, 2), 2
    square = step / 3  # ε²
    log, half = sp.log(start).evalf(60), square * strength**2 / 2
    # θ = e^y with y Ornstein–Uhlenbeck: by Itô's formula the drift is θ(ε²s²/2 − κ ln θ), the noise εsθ.
    values = {a0: start * (half - rate * log), a1: half - rate * log - rate, a2: -rate / start, h: step}
    values |= {b0: strength * start, b1: strength, epsilon: sp.sqrt(square)}
    derived = formula.subs(values).evalf(50)
    spread = 2 * half * (1 - sp.exp(-2 * rate * step)) / (2 * rate)
    centre = sp.exp(sp.exp(-rate * step) * log + spread / 2)
    true = [(centre - start).evalf(50), (centre**2 * (sp.exp(spread) - 1)).evalf(50)]

    def end(dW):
        slope = lambda q: q * (half - rate * sp.log(q))  # noqa: E731
        k1 = slope(start).evalf(60)
        n = (sp.sqrt(square) * strength * (start + step / 2 * k1) * dW).evalf(60)
        k2 = slope(start + step / 2 * k1 + share.evalf(60) * n)
        k3 = slope(start - step * k1 + 2 * step * k2 + (3 - 4 * share).evalf(60) * n)
        return (step / 6 * (k1 + 4 * k2 + k3) + n).evalf(60)

    law = oracles.three_point(sp.sqrt(step))
    first, second = (oracles.expectation(lambda dW: end(dW) ** k, law) for k in (1, 2))  # noqa: B023
    return [
        Comparison("mean and variance of a lognormal law, h = 10⁻⁵, up to 50 h⁴", derived, true, 50 * step**4),
        Comparison("the scheme's, on a three-point law", derived, [first, second - first**2], 50 * step**4),
    ]


def says(formula):
    """What the summary states, in numbers."""

    def square(step, noise, rate=1, steps=None):
        """E X² of the scheme on dX = −aX dt + εX dW from 1, after so many steps or a time of one, and the exact one."""
        z = rate * step
        P, n = 1 - z + z**2 / 2 - z**3 / 6, 1 - z / 2
        Q, number = n * (n + share * z**2 / 3), steps or 1 / step
        return sp.exp((noise**2 - 2 * rate) * step * number) - (P**2 + noise**2 * step * Q**2) ** number

    def part(step, steps=None):
        """Of the error with ε², by a central difference at ε² = 0."""
        tiny = sp.Rational(1, 10**8)
        return (square(step, sp.sqrt(tiny), steps=steps) - square(step, sp.sqrt(-tiny), steps=steps)) / (2 * tiny)

    sizes = (sp.Rational(1, 20), sp.Rational(1, 40))
    noises = (sp.Rational(1, 4), sp.Rational(1, 8))
    fixed = {size: sp.N(square(size, 0), 40) for size in sizes}
    tied, free = (
        [sp.N(square(size, sp.sqrt(noise)), 40) for size, noise in zip(sizes, level, strict=True)]
        for level in (sizes, (1, 1))
    )
    how = "E X² on dX = −X dt + εX dW at h = 1/20 and 1/40"
    still = "E X² without drift at t = 1"
    return [
        prose.order(
            "up to O(h⁴) without noise",
            {size: sp.N(square(size, 0, steps=1), 40) for size in sizes},
            "h",
            f"{how}, one step",
        ),
        prose.order(
            "in their parts with ε², up to O(h³)",
            {size: sp.N(part(size, 1), 60) for size in sizes},
            "h",
            f"{how}, the part with ε² of one step",
            text="O(h³)",
        ),
        prose.figure(
            "Of ε⁴h² the scheme has nothing",
            sp.expand((1 + epsilon**2 * h) - 1).coeff(epsilon, 4),
            "the coefficient of ε⁴ in E X² of one step without drift, X′ = X + εXΔW",
            text="nothing",
        ),
        prose.order("is O(h³ +", fixed, "h", f"{how}, ε = 0, at t = 1", text="h³"),
        prose.order(
            "ε²h² +",
            {size: sp.N(part(size), 60) for size in sizes},
            "h",
            f"{how}, the part with ε² at t = 1",
            text="ε²h²",
        ),
        prose.order(
            "+ ε⁴h)",
            {size: sp.N(square(size, sp.Rational(1, 4), 0), 40) for size in sizes},
            "h",
            f"{still}, ε = 1/4",
            text="ε⁴h",
        ),
        prose.order(
            "ε⁴h): third order",
            {noise: sp.N(square(sizes[1], noise, 0), 40) for noise in noises},
            "ε",
            f"{still}, h = 1/40, ε = 1/4 and 1/8",
            text="ε⁴h",
        ),
        prose.cases(
            "third order only while ε² = O(h)",
            [sp.Abs(tied[0] / tied[1]) > 6, sp.Abs(free[0] / free[1]) < 3],
            "the error at t = 1 from h = 1/20 to 1/40, with ε² = h falling by 6 or more, with ε = 1 by less than 3",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Order of the small-noise Runge–Kutta scheme",
    sources=(Source("Milstein & Tretyakov 1997", place="SIAM J. Numer. Anal. 34(6), weak sense"),),
    verdict=Verdict.ORDER,
    order="h⁴ + ε²h³ + ε⁴h² in a step",
    summary="For dX = a(X) dt + εb(X) dW with smooth a and b a step has the mean and variance of the process up "
    "to O(h⁴) without noise and, in their parts with ε², up to O(h³). Of ε⁴h² the scheme has nothing. So "
    "the weak error at fixed time is O(h³ + ε²h² + ε⁴h): third order only while ε² = O(h), which is the "
    "SDE of SGD at fixed S with h = η.",
    printed=sp.Eq(sp.Matrix([E(x), Var(x)]), sp.Matrix([mean, variance]).subs(epsilon, sp.Symbol("ε")), evaluate=False),
    assumptions=(
        assumptions.SMALL_NOISE_SCHEME,
        assumptions.SMALL_NOISE,
        Assumption("One dimension, Itô's reading."),
        Assumption("a and b have three derivatives."),
    ),
    formula=sp.Matrix([mean, variance]),
    arguments=(h, epsilon, a0, a1, a2, b0, b1),
    slip=Slip(
        "the noise in the stages with the wrong mean square, that of α = β = 3/5",
        sp.Matrix([mean - epsilon**2 * h**2 / 4 * b0**2 * a2 * sp.Rational(2, 5), variance]),
    ),
)
