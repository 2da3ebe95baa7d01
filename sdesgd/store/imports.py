"""Which modules and packages a definition's numbers can depend on, read from the sources; nothing is run.

Beginning with the names that a function reads, imports are followed to the module that defines what is imported:
``from sdesgd.basins import occupancy`` leads to the module of ``occupancy`` and not to all of ``basins``, and so does
``sg.occupancy``. From there on a module counts as a whole, with what it imports in turn.
"""

import ast
import dataclasses
import functools
import importlib.util
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from sdesgd.store.reads import definitions, reads

Place = tuple[str, str]  # a module and a name in it; "" for all of it
# A call by which a module is imported by a name that is text: (module, function) → text → modules.
Calls = Mapping[Place, Mapping[str, str]]


@dataclasses.dataclass(frozen=True)
class Used:
    """What some definitions depend on.

    Attributes:
        modules: of ``own``, by name.
        packages: top-level names of all others, the standard library left out.
    """

    modules: frozenset[str]
    packages: frozenset[str]


def used_by(places: Iterable[Place], own: Iterable[str], calls: Calls | None = None) -> Used:
    """Modules and packages that some definitions depend on.

    Args:
        places: (module, name) of functions and classes; an empty name stands for the whole module.
        own: top-level packages whose sources are followed; of others only the name is found.
        calls: functions that import a module by name, such as ``("derivations", "claim")``, with what their names lead
            to. A name that isn't a literal stands for all.
    """
    walk = _Walk(frozenset(own), calls or {})
    for module, name in places:
        if name and definitions(module).get(name):
            walk.begin(module, name)
        else:
            walk.enter(module)
    return walk.found()


class _Walk:
    """The modules reached so far."""

    def __init__(self, own: frozenset[str], calls: Calls):
        self.own, self.calls = own, calls
        self.begun: set[Place] = set()
        self.named: set[str] = set()  # modules of which some definitions count
        self.whole: set[str] = set()
        self.packages: set[str] = set()

    def found(self) -> Used:
        return Used(frozenset(self.named | self.whole), frozenset(self.packages))

    def begin(self, module: str, name: str) -> None:
        """A definition: what it reads in its own module, and what that imports."""
        if (module, name) in self.begun:
            return
        self.begun.add((module, name))
        self.named.add(module)
        source = source_of(module)
        for node in definitions(module).get(name, ()):
            if isinstance(node, ast.Import | ast.ImportFrom):
                continue  # followed where it is read, below
            inner = [n for n in ast.walk(node) if isinstance(n, ast.Import | ast.ImportFrom)]
            bindings = source.bindings if source else {}
            here = {**bindings, **_bindings(inner, module)}
            for statement in inner:
                self.follow_all(_bindings([statement], module))
            for chain in reads(node).found:
                if chain[0] in here:
                    self.follow(here[chain[0]], chain[1:])
                elif definitions(module).get(chain[0]):
                    self.begin(module, chain[0])
            self.literals(module, node)

    def enter(self, module: str) -> None:
        """A whole module."""
        waiting = [module]
        while waiting:
            module = waiting.pop()
            if module in self.whole or not self.is_own(module):
                continue
            self.whole.add(module)
            source = source_of(module)
            if source is None:
                continue
            for name, place in source.bindings.items():
                chains = source.chains.get(name, set())
                # Bound and never read: an import for its effect, or one that a package passes on.
                for chain in chains or {()}:
                    waiting += self.targets(place, chain)
            self.literals(module, source.tree)

    def follow(self, place: Place, chain: tuple[str, ...]) -> None:
        for module in self.targets(place, chain):
            self.enter(module)

    def follow_all(self, bindings: Mapping[str, Place]) -> None:
        for place in bindings.values():
            self.follow(place, ())

    def targets(self, place: Place, chain: tuple[str, ...]) -> list[str]:
        """The modules that define what is read."""
        module, name = place
        top = module.partition(".")[0]
        if not self.is_own(module):
            if top not in sys.stdlib_module_names:
                self.packages.add(top)
            return []
        for _ in range(50):  # a cycle of packages that pass on each other's names ends too
            if name:
                if is_module(f"{module}.{name}"):
                    module, name = f"{module}.{name}", ""
                    continue
                source = source_of(module)
                if source is not None and source.package and name in source.passed_on:
                    module, name = source.passed_on[name]
                    if not self.is_own(module):
                        return self.targets((module, name), ())
                    continue
                return [module]
            source = source_of(module)
            if source is None or not source.package or not chain:
                return [module]
            name, chain = chain[0], chain[1:]
        return [module]

    def literals(self, module: str, node: ast.AST) -> None:
        """Modules that are imported by a name that is text."""
        source = source_of(module)
        if source is None or not self.calls:
            return
        for call in (n for n in ast.walk(node) if isinstance(n, ast.Call)):
            chain = _chain_of(call.func)
            if not chain or chain[0] not in source.bindings:
                continue
            home, name = source.bindings[chain[0]]
            called = (home, name) if len(chain) == 1 else (".".join(filter(None, (home, name))), chain[-1])
            if called in self.calls:
                leads_to = self.calls[called]
                first = call.args[0] if call.args else None
                text = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""
                for target in [leads_to[text]] if text in leads_to else leads_to.values():
                    self.enter(target)

    def is_own(self, module: str) -> bool:
        return module.partition(".")[0] in self.own


