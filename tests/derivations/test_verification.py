"""The two checks can fail, and each for its own reason."""

import dataclasses

import pytest
import sympy as sp

import derivations
from derivations import runs
from derivations.parts import Comparison, Step
from derivations.verification import check_step, compare

x, y = sp.symbols("x y", positive=True)


@pytest.mark.parametrize(
    ("left", "right", "order", "holds"),
    [
        (sp.sin(x) ** 2 + sp.cos(x) ** 2, 1, None, True),
        (sp.Integral(x**2, (x, 0, 1)), sp.Rational(1, 3), None, True),
        (sp.Derivative(x**3, x), 3 * x, None, False),
        (sp.exp(x), 1 + x, (x, 2), True),
        (sp.exp(x), 1 + x, (x, 3), False),
        (sp.exp(x), 1 - x, (x, 2), False),
        (sp.exp(x) / x, 1 / x + 1 + x / 2, (x, 2), True),
        (sp.exp(x) / x, 1 / x + 1 - x / 2, (x, 2), False),
        (x ** sp.Rational(3, 2), 0, (x, 2), False),
        (sp.sqrt(x), 0, (x, 1), False),
        (x ** sp.Rational(5, 2), 0, (x, 2), True),
        (x * sp.log(x), 0, (x, 1), False),
        (x**2 * sp.log(x), 0, (x, 1), True),
        (sp.sqrt(1 + x), 1 + x / 2, (x, 2), True),
        (sp.sqrt(1 + x), 1 - x / 2, (x, 2), False),
        (sp.Matrix([x, y]), sp.Matrix([x, y]), None, True),
        (sp.Matrix([x, y]), sp.Matrix([x, 2 * y]), None, False),
    ],
)
def test_steps(left, right, order, holds):
    assert check_step(Step("", left, right, order=order)).holds is holds


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="zip"):
        check_step(Step("", sp.Matrix([x, y]), x))


@pytest.mark.parametrize(
    ("derived", "independent", "tolerance", "holds"),
    [
        (sp.Rational(1, 3), sp.Rational(1, 3), 0, True),
        (sp.Rational(1, 3), 0.333333, 0, False),
        (sp.Rational(1, 3), 0.333333, 1e-6, True),
        (sp.sqrt(2), sp.sqrt(2), 0, True),
        (sp.sqrt(2), sp.sqrt(3), 0, False),
        (sp.nan, 1, 1, False),
        (sp.zoo, 1, 1, False),
        (x, 1, 1, False),
        (sp.eye(2), sp.eye(2), 0, True),
        (sp.eye(2), sp.Matrix([[1, 0], [0, -1]]), 1, False),
    ],
)
def test_comparisons(derived, independent, tolerance, holds):
    assert compare(Comparison("", derived, independent, tolerance)).holds is holds


def _altered(monkeypatch, **changes):
    name = "batch-covariance"
    claim = dataclasses.replace(derivations.claim(name), **changes)
    monkeypatch.setattr(derivations, "claim", lambda name: claim)
    return runs.run_one(name, page=False)


def test_an_exception_in_a_claim_is_its_failure(monkeypatch):
    def broken(formula):
        raise ZeroDivisionError("here")

    outcome = _altered(monkeypatch, steps=broken)
    assert not outcome.passed
    assert outcome.failure == "ZeroDivisionError: here"


def test_a_failed_step_is_named(monkeypatch):
    outcome = _altered(monkeypatch, formula=derivations.claim("batch-covariance").slip.formula)
    assert not outcome.passed
    assert "step" in outcome.failure
    assert "comparison 1" in outcome.failure
