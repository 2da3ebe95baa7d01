"""Which globals a definition in a module's source reads, and which it changes; nothing is run."""

import ast
import functools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Chain = tuple[str, ...]  # ("a", "b", "c") of a.b.c
_CHANGES = {"add", "append", "appendleft", "clear", "discard", "extend", "insert", "pop", "popitem", "remove", "sort"}
_CHANGES |= {"setdefault", "update"}


def definitions(module: str) -> Mapping[str, list[ast.AST]]:
    """Name → the statements of a module's source that bind it, outside of functions."""
    file = getattr(sys.modules.get(module), "__file__", None)
    return _parsed(file) if isinstance(file, str) and file.endswith(".py") else {}


@functools.cache  # the sources of a sweep don't change: see ``sources``
def _parsed(file: str) -> Mapping[str, list[ast.AST]]:
    """An import is a statement that binds a name too."""
    found: dict[str, list[ast.AST]] = {}

    def look(statements: Sequence[ast.stmt]) -> None:
        for statement in statements:
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found.setdefault(statement.name, []).append(statement)
                continue
            if isinstance(statement, ast.ImportFrom):
                for alias in statement.names:
                    found.setdefault(alias.asname or alias.name, []).append(statement)
            for node in ast.walk(statement):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    found.setdefault(node.id, []).append(statement)
            for inner in ("body", "orelse", "finalbody"):
                look([node for node in getattr(statement, inner, ()) if isinstance(node, ast.stmt)])
            look([node for handler in getattr(statement, "handlers", ()) for node in handler.body])

    try:
        look(ast.parse(Path(file).read_bytes()).body)
    except (OSError, SyntaxError, ValueError, RecursionError):
        return {}
    return found


@functools.cache
def reads(node: ast.AST) -> "Reads":
    """What a statement of the source reads and changes."""
    found = Reads()
    found.visit(node)
    return found


class Reads(ast.NodeVisitor):
    """Chains of names that a statement reads and doesn't bind, and those that its functions change."""

    def __init__(self):
        self.found: set[Chain] = set()
        self.changed: set[Chain] = set()
        self._local: list[set[str]] = []
        self._functions = 0  # within which the visit is

    def visit_Name(self, node: ast.Name) -> None:
        if self._is_global(node.id):
            self.found.add((node.id,))
            if self._functions and not isinstance(node.ctx, ast.Load):
                self.changed.add((node.id,))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        chain = self._chain(node)
        if chain:
            self.found.add(chain)
            if self._functions and not isinstance(node.ctx, ast.Load):
                self.changed.add(chain)
        else:
            self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if self._functions and not isinstance(node.ctx, ast.Load) and (chain := self._chain(node.value)):
            self.changed.add(chain)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        method = node.func
        if self._functions and isinstance(method, ast.Attribute) and method.attr in _CHANGES:
            self.changed |= {chain for chain in [self._chain(method.value)] if chain}
        self.generic_visit(node)

    def visit_FunctionDef(self, node: Any) -> None:
        for outer in (*node.decorator_list, node.args):
            self.visit(outer)
        self._within(node.args, node.body)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.visit(node.args)
        self._within(node.args, [node.body])

    def visit_arg(self, node: ast.arg) -> None:
        """Annotations change no number."""

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        for part in (node.target, node.value):
            if part is not None:
                self.visit(part)

    def _comprehension(self, node: Any) -> None:
        self._local.append(_bound(node.generators))
        self.generic_visit(node)
        self._local.pop()

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension

    def _within(self, arguments: ast.arguments, body: Sequence[ast.AST]) -> None:
        names = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        self._local.append({argument.arg for argument in names if argument} | _bound(body))
        self._functions += 1
        for statement in body:
            self.visit(statement)
        self._functions -= 1
        self._local.pop()

    def _is_global(self, name: str) -> bool:
        return not any(name in names for names in self._local)

    def _chain(self, node: ast.AST) -> Chain:
        """("a", "b", "c") of a.b.c; () if it begins otherwise or with a local name."""
        names: list[str] = []
        while isinstance(node, ast.Attribute):
            names.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or not self._is_global(node.id):
            return ()
        return (node.id, *reversed(names))


def _bound(nodes: Sequence[ast.AST]) -> set[str]:
    """Names that a function's body binds itself, what its inner functions bind left out."""
    bound: set[str] = set()
    declared: set[str] = set()
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(node.name)
            continue
        if isinstance(node, ast.Lambda):
            continue
        if isinstance(node, ast.Global):
            declared |= set(node.names)
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            bound.add(node.id)
        if isinstance(node, ast.Import | ast.ImportFrom):
            bound |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        if isinstance(node, ast.ExceptHandler) and node.name:
            bound.add(node.name)
        waiting += ast.iter_child_nodes(node)
    return bound - declared