# -- sources -----------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Source:
    """A module as its text stands.

    Attributes:
        package: whether it is the ``__init__`` of one.
        bindings: name → what an import binds to it, wherever in the module; imports for type checkers left out.
        passed_on: the same, those included: lazy packages list their names so.
        chains: name → the attributes that are read of it, ("a", "b") for name.a.b.
    """

    tree: ast.Module
    package: bool
    bindings: Mapping[str, Place]
    passed_on: Mapping[str, Place]
    chains: Mapping[str, set[tuple[str, ...]]]


@functools.cache
def source_of(module: str) -> Source | None:
    """None for what has no source in Python."""
    file = file_of(module)
    if file is None:
        return None
    tree = ast.parse(file.read_bytes())
    package = file.name == "__init__.py"
    every = [n for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom)]
    for_types = {
        id(n)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and _chain_of(block.test)[-1:] == ("TYPE_CHECKING",)
        for n in ast.walk(block)
    }
    run = [n for n in every if id(n) not in for_types]
    chains: dict[str, set[tuple[str, ...]]] = {}
    inner: set[int] = set()
    for node in ast.walk(tree):  # outer attributes come before inner ones
        if isinstance(node, ast.Attribute | ast.Name) and id(node) not in inner:
            chain = _chain_of(node)
            while isinstance(node, ast.Attribute):
                node = node.value
                inner.add(id(node))
            if chain:
                chains.setdefault(chain[0], set()).add(chain[1:])
    name = module if package else module.rpartition(".")[0]
    return Source(tree, package, _bindings(run, module, name), _bindings(every, module, name), chains)


@functools.cache
def file_of(module: str) -> Path | None:
    """The file of a module in Python; nothing but its packages is imported."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError, AttributeError):
        return None
    return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None


@functools.cache
def is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError, AttributeError):
        return False


def _bindings(imports: Iterable[ast.stmt], module: str, package: str | None = None) -> dict[str, Place]:
    """Name → what an import binds to it."""
    found: dict[str, Place] = {}
    package = module.rpartition(".")[0] if package is None else package
    for node in imports:
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                found[alias.asname or top] = (alias.name if alias.asname else top, "")
        elif isinstance(node, ast.ImportFrom):
            origin = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            for alias in node.names:
                found[alias.asname or alias.name] = (origin, "" if alias.name == "*" else alias.name)
    return found


def _chain_of(node: ast.AST) -> tuple[str, ...]:
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return (node.id, *reversed(names)) if isinstance(node, ast.Name) else ()
