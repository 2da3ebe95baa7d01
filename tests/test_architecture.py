"""Arrows of imports, read from the sources: who may know whom, and that nobody is reached from itself."""

import ast
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[1]
PACKAGES = ("sdesgd", "derivations", "experiments")
FILES = {
    ".".join(path.relative_to(TOP).with_suffix("").parts).removesuffix(".__init__"): path
    for package in PACKAGES
    for path in sorted((TOP / package).rglob("*.py"))
}
EXPERIMENTS = sorted(path.parent.name for path in (TOP / "experiments").glob("*/compute.py"))
# What an experiment may take from another one: the short form of a question uses the long one's parts.
USES = {"batch_size_recommend": {"batch_size"}}


def imported(module: str, everywhere: bool) -> set[str]:
    """Modules of the three packages that a module imports, when it is imported itself or wherever in it.

    Imports for type checkers alone are left out.
    """
    path, found = FILES[module], set()
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]

    def look(nodes):
        for node in nodes:
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                continue
            if isinstance(node, ast.Import):
                found.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                home = package.rsplit(".", node.level - 1)[0] if node.level else ""
                home = ".".join(filter(None, (home, node.module)))
                for alias in node.names:
                    inner = f"{home}.{alias.name}"
                    found.add(inner if inner in FILES else home)
            elif everywhere or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                look(ast.iter_child_nodes(node))

    look(ast.parse(path.read_bytes()).body)
    return {name for name in found if name in FILES and name != module}


def within(module: str, *packages: str) -> bool:
    return any(f"{module}.".startswith(f"{package}.") for package in packages)


def test_there_is_something_to_look_at():
    assert len(FILES) > 300
    assert len(EXPERIMENTS) >= 8
    assert "sdesgd.dynamics.protocol" in imported("sdesgd.dynamics.sgd", False)
    assert "experiments.bench.main" in imported("experiments.__main__", True)
    assert "experiments.bench.main" not in imported("experiments.__main__", False)


@pytest.mark.parametrize(("package", "never"), [("sdesgd", PACKAGES[1:]), ("derivations", PACKAGES[::2])])
def test_the_library_and_the_derivations_know_nobody(package, never):
    wrong = {
        module: sorted(name for name in imported(module, True) if within(name, *never))
        for module in FILES
        if within(module, package)
    }
    assert not {module: names for module, names in wrong.items() if names}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_arrows_within_an_experiment(name):
    """config ← result ← compute, figure, report: no figure or report computes, and only the own folder is used."""
    home = f"experiments.{name}"
    allowed = {f"experiments.{other}" for other in USES.get(name, ())} | {home, "experiments._shared"}
    presentation = {f"{folder}.{part}" for folder in allowed for part in ("figure", "report", "panels")}
    for module in [module for module in FILES if within(module, home)]:
        mine = {other for other in imported(module, True) if within(other, "experiments")}
        assert all(within(other, *allowed) for other in mine), (module, mine)
        last = module.rpartition(".")[2]
        if last in ("config", "result"):
            assert not mine & (presentation | {f"{home}.compute"}), module
        elif last in ("figure", "panels", "report"):
            sources = ("compute", "report") if last != "report" else ("compute", "figure", "panels")
            assert not {other for other in mine if other.rpartition(".")[2] in sources and within(other, home)}, module
        elif last != "report":
            assert not mine & presentation, (module, mine & presentation)


def test_no_module_is_reached_from_itself():
    """By what is imported when a module is: a circle of these breaks as soon as somebody begins elsewhere."""
    arrows = {module: imported(module, False) for module in FILES}
    done: set[str] = set()

    def follow(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " → ".join((*path[path.index(module) :], module))
        if module not in done:
            for other in sorted(arrows[module]):
                follow(other, (*path, module))
            done.add(module)

    for module in FILES:
        follow(module, ())


def test_no_file_is_called_utils_and_none_bears_a_public_functions_name():
    import sdesgd as sg

    names = {path.stem for path in FILES.values()}
    assert not names & {"utils", "helpers", "misc", "common"}
    functions = {name for name in sg.__all__ if callable(getattr(sg, name)) and not isinstance(getattr(sg, name), type)}
    modules = {path.stem for path in (TOP / "sdesgd").rglob("*.py")} - {"__init__"}
    assert not functions & modules
