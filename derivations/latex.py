"""Claims as LaTeX: an align environment to paste into a paper, and the right equation for notebooks."""

import re
import unicodedata
from typing import Any

import sympy as sp
from sympy.core.function import AppliedUndef
from sympy.core.relational import Relational
from sympy.printing.latex import LatexPrinter

from derivations.parts import Claim

# What symbols have in their names → LaTeX. Greek letters are called what Unicode calls them.
_SIGNS = {
    **{"′": "'", "″": "''", "‴": "'''", "⁗": "''''", "²": "^{2}", "³": "^{3}", "⁺": "^{+}", "ᵀ": "^{T}"},
    **{"₁": "_{1}", "₂": "_{2}", "−": "-", "·": r"\cdot ", "∇": r"\nabla ", "∞": r"\infty ", "ℓ": r"\ell "},
    **{"∩": r"\cap ", "∪": r"\cup ", "𝒩": r"\mathcal{N}", "𝓛": r"\mathcal{L}", "𝟏": r"\mathbf{1}"},
}
_GREEK = {"phi": "varphi", "epsilon": "varepsilon", "lamda": "lambda"}
_RELATIONS = {sp.Eq: "=", sp.Ne: r"\neq", sp.Le: r"\leq", sp.Ge: r"\geq", sp.Lt: "<", sp.Gt: ">"}


class Printer(LatexPrinter):
    """sympy's printer in ASCII: names with other letters, primes that take an exponent, predicates in words."""

    def _print_Symbol(self, expr: Any, style: str = "plain") -> str:
        return _named(super()._print_Symbol(expr, style))

    def _print_MatrixSymbol(self, expr: Any) -> str:
        return _named(super()._print_MatrixSymbol(expr))

    def _print_Dummy(self, expr: Any) -> str:
        return self._print_Symbol(sp.Symbol(expr.name))

    def _hprint_Function(self, func: str) -> str:
        if re.fullmatch(r"\w+", func, re.ASCII):
            return super()._hprint_Function(func)
        return self._print_Symbol(sp.Symbol(func))

    def _print_Function(self, expr: Any, exp: Any = None) -> str:
        if isinstance(expr, AppliedUndef) and not expr.func.__name__.isascii():  # an exponent goes behind the brackets
            arguments = ",".join(map(self._print, expr.args))
            power = f"^{{{exp}}}" if exp is not None else ""
            return rf"{self._hprint_Function(expr.func.__name__)}\left({arguments}\right){power}"
        return super()._print_Function(expr, exp)

    def _print_Identity(self, expr: Any, exp: Any = None) -> str:
        return "I" if exp is None else f"I^{{{exp}}}"

    def _print_AppliedPredicate(self, expr: Any) -> str:
        words = str(expr.function.name).replace("_", " ")
        return rf"{', '.join(map(self._print, expr.arguments))} \text{{ is {words}}}"


def align(claim: Claim) -> str:
    """The derivation and the result as an align environment of amsmath, the words as comments.

    The equation of the result bears the number, and the label eq: with the claim's name.
    """
    rows = []
    for count, step in enumerate(claim.steps(claim.formula), 1):
        left, right = (step.left, step.right) if step.shown is None else step.shown.args
        end = printed(right)
        if step.order is not None:
            variable, power = step.order
            end += rf" + O\left({printed(variable**power)}\right)"
        rows.append(f"% {count}. {' '.join(step.words.split())}")
        if step.name is None:
            rows.append(rf"{printed(left)} &= {end} \notag \\")
        else:
            rows.append(rf"{printed(step.name)} &= {printed(left)} \notag \\")
            rows.append(rf"&= {end} \notag \\")
    lines = [f"% {claim.title} ({'; '.join(map(str, claim.sources))}): {claim.verdict_in_words}."]
    lines += [f"% Assumption: {assumption.words}" for assumption in claim.assumptions]
    if claim.corrected is not None:
        lines.append(f"% As printed there, which is wrong: {printed(claim.printed)}")
    lines += [r"\begin{align}", *rows, "% The result."]
    lines.append(rf"{_aligned(_result(claim))} \label{{eq:{claim.name}}}")
    return "\n".join([*lines, r"\end{align}"])


def notebook(claim: Claim) -> str:
    """The right equation between dollar signs."""
    return rf"$\displaystyle {printed(_result(claim))}$"


def printed(expression: Any) -> str:
    """An expression in LaTeX."""
    settings = {"ln_notation": True, "mat_delim": "(", "mat_str": "matrix"}
    return " ".join(_ascii(Printer(settings).doprint(sp.sympify(expression))).split())


def _result(claim: Claim) -> Any:
    return claim.printed if claim.corrected is None else claim.corrected


def _aligned(equation: Any) -> str:
    """With & before the relation, if it is one."""
    if not isinstance(equation, Relational):
        return f"& {printed(equation)}"
    return f"{printed(equation.lhs)} &{_RELATIONS[type(equation)]} {printed(equation.rhs)}"


def _named(name: str) -> str:
    """A name in ASCII; in braces if it has primes or exponents of its own, so that it can take another."""
    text = re.sub(r"(?<![\\A-Za-z])(det|ln)(?![a-z])", r"\\\1", _ascii(name))
    text = re.sub(r"(?<![\\A-Za-z])([A-Z]?[a-z]{3,}|[A-Z]{3,})(?![A-Za-z])", r"\\mathrm{\1}", text)
    return f"{{{text}}}" if re.search(r"['^]", text) else text


def _ascii(text: str) -> str:
    """Letters with accents, Greek letters and signs by their commands."""
    text = re.sub("(.)\u0302", r"\\hat{\1}", unicodedata.normalize("NFD", text))
    return "".join(letter if letter.isascii() else _command(letter) for letter in text)


def _command(letter: str) -> str:
    if letter in _SIGNS:
        return _SIGNS[letter]
    words = unicodedata.name(letter, "").split()
    if len(words) != 4 or words[0] != "GREEK" or words[2] != "LETTER":
        raise ValueError(f"{letter!r} has no LaTeX command here: add it to derivations/latex.py")
    name = words[3].lower()
    return f"\\{_GREEK.get(name, name)} " if words[1] == "SMALL" else f"\\{name.title()} "
