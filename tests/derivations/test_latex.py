"""LaTeX that can be pasted: ASCII outside the comments, brackets in pairs, the result and each step once."""

import re

import pytest
import sympy as sp

import derivations
from derivations import latex
from derivations.__main__ import main

NAMES = list(derivations.modules())


def rows(text):
    return [line for line in text.splitlines() if not line.startswith("%")]


def outside_matrices(row):
    inner, before = re.compile(r"\\begin\{(\w+)\}(?:(?!\\begin).)*?\\end\{\1\}"), ""
    while before != row:
        before, row = row, inner.sub("", row)
    return row


def balanced(text):
    depth = 0
    for sign in re.sub(r"\\[{}]", "", text.replace(r"\\", "")):
        depth += {"{": 1, "}": -1}.get(sign, 0)
        assert depth >= 0, text
    assert depth == 0, text
    assert len(re.findall(r"\\left(?![a-z])", text)) == len(re.findall(r"\\right(?![a-z])", text)), text
    opened = [name for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", text) if kind == "begin"]
    closed = [name for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", text) if kind == "end"]
    assert sorted(opened) == sorted(closed), text


@pytest.mark.parametrize("name", NAMES)
def test_every_claim(name):
    claim = derivations.claim(name)
    text = latex.align(claim)
    first, *middle, result, last = rows(text)
    assert (first, last) == (r"\begin{align}", r"\end{align}")
    assert "" not in text.splitlines(), "an empty line ends a formula"
    steps = claim.steps(claim.formula)
    assert len(middle) == sum(1 if step.name is None else 2 for step in steps)
    for row in middle:
        assert row.endswith(r" \notag \\")
        assert outside_matrices(row).count("&") == 1
    assert result.endswith(rf"\label{{eq:{name}}}")
    for row in (*middle, result, claim._repr_latex_()):
        assert row.isascii()
        balanced(row)
        assert not re.search(r"[\^'][^{} ]*\^\{[^}]*\}\^|''*\^", row), "two exponents on one letter"
    for step in steps:
        assert " ".join(step.words.split()) in text
    for assumption in claim.assumptions:
        assert assumption.words in text


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (sp.Symbol("φ‴"), r"{\varphi '''}"),
        (sp.Symbol("b″") ** 2, r"{b''}^{2}"),
        (sp.Symbol("ΔΦ"), r"\Delta \Phi"),
        (sp.Symbol("det H_A"), r"\det H_{A}"),
        (sp.Symbol("g_Smith"), r"g_{\mathrm{Smith}}"),
        (sp.Symbol("∇ℓ̂"), r"\nabla \hat{\ell }"),
        (sp.Function("φ′")(sp.Symbol("x")) ** 2, r"{\varphi '}\left(x\right)^{2}"),
        (sp.Symbol("𝓛²x"), r"{\mathcal{L}^{2}x}"),
        (sp.log(sp.Symbol("x")), r"\ln{\left(x \right)}"),
        (sp.Q.positive(sp.Symbol("x")), r"x \text{ is positive}"),
    ],
)
def test_notation(expression, text):
    assert latex.printed(expression) == text


def test_a_letter_without_a_command_is_named():
    with pytest.raises(ValueError, match="'ж' has no LaTeX command"):
        latex.printed(sp.Symbol("ж"))


def test_the_result_is_the_right_equation(capsys):
    """Of what is wrong as printed the printed form is a comment."""
    assert main(["equilibrium-density", "--latex"]) == 0
    printed = capsys.readouterr().out.splitlines()
    claim = derivations.claim("equilibrium-density")
    assert any(line.startswith("% As printed there, which is wrong:") for line in printed)
    shown = rf"{latex.printed(claim.corrected.lhs)} &= {latex.printed(claim.corrected.rhs)} \label"
    assert printed[-2].startswith(shown)
    assert latex.printed(claim.corrected.rhs) in claim._repr_latex_()


@pytest.mark.parametrize("arguments", [["--latex"], ["noise-scale", "--latex", "--json"]])
def test_latex_is_for_one_claim(arguments, capsys):
    assert main(arguments) == 2
    assert "--latex is for one claim" in capsys.readouterr().err
