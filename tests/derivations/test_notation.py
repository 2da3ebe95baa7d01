"""Formulas as prose prints them are read as their authors mean them."""

import pytest
import sympy as sp

from derivations import notation

NAMES = ("η", "κ₃", "φ‴", "S", "N", "T", "L‴", "L″", "L⁗", "θ", "λ", "c₁", "m")
AT = {name: sp.Rational(p, 7) for name, p in zip(NAMES, sp.primerange(2, 42), strict=True)}


def at(name):
    return AT[name]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("−η³κ₃φ‴/(6S²)", -(at("η") ** 3) * at("κ₃") * at("φ‴") / (6 * at("S") ** 2)),
        ("η/4S", at("η") / (4 * at("S"))),
        ("(η/S) N/λ", at("η") / at("S") * at("N") / at("λ")),
        ("(η/S)(N−1)/N", at("η") / at("S") * (at("N") - 1) / at("N")),
        (
            "T(5L‴²/(24L″³) − L⁗/(8L″²))",
            at("T") * (5 * at("L‴") ** 2 / (24 * at("L″") ** 3) - at("L⁗") / (8 * at("L″") ** 2)),
        ),
        ("|θ|^{−2−2λS/(ηc₁)}", at("θ") ** (-2 - 2 * at("λ") * at("S") / (at("η") * at("c₁")))),
        ("1/√S", 1 / sp.sqrt(at("S"))),
        ("½η² + 2·3 − ¼", at("η") ** 2 / 2 + 6 - sp.Rational(1, 4)),
        ("(1 − m)⁻¹", 1 / (1 - at("m"))),
        ("exp(−λT)/√(2πS)", sp.exp(-at("λ") * at("T")) / sp.sqrt(2 * sp.pi * at("S"))),
        ("100^{1/6}", sp.Integer(100) ** sp.Rational(1, 6)),
        ("S^(−1/2)", at("S") ** -sp.Rational(1, 2)),
        ("10⁻³", sp.Rational(1, 1000)),
        ("2.8e-03", sp.Rational(28, 10_000)),
        ("2³ 3!", 48),
        ("ln 2", sp.log(2)),
    ],
)
def test_formulas(text, value):
    assert sp.simplify(notation.value(text, AT) - value) == 0


def test_a_name_is_the_longest_that_fits():
    assert notation.value("2 det H_A/det H", {"det H": 3, "det H_A": 9}) == 6


@pytest.mark.parametrize(
    "text", ["N²F", "(1 + 2", "1/", "/2", "", "1 + ", "2)", "N²F/Q and more", "__import__('os')", "[1, 2]"]
)
def test_what_is_no_formula_is_refused(text):
    with pytest.raises(ValueError, match=r"can't be read|isn't closed|missing|ends where"):
        notation.value(text, {"N": 1})
