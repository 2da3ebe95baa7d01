"""What a public call returns is a result, or on a short list with the reason why not."""

import dataclasses
import functools
import importlib
import inspect
import pkgutil
import types
import typing
from collections.abc import Iterator
from typing import Any

import equinox as eqx
import xarray as xr
from matplotlib.figure import Figure

import sdesgd as sg
from sdesgd.results import Result
from tests.results.made import MADE, SMALL

# What public calls return besides results. One line a reason; a new type needs one, or becomes a Result.
ARGUMENTS = "what is asked about, not an answer"
CARRIED = "a pytree that compiled programs carry"
PART = "a number or a row of a result, which draws it; it prints one line"
EXEMPT = {
    "AbstractDynamics": ARGUMENTS,
    "Landscape": ARGUMENTS,
    "Net": ARGUMENTS,
    "Potential": ARGUMENTS,
    "Problem": ARGUMENTS,
    "Together": ARGUMENTS + ": observables",
    "UnitSymmetry": ARGUMENTS + ": a group",
    "AbstractFusedTerm": ARGUMENTS + ": a term for diffrax",
    "Dataset": ARGUMENTS + ": data",
    "Info": "a row of the catalogue of data sets",
    "TransferOperator": ARGUMENTS + ": an operator; it prints one line",
    "Cell": ARGUMENTS + ": a cell of a sweep",
    "State": CARRIED,
    "MaskedDraw": CARRIED,
    "Counts": CARRIED,
    "Cumulants": CARRIED + "; str is a table",
    "Eigenpairs": CARRIED + "; it prints one line",
    "Condition": PART,
    "Saddle": PART,
    "Estimate": PART,
    "RateDifference": PART,
    "Equivalence": PART + " (arrays over times that it doesn't know; compare draws them)",
    "EnergyTest": PART,
    "Verdict": PART + " (it doesn't know the times; compare draws them)",
    "Decision": PART,
    "Peak": PART,
    "Band": PART,
    "CurveBand": PART,
    "Recommendation": PART,
    "BestSampled": PART,
    "SeriesSummary": PART,
    "Series": PART,
    "Look": "a colour, a line and a marker",
    "sweep.Result": "a folder and its xarray table",
    "Status": "counts of the cells of a folder",
}


def modules() -> Iterator[tuple[str, Any]]:
    for found in pkgutil.iter_modules(sg.__path__):
        module = importlib.import_module(f"sdesgd.{found.name}")
        if hasattr(module, "__all__") or found.name in ("landscape", "observables", "toys"):
            yield found.name, module


def calls() -> Iterator[tuple[str, Any]]:
    """Public functions, and methods of public classes."""
    for name, module in modules():
        own = [key for key, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
        for public in getattr(module, "__all__", [key for key in own if not key.startswith("_")]):
            value = getattr(module, public)
            if inspect.isclass(value):
                for key, member in vars(value).items():
                    member = member.func if isinstance(member, functools.cached_property) else member
                    member = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
                    if not key.startswith("_") and inspect.isroutine(member):
                        yield f"{name}.{public}.{key}", member
            elif callable(value):
                yield f"{name}.{public}", value


def classes(hint: Any) -> Iterator[type]:
    """The classes within a hint."""
    if hasattr(hint, "__value__"):
        hint = hint.__value__
    if typing.get_args(hint) and (not inspect.isclass(hint) or isinstance(hint, types.GenericAlias)):
        for argument in typing.get_args(hint):
            yield from classes(argument)
    elif inspect.isclass(hint):
        yield hint


def returned() -> dict[type, list[str]]:
    """Dataclasses and named tuples of the library → the public calls that return them."""
    known = {kind.__name__: kind for kind in MADE} | {"xr": xr, "Figure": Figure}
    found: dict[type, list[str]] = {}
    for name, call in calls():
        for kind in classes(typing.get_type_hints(call, localns=known).get("return")):
            ours = (kind.__module__ or "").startswith("sdesgd")
            if ours and (dataclasses.is_dataclass(kind) or hasattr(kind, "_fields")):
                found.setdefault(kind, []).append(name)
    return found


def subclasses(kind: type) -> set[type]:
    return {kind} | {sub for child in kind.__subclasses__() for sub in subclasses(child)}


def test_what_a_public_call_returns_is_a_result_or_says_why_not():
    found = returned()
    names = {kind: "sweep.Result" if kind is sg.sweep.Result else kind.__name__ for kind in found}
    loose = {names[kind]: where for kind, where in found.items() if not issubclass(kind, Result)}
    assert not {name: where for name, where in loose.items() if name not in EXEMPT}, "make it a Result, or say why not"
    assert set(EXEMPT) <= set(loose), "a reason for what no call returns"
    assert len([kind for kind in found if issubclass(kind, Result)]) > 15, "the walk finds results"


def test_every_result_has_an_example_that_passes_the_test_of_its_kind():
    abstract = {Result, sg.basins.Wells}
    kinds = {kind for kind in subclasses(Result) if kind.__module__.startswith("sdesgd.")}
    missing = {kind.__name__ for kind in kinds - abstract - set(MADE) if not kind.__name__.startswith("_")}
    assert not missing
    for kind in MADE:
        options = kind.__dataclass_params__  # type: ignore[attr-defined]
        assert options.frozen or issubclass(kind, eqx.Module), kind
        assert kind.__doc__, kind


def test_what_prints_one_line_does():
    one_line = {name for name, reason in EXEMPT.items() if reason.startswith(PART) or reason.endswith("one line")}
    assert one_line <= set(SMALL)
