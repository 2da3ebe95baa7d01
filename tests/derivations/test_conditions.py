"""Numbers that a claim's assumptions exclude are seen, and a slip that a check can't tell from the truth."""

import dataclasses

import pytest
import sympy as sp

import derivations
from derivations import conditions, oracles, runs
from derivations.__main__ import main
from derivations.parts import Assumption, Comparison, Slip
from derivations.symbols import N, S, eta
from derivations.verification import verify

CLAIM = derivations.claim("batch-covariance")
F = next(argument for argument in CLAIM.arguments if argument.name == "F")
GRADIENTS = [sp.Integer(x) for x in (1, 0, -4, 3)]
UNBIASED = oracles.variance(GRADIENTS) * sp.Rational(4, 3)


@pytest.fixture(autouse=True)
def _among_the_claims(monkeypatch):
    """Only what modules of derivations substitute is recorded."""
    monkeypatch.setitem(globals(), "__name__", "derivations.of_this_test")


def altered(monkeypatch, **changes):
    claim = dataclasses.replace(CLAIM, says=lambda formula: [], **changes)
    monkeypatch.setattr(derivations, "claim", lambda name: claim)
    return claim


def at(points):
    """A check that compares one number, and puts in others, at which it accepts anything."""

    def check(formula):
        right = formula.subs({N: 4, S: 2, F: UNBIASED})
        found = oracles.variance(oracles.fluctuations(GRADIENTS, 2, replacement=False))
        return [
            Comparison("four gradients", right, found),
            *(Comparison("", formula.subs(p), sp.S.Zero, sp.oo) for p in points),
        ]

    return check


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([{N: 3, S: 5, F: 1}], "S <= N doesn't hold at N = 3, S = 5"),
        ([{N: 4, S: 2, F: -1}], "F is declared nonnegative, and the check puts -1 in its place"),
        ([{N: 4, S: sp.Rational(1, 2), F: 1}], "S is declared integer, and the check puts 1/2 in its place"),
    ],
)
def test_numbers_that_the_claim_excludes_fail_it(monkeypatch, capsys, points, message):
    altered(monkeypatch, check=at([]))
    assert runs.run_one("batch-covariance", page=False).passed
    altered(monkeypatch, check=at(points))
    outcome = runs.run_one("batch-covariance", page=False)
    assert outcome.exact
    assert not outcome.passed
    assert message in outcome.failure
    assert main(["batch-covariance"]) == 1
    assert message in " ".join(capsys.readouterr().out.split())


def test_only_points_with_a_number_for_each_symbol_count():
    assumption = Assumption("", sp.Le(S, N, evaluate=False))
    points = [{S: sp.Integer(2)}, {S: sp.Integer(2), N: sp.Integer(4), eta: sp.S.One}]
    assert conditions.check_assumption(assumption, points) == conditions.CheckedAssumption(assumption, 1)
    assert conditions.check_assumption(Assumption("in words alone"), points).points == 0
    predicate = Assumption("", sp.Q.integer(N / S))
    assert conditions.check_assumption(predicate, points[1:]).holds
    assert not conditions.check_assumption(predicate, [{S: sp.Integer(3), N: sp.Integer(4)}]).holds


def test_substitutions_of_claims_are_recorded_and_those_of_others_are_not(monkeypatch):
    monkeypatch.setitem(globals(), "__name__", "elsewhere")
    with conditions.recorded() as points:
        CLAIM.check(CLAIM.formula)
        inner = len(points)
        sp.limit(sp.sin(S) / S, S, 0)
        (N + S).subs(S, 3)
    assert inner == len(points) > 5
    assert {N, S, F} <= points[0].keys()
    before = sp.Basic.subs
    with pytest.raises(ZeroDivisionError), conditions.recorded():
        raise ZeroDivisionError
    assert sp.Basic.subs is before


def test_a_substitution_in_two_parts_is_one_point():
    def check(formula):
        return [Comparison("", formula.subs(N, 3).subs({F: 1}).subs(S, 5), sp.S.Zero, sp.oo)]

    claim = dataclasses.replace(CLAIM, check=check)
    violated = [checked.violation for checked in verify(claim).assumptions if not checked.holds]
    assert violated == ["S <= N doesn't hold at N = 3, S = 5"]


@pytest.mark.parametrize(
    ("slip", "outcome"),
    [
        (CLAIM.formula, "not caught: it passes both checks"),
        (sp.expand(CLAIM.formula), "not caught: it passes both checks"),
        (F * N * (N / S - 1) + F * (N - 4) * (N - 3), "caught by the algebra (step 1) alone; the numbers don't see it"),
    ],
)
def test_a_slip_that_a_check_does_not_see_fails_the_claim(monkeypatch, capsys, slip, outcome):
    altered(monkeypatch, slip=Slip("a slip that is none", slip))
    found = runs.run_one("batch-covariance", page=False)
    assert found.exact
    assert found.independent
    assert not found.passed
    assert outcome in found.failure
    assert main(["batch-covariance"]) == 1
    assert outcome in " ".join(capsys.readouterr().out.split())


def test_a_slip_that_the_algebra_does_not_see_fails_the_claim():
    """Steps without the formula in them."""
    blind = dataclasses.replace(CLAIM, steps=lambda formula: CLAIM.steps(CLAIM.formula))
    (slip,) = verify(blind).slips
    assert slip.step is None
    assert slip.outcome == "caught by the numbers (comparison 1) alone; the algebra doesn't see it"


def test_it_is_said_which_checks_catch_a_slip(capsys):
    assert main(["batch-covariance"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "caught by both checks: by the algebra (step 1) and by the numbers (comparison 1)" in printed
    assert "S ≤ N holds at the numbers of the check" in printed
