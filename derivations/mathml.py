"""Formulas as native MathML: sympy's presentation printer, with the field's notation where it has none."""

from typing import Any

import sympy as sp
from sympy.core.function import AppliedUndef
from sympy.printing.mathml import MathMLPresentationPrinter
from sympy.printing.precedence import PRECEDENCE
from sympy.simplify.radsimp import fraction

# Characters of a sum that may stand in a numerator, and of one line of a page.
_SHORT, _LINE = 40, 110
_ACCENTS = {"hat": "^", "bar": "¯", "tilde": "~", "dot": "˙"}
_NAMES = {"ell": "ℓ", "hbar": "ℏ"}
_FUNCTIONS = {"log": "ln", "E": "𝔼", "Trace": "Tr", "Determinant": "det", "DiracDelta": "δ", "KroneckerDelta": "δ"}


def formula(expression: Any, name: Any = None, relation: str = "=") -> str:
    """A block ``<math>`` element.

    Args:
        expression: what to show.
        name: if given, "name = expression".
        relation: between the two.
    """
    body = _printed(expression)
    if name is not None:
        body = f"<mrow>{_printed(name)}<mo>{relation}</mo>{body}</mrow>"
    return _element(body)


def equality(left: Any, right: Any, *, name: Any = None, error: tuple[sp.Symbol, int] | None = None) -> str:
    """A block ``<math>`` of name = left = right + O(x^n), broken before "= right"."""
    lines = _lines(left)
    if name is not None:
        lines[0] = f"{_printed(name)}<mo>=</mo>{lines[0]}"
    tail = _lines(right)
    tail[0] = f"<mo>=</mo>{tail[0]}"
    if error is not None:
        variable, order = error
        tail[-1] += (
            f"<mo>+</mo><mi>O</mi><mo stretchy='false'>(</mo>{_printed(variable**order)}<mo stretchy='false'>)</mo>"
        )
    rows = "".join(f"<mtr><mtd>{line}</mtd></mtr>" for line in lines + tail)
    return _element(f"<mtable columnalign='left' displaystyle='true' class='chain'>{rows}</mtable>")


def inline(expression: Any) -> str:
    """An inline ``<math>`` element."""
    return f"<math>{_printed(expression)}</math>"


def _lines(expression: Any) -> list[str]:
    """A long sum in several lines, broken before a sign; all else in one."""
    expression = sp.sympify(expression)
    if not isinstance(expression, sp.Add) or len(str(expression)) <= _LINE:
        return [_printed(expression)]
    lines: list[list[Any]] = []
    current: list[Any] = []
    terms_of_sum: Any = expression.as_ordered_terms()
    for term in terms_of_sum:
        if current and len(str(sp.Add(*current, term, evaluate=False))) > _LINE:
            lines.append(current)
            current = []
        current.append(term)
    lines.append(current)
    printed = []
    for number, terms in enumerate(lines):
        body = _printed(sp.Add(*terms, evaluate=False)) if len(terms) > 1 else _printed(terms[0])
        plus = number > 0 and not terms[0].could_extract_minus_sign()
        printed.append(("<mspace width='2em'/>" if number else "") + ("<mo>+</mo>" if plus else "") + body)
    return printed


def _element(body: str) -> str:
    return f'<div class="formula"><math display="block">{body}</math></div>'


def _printed(expression: Any) -> str:
    return _Printer({"ln_notation": True}).doprint(sp.sympify(expression)).replace("<mo>-</mo>", "<mo>−</mo>")


