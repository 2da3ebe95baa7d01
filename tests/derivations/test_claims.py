"""Every claim: both checks hold and see the planted slip and the printed error, assumptions are met, it lambdifies."""

import ast
import collections
from pathlib import Path

import jax
import numpy as np
import pytest
import sympy as sp

import derivations
from derivations import assumptions
from derivations.parts import Assumption, Verdict
from derivations.verification import verify

NAMES = list(derivations.modules())
SHARED = [value for value in vars(assumptions).values() if isinstance(value, Assumption)]
FOLDER = Path(derivations.__file__).parent
# Every numbered equation of the two sources.
LECTURE = [str(k) for k in range(1, 27)]
THESIS = ["2.1", "2.2", "2.3", "2.4", "3.1", "3.2", "3.3"]


# One in eight, for `make test`: the run over all of them whose pages test_pages.py opens is the one that verifies each.
@pytest.mark.parametrize("name", NAMES[::8])
def test_both_checks_hold_and_both_catch_the_slip(name):
    claim = derivations.claim(name)
    found = verify(claim)
    assert found.exact, [s.residual for s in found.steps if not s.holds]
    assert all(c.holds for c in found.comparisons), [(c.comparison.words, c.difference) for c in found.comparisons]
    assert len(found.slips) == (1 if claim.printed_formula is None else 2)
    assert all(slip.caught for slip in found.slips), [(slip.words, slip.outcome) for slip in found.slips]
    assert not found.outside
    symbols = set().union(*(a.free_symbols for a in claim.arguments))
    for checked in found.assumptions:
        assert checked.holds, checked.violation
        condition = checked.assumption.condition
        if condition is not None:
            assert checked.points or not condition.free_symbols <= symbols, f"no number is held against {condition}"
            assert checked.points or checked.assumption in SHARED, f"no number can be held against {condition}"
    assert found.passed


@pytest.mark.parametrize("name", NAMES)
def test_the_formula_lambdifies(name):
    """At one point, numpy and jax against sympy's own evaluation."""
    claim = derivations.claim(name)
    values = [_value(k, argument) for k, argument in enumerate(claim.arguments)]
    substituted = claim.formula
    for argument, value in zip(claim.arguments, values, strict=True):
        substituted = substituted.subs(argument, sp.Matrix(value) if isinstance(value, np.ndarray) else value)
    substituted = substituted.doit()
    if isinstance(substituted, sp.MatrixExpr):
        substituted = substituted.as_explicit()
    want = np.array(substituted.evalf().tolist() if isinstance(substituted, sp.MatrixBase) else substituted.evalf())
    want = want.astype(complex)
    assert np.isfinite(want).all(), "the point lies outside the formula's domain"
    numbers = [np.array(v) if isinstance(v, np.ndarray) else float(v) for v in values]
    got = np.asarray(claim.function("numpy")(*numbers), complex)
    np.testing.assert_allclose(got.reshape(want.shape), want, rtol=1e-9)
    traced = jax.jit(claim.function("jax"))(*numbers)
    np.testing.assert_allclose(np.asarray(traced, complex).reshape(want.shape), want, rtol=1e-9)


def _value(position: int, argument: sp.Basic):
    """Small rates, S < N, and no two values alike."""
    if isinstance(argument, sp.MatrixSymbol):
        rows, columns = (int(n) for n in argument.shape)
        entries = np.add.outer(np.arange(1, rows + 1), 3 * np.arange(columns)) + 2.0 * position
        return entries / 10 + (2 * np.eye(rows) if rows == columns else 0)
    name = str(argument)
    if name == "N":
        return sp.Integer(17)
    if argument.is_integer:
        return sp.Integer(3 + position % 3)
    return sp.Rational(1, 10) + sp.Rational(position, 23)


def test_every_numbered_equation_is_covered():
    sources = [s for name in NAMES for s in derivations.claim(name).sources]
    have = {(s.document, s.equation) for s in sources}
    missing = {("lecture", e) for e in LECTURE} | {("thesis", e) for e in THESIS}
    assert not missing - have
    assert any(s.document == "lecture" and "Table 1" in s.place for s in sources)
    # The index links a number to the first claim that bears it: wrong are these and no others.
    first = {}
    for name in NAMES:
        for s in derivations.claim(name).sources:
            first.setdefault((s.document, s.equation), derivations.claim(name).verdict)
    wrong = {key for key, verdict in first.items() if verdict is Verdict.WRONG and key[1]}
    assert wrong == {("lecture", e) for e in ("13", "19", "20", "25", "26")} | {("thesis", "2.2")}


@pytest.mark.parametrize("name", [n for n in NAMES if derivations.claim(n).verdict is Verdict.WRONG])
def test_the_equations_shown_are_those_checked(name):
    """Where a right side is in the formula's own symbols, it is the formula; the printed one likewise."""
    claim = derivations.claim(name)
    symbols = set().union(*(a.free_symbols for a in claim.arguments))
    for shown, checked in ((claim.corrected, claim.formula), (claim.printed, claim.printed_formula)):
        if checked is None or not isinstance(shown, sp.Equality) or isinstance(checked, sp.MatrixBase):
            continue
        left, right = shown.args
        if right.free_symbols and right.free_symbols <= symbols and not left.free_symbols & symbols:
            assert sp.simplify(right - checked) == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_claims_are_complete(name):
    claim = derivations.claim(name)
    assert claim.summary.endswith(".")
    assert claim.assumptions
    for a in claim.assumptions:
        assert a.words.endswith(".")
        if a.condition is not None:  # what the symbols are declared to be is checked of every number anyway
            assert isinstance(a.condition, sp.Basic)
            assert a.condition.func(*a.condition.args) not in (sp.true, sp.false), f"{a.condition} says nothing"
    assert len(claim.steps(claim.formula)) >= 2
    assert claim.slip.formula != claim.formula
    for step in claim.steps(claim.formula):
        shown = (step.left, step.right) if step.shown is None else step.shown.args
        assert shown[0] != shown[1], f"the page would show x = x: {step.words}"
    if claim.verdict is Verdict.WRONG:
        assert claim.example is not None
        assert sp.sympify(claim.example.printed) != sp.sympify(claim.example.right)


def test_claims_import_nothing_of_the_library():
    for file in FOLDER.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            modules = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(m.split(".")[0] in ("sdesgd", "experiments", "jax") for m in modules), file


def test_an_assumption_is_worded_once():
    """Words that two claims share are a constant of derivations.assumptions."""
    makers = collections.defaultdict(list)
    for name in NAMES:
        for a in derivations.claim(name).assumptions:
            makers[a.words].append((name, a.condition))
    shared = {a.words for a in SHARED}
    assert {words for words, by in makers.items() if len({str(c) for _, c in by}) == 1 and len(by) > 1} <= shared
    assert all(len(makers[words]) > 1 for words in shared)
