"""Claims are called by keyword, λ is ``lam``; what is unknown or missing is refused with the keywords there are."""

import keyword

import numpy as np
import pytest
import sympy as sp

import derivations
from derivations import keywords

NAMES = list(derivations.modules())
VALUES = {"eta": 0.05, "S": 1, "lam": 1.0, "c": 1.0, "m": 0.9}


@pytest.mark.parametrize("name", NAMES)
def test_keywords_are_names_of_python_and_differ(name):
    claim = derivations.claim(name)
    assert list(claim.keywords.values()) == list(claim.arguments)
    assert len(claim.keywords) == len(claim.arguments), "two arguments have one keyword"
    for word in claim.keywords:
        assert word.isidentifier()
        assert word.isascii()
        assert not keyword.iskeyword(word)


@pytest.mark.parametrize(
    ("name", "word"),
    [
        *(("lambda", "lam"), ("lambda_i", "lambda_i"), ("eta", "eta"), ("g_*", "g_star"), ("ΔΦ", "Delta_Phi")),
        *(("ℓ_A", "ell_A"), ("φ‴", "phi_third"), ("det′H_A", "det_prime_H_A"), ("|Stab θ|", "Stab_theta")),
        *(("∇TrC", "grad_TrC"), ("F′", "F_prime"), ("is", "is_")),
    ],
)
def test_spelling(name, word):
    assert keywords.keyword(sp.Symbol(name)) == word


def test_a_claim_is_called_by_keyword_in_any_order():
    claim = derivations.claim("heavy-ball-variance")
    by_hand = 0.05 / (2 * 1 * (1 - 0.9) * (1 - 0.05 / (2 * 1.9)))  # ηc/(2Sλ(1 − m)(1 − ηλ/(2(1 + m))))
    assert claim(**VALUES) == pytest.approx(by_hand, rel=1e-12)
    assert claim(**dict(reversed(VALUES.items()))) == claim(**VALUES)
    assert claim.function("numpy")(**VALUES) == claim.function("numpy")(*VALUES.values()) == claim(**VALUES)
    curvatures = np.array([0.5, 1.0])
    np.testing.assert_allclose(claim(**{**VALUES, "lam": curvatures})[1], claim(**VALUES), rtol=1e-14)
    assert claim(**{**VALUES, "lam": 2.0}) != claim(**VALUES)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({**VALUES, "lambda": 1}, "has no argument 'lambda': it takes eta, S, lam, c, m; did you mean lam?"),
        ({**VALUES, "lambda_": 1}, "has no argument 'lambda_': it takes eta, S, lam, c, m; did you mean lam?"),
        ({"etta": 1}, "has no argument 'etta': it takes eta, S, lam, c, m; did you mean eta?"),
        ({**VALUES, "Q": 1}, "has no argument 'Q': it takes eta, S, lam, c, m"),
        ({"eta": 1, "c": 2, "m": 0}, "was not given S, lam: it takes eta, S, lam, c, m"),
        ({}, "was not given eta, S, lam, c, m: it takes eta, S, lam, c, m"),
    ],
)
def test_what_is_unknown_or_missing_is_one_line(numbers, message):
    with pytest.raises(TypeError) as refused:
        derivations.claim("heavy-ball-variance")(**numbers)
    assert str(refused.value) == f"heavy-ball-variance {message}"