class _Printer(MathMLPresentationPrinter):
    """Accents, upright names, exponentials in the numerator, predicates in words."""

    def _node(self, tag: str, *children: Any, text: str = ""):
        node = self.dom.createElement(tag)
        if text:
            node.appendChild(self.dom.createTextNode(text))
        for child in children:
            node.appendChild(child)
        return node

    def _bracketed(self, *inside: Any):
        opening, closing = self._node("mo", text="("), self._node("mo", text=")")
        return self._node("mrow", opening, *inside, closing)

    def _print_Symbol(self, sym: Any, style: str = "plain"):
        if sym.name in _NAMES:
            return self._node("mi", text=_NAMES[sym.name])
        base, underscore, rest = sym.name.partition("_")
        for accent, mark in _ACCENTS.items():
            if base.endswith(accent) and base != accent:
                core = super()._print_Symbol(sp.Symbol(base.removesuffix(accent)), style)
                over = self._node("mover", core, self._node("mo", text=mark))
                over.setAttribute("accent", "true")
                if not underscore:
                    return over
                return self._node("msub", over, self._print(sp.Symbol(rest)))
        return super()._print_Symbol(sym, style)

    def _print_Dummy(self, sym: Any):
        return self._print_Symbol(sp.Symbol(sym.name))

    def _print_Function(self, e: Any):
        name = e.func.__name__
        arguments = self._paren_comma_separated(*e.args)
        symbol = self._print_Symbol(sp.Symbol(name)) if isinstance(e, AppliedUndef) and name not in _FUNCTIONS else None
        head = symbol or self._node("mi", text=str(_FUNCTIONS.get(name, name)))
        return self._node("mrow", head, arguments)

    def _print_log(self, e: Any):
        return self._print_Function(e)

    def _print_DiracDelta(self, e: Any):
        return self._print_Function(e)

    def _print_Trace(self, e: Any):
        return self._node("mrow", self._node("mi", text="Tr"), self._bracketed(self._print(e.args[0])))

    def _print_Determinant(self, e: Any):
        return self._node("mrow", self._node("mi", text="det"), self._bracketed(self._print(e.args[0])))

    def _print_exp(self, expr: Any):
        (exponent,) = expr.args
        if fraction(sp.together(exponent, deep=False))[1] == 1 and not exponent.has(sp.Integral, sp.Sum):
            return super()._print_exp(expr)
        return self._node("mrow", self._node("mi", text="exp"), self._bracketed(self._print(exponent)))

    def _print_Mul(self, expr: Any):
        if expr.could_extract_minus_sign() and expr == expr.func(*expr.args):
            return self._node("mrow", self._node("mo", text="−"), self._product(-expr))
        return self._product(expr)

    def _product(self, expr: Any):
        """Numbers and powers as one fraction, sums in brackets behind it; exponentials with a minus stay on top."""
        if not isinstance(expr, sp.Mul):
            return self.parenthesize(expr, PRECEDENCE["Mul"])
        if expr.is_commutative is False:
            return super()._print_Mul(expr)
        if expr != expr.func(*expr.args):  # built unevaluated: as it was written
            return self._as_written(expr.args)
        numerator, denominator = fraction(expr, exact=True)
        factors = list(sp.Mul.make_args(numerator))
        sums = [f for f in factors if isinstance(f, sp.Add)]
        plain = [f for f in factors if f not in sums and f != 1]
        if denominator != 1 and not plain and len(sums) == 1 and len(str(sums[0])) <= _SHORT:
            plain, sums = sums, []
        parts = []
        if denominator != 1:
            top = self._row(plain) if plain else self._node("mn", text="1")
            parts.append(self._node("mfrac", top, self._print(denominator)))
        elif plain:
            parts.append(self._row(plain))
        parts += [self._bracketed(self._print(f)) for f in sums]
        return parts[0] if len(parts) == 1 else self._node("mrow", *parts)

    def _as_written(self, factors: Any):
        nodes = []
        for factor in factors:
            if nodes:
                number = sp.sympify(factor).as_coeff_Mul()[0] != 1 or factor.is_number
                nodes.append(self._node("mo", text="·" if number else "&InvisibleTimes;"))
            minus = factor.could_extract_minus_sign() and (nodes or isinstance(factor, sp.Add))
            nodes.append(
                self._bracketed(self._print(factor)) if minus else self.parenthesize(factor, PRECEDENCE["Mul"])
            )
        return self._node("mrow", *nodes)

    def _row(self, factors: list):
        if len(factors) == 1:
            return self._print(factors[0])
        product: Any = sp.Mul._from_args(factors)
        nodes = []
        for factor in product.as_ordered_factors():
            if nodes:
                nodes.append(self._node("mo", text="&InvisibleTimes;"))
            nodes.append(self.parenthesize(factor, PRECEDENCE["Mul"]))
        return self._node("mrow", *nodes)

    def _print_UnevaluatedExpr(self, e: Any):
        return self._print(e.args[0])

    def _print_Subs(self, e: Any):
        body, variables, points = e.args
        equations = []
        for variable, point in zip(variables, points, strict=True):
            equations += [self._print(variable), self._node("mo", text="="), self._print(point)]
        bar = self._node("msub", self._node("mo", text="|"), self._node("mrow", *equations))
        return self._node("mrow", self._print(body), bar)

    def _print_AppliedPredicate(self, e: Any):
        words = str(e.function.name).replace("_", " ")
        arguments = [self._print(a) for a in e.arguments]
        return self._node("mrow", *arguments, self._node("mtext", text=f" is {words}"))
