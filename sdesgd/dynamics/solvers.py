"""Itô solvers for the fused terms: third order for small noise, and semi-implicit for momentum."""

import math
from typing import Any, ClassVar

import diffrax
import jax
import jax.numpy as jnp

from sdesgd.dynamics.tableau import Tableau, moved
from sdesgd.dynamics.terms import AbstractFusedTerm, HeavyBallTerm, Increment
from sdesgd.errors import InputError


class _AbstractFusedSolver(diffrax.AbstractItoSolver):
    """What diffrax asks of a solver, for solvers without state or error estimate."""

    interpolation_cls = diffrax.LocalLinearInterpolation

    def init(self, terms, t0, t1, y0, args):
        return None

    def func(self, terms, t0, y0, args):
        return terms.vf(t0, y0, args)

    def step(self, terms, t0, t1, y0, args, solver_state, made_jump):
        del args, solver_state, made_jump
        increment = terms.contr(t0, t1)
        # diffeqsolve wraps a term to allow for integration backwards in time, which an SDE doesn't have.
        term = terms if isinstance(terms, AbstractFusedTerm) else terms.term
        y1 = self.advance(term, y0, increment)
        return y1, None, dict(y0=y0, y1=y1), None, diffrax.RESULTS.successful

    def advance(self, term, y, increment):
        raise NotImplementedError


_ALPHA = (24 - math.sqrt(96)) / 40


class SmallNoiseRK3(_AbstractFusedSolver):
    """Third-order Runge–Kutta for small noise: four weighted gradients a step (five with masks or groups), Itô.

    For dX = a(X) dt + ε B(X) dW, with α = (24 − √96)/40 and β = 3 − 4α:

    k1 = a(X);  n = ε B(X + ½h k1) ΔW;  k2 = a(X + ½h k1 + α n);  k3 = a(X − h k1 + 2h k2 + β n)
    X' = X + (h/6)(k1 + 4 k2 + k3) + n

    Assumptions: ε small (ε² = η/S). Weak error O(h³ + ε²h² + ε⁴h): weak order 1 as h → 0 at fixed ε, with
    a constant of ε⁴. Noise enters once, at a deterministic stage, so the limit is the Itô solution; masks and groups
    are drawn afresh for each drift stage for the same reason. Stable for hλ < 2.51. The ε⁴h term is negligible while
    (η/S)‖H_i‖ ≪ 1, with groups as units η‖H_group‖ ≪ 1: check it by halving h.

    In the manner of Milstein & Tretyakov, "Numerical methods in the weak sense for stochastic differential equations
    with small noise", SIAM J. Numer. Anal. 34(6), 2142–2167 (1997), whose weak errors are of the form h^i ε^j.
    """

    term_structure: ClassVar = AbstractFusedTerm
    tableau: ClassVar = Tableau(
        drift=(1.0, 0.0, 1.0, 1.0),
        diffusion=(0.0, 1.0, 0.0, 0.0),
        points=((), (0.5,), (0.5, _ALPHA), (-1.0, 3 - 4 * _ALPHA, 2.0)),
        weights=(1 / 6, 1.0, 4 / 6, 1 / 6),
    )

    def order(self, terms):
        return 3

    def strong_order(self, terms):
        return 0.5

    def advance(self, term: AbstractFusedTerm, y: Any, increment: Increment) -> Any:
        return term.advance(self.tableau, y, increment)


class SemiImplicitHeavyBall(_AbstractFusedSolver):
    """Semi-implicit splitting for the momentum SDE: one weighted gradient a step.

    θ½ = θ + (h/2) p
    p' = e^{−γh} p + φ₁(−γh) (−g(θ½)) h + φ(γh) ε R(θ½) ΔW,    φ₁(−x) = (1 − e^{−x})/x,  φ² = (1 − e^{−2x})/(2x)
    θ' = θ½ + (h/2) p'

    Friction and the noise it damps are exact, so at g = 0 the law of p is; the positions are leapfrogged, which
    leaves weak order 2 for constant C. (The simpler choice, p first by Euler and then θ with the new p, is at one
    substep the heavy-ball recursion itself: it could not tell the SDE from Gaussian SGD.) Order-1 drift only.
    """

    term_structure: ClassVar = HeavyBallTerm

    def order(self, terms):
        return 2

    def strong_order(self, terms):
        return 1.0

    def advance(self, term: HeavyBallTerm, y: Any, increment: Increment) -> Any:
        if term.correction is not None:
            raise InputError(
                "SemiImplicitHeavyBall has the order-1 drift only: use solver=SmallNoiseRK3() with order=2"
            )
        theta, p = y
        h, dW = increment
        x = term.friction * h
        middle = moved(theta, [(0.5 * h, p)])
        mean_weight, noise_weight = -jnp.expm1(-x) / x, jnp.sqrt(-jnp.expm1(-2 * x) / (2 * x))
        weighted = Increment(mean_weight * h, noise_weight * dW)
        kick = term.prod((middle, jax.tree.map(jnp.zeros_like, p)), weighted)[1]
        p = jax.tree.map(lambda q, k: jnp.exp(-x) * q + k, p, kick)
        return moved(middle, [(0.5 * h, p)]), p


def check_solver(solver: Any, term_class: type) -> None:
    """Raises InputError unless the solver converges to the Itô solution for a single fused term."""
    if not isinstance(solver, diffrax.AbstractSolver):
        raise InputError(f"solver is {solver!r}: pass an instance of a diffrax Itô solver, say diffrax.Euler()")
    name = type(solver).__name__
    remedy = "use diffrax.Euler() or sdesgd.SmallNoiseRK3()"
    if isinstance(solver, diffrax.AbstractStratonovichSolver) or not isinstance(solver, diffrax.AbstractItoSolver):
        raise InputError(f"solver {name} does not converge to the Itô solution: {remedy}")
    structure = solver.term_structure
    if isinstance(solver, diffrax.AbstractWrappedSolver) or not isinstance(structure, type):
        raise InputError(f"solver {name} needs commutative noise or separate terms, which R dW is not: {remedy}")
    if not issubclass(term_class, structure):
        raise InputError(f"solver {name} is for {structure.__name__}, not for {term_class.__name__}: {remedy}")
