"""What a sweep is: cells, each a flat configuration and a block of seeds, and one function for all of them."""

import dataclasses
import importlib
import itertools
import json
import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from sdesgd.errors import InputError
from sdesgd.store.sources import code_files

Value = bool | int | float | str | None
RESERVED = ("cell", "row", "seed")
LARGEST_SEED = 2**32 - 1  # what fold_in takes


@dataclasses.dataclass(frozen=True)
class Cell:
    """One unit of work: kept, failed or missing as a whole.

    Attributes:
        config: name → bool, int, float, str or None; NumPy scalars become Python's.
        seeds: whole numbers in [0, 2³²), none twice.

    Raises:
        InputError: a value that JSON can't hold exactly (a list, an array, NaN), a bad seed.
    """

    config: Any  # anything comes in, and a dict[str, Value] and a tuple[int, ...] stand there
    seeds: Any

    def __post_init__(self):
        if not isinstance(self.config, Mapping):
            raise InputError(f"the config of a cell is a {type(self.config).__name__}: pass a dict of name: value")
        object.__setattr__(self, "config", {name: _plain(name, value) for name, value in self.config.items()})
        object.__setattr__(self, "seeds", _plain_seeds(self.seeds))

    def identity(self) -> str:
        """Canonical JSON: equal for equal cells, and 1, 1.0 and true are three values."""
        return json.dumps([dict(sorted(self.config.items())), list(self.seeds)], separators=(",", ":"))


def grid(axes: Mapping[str, Any], seeds: int | Iterable[int], block: int | None = None) -> tuple[Cell, ...]:
    """Every combination of the axes with every block of seeds, the last axis fastest.

    Args:
        axes: name → a list, tuple or array of values, or one value for all cells.
        seeds: the seeds, or how many: 0, 1, ….
        block: seeds a cell, the last block may be smaller; default: all seeds in one cell.

    Raises:
        InputError: an empty axis, a bad value, seed or block.
    """
    seeds = _plain_seeds(range(seeds) if isinstance(seeds, int) and not isinstance(seeds, bool) else seeds)
    block = len(seeds) if block is None else block
    if not isinstance(block, int) or isinstance(block, bool) or block < 1:
        raise InputError(f"block is {block!r}: pass a whole number of seeds a cell, at least 1")
    several = (list, tuple, np.ndarray, range)
    values = {name: axis if isinstance(axis, several) else [axis] for name, axis in axes.items()}
    for name, axis in values.items():
        if len(axis) == 0:
            raise InputError(f"axis '{name}' is empty, so the grid has no cell: give it a value or leave it out")
    blocks = [seeds[start : start + block] for start in range(0, len(seeds), block)]
    points = itertools.product(*values.values())
    return tuple(Cell(dict(zip(values, point, strict=True)), some) for point in points for some in blocks)


@dataclasses.dataclass(frozen=True)
class Sweep:
    """Cells and the function that computes each of them.

    The function maps (config, seeds) to columns: a dict of name → one-dimensional array, all of one length, with a row
    for each seed, in their order, or with an integer column ``seed`` that says which rows belong to which seed. It has
    to be pure: the same numbers for the same (config, seeds) wherever and whenever it runs. So take keys
    from ``fold_in(jax.random.key(…), seed)``, never from a clock or a global generator; and put what is compiled
    into module-level jitted functions, so that cells of equal shapes share one compilation.

    Attributes:
        function: "package.module:function", as every process imports it.
        cells: all (config, seed) pairs differ, and all configs have the same names.
        code: packages and modules whose sources enter the key of every cell, beside the function's own module:
            an edit there computes all cells anew. Default: sdesgd and the function's top-level package.
        inputs: name → digest of what the cells read besides code and config (see ``digest``): enters every key too.
        shape_key: config → anything hashable; cells with equal values run one after another.

    Raises:
        InputError: no cells, two equal ones, differing names, a function that can't be imported, code that can't be
            found or was edited since it was imported.
    """

    function: Any
    cells: Sequence[Any]
    code: Sequence[str] | None = None
    inputs: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    shape_key: Callable[[Mapping[str, Value]], Hashable] | None = None

    def __post_init__(self):
        module = _halves(self.function)[0]
        named = (self.code,) if isinstance(self.code, str) else self.code
        code = ("sdesgd", module.partition(".")[0]) if named is None else (*named, module)
        object.__setattr__(self, "code", tuple(sorted(set(code))))
        object.__setattr__(self, "cells", tuple(self.cells))
        object.__setattr__(self, "inputs", dict(self.inputs))
        if not all(isinstance(text, str) for pair in self.inputs.items() for text in pair):
            raise InputError("inputs must map names to digests, both text: sdesgd.sweep.digest makes one of arrays")
        _check_cells(self.cells)
        code_files(self.code or ())  # before the import, so that what is looked at is what is imported
        resolve(self.function)

    def groups(self) -> list[int]:
        """(cells,): number of each cell's shape, in order of first appearance."""
        numbers: dict[Hashable, int] = {}
        keys = [self.shape_key(cell.config) if self.shape_key else None for cell in self.cells]
        return [numbers.setdefault(key, len(numbers)) for key in keys]

    def order(self) -> list[int]:
        """Indices of the cells in the order of computation: equal shapes adjacent, otherwise as given."""
        return [index for _, index in sorted(zip(self.groups(), range(len(self.cells)), strict=True))]


def resolve(name: str) -> Callable[..., Any]:
    """The object called "module:function".

    Raises:
        InputError: nothing callable is there.
    """
    module, inner = _halves(name)
    try:
        found: Any = importlib.import_module(module)
        for part in inner.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise InputError(f"function '{name}' can't be imported ({error}): check the name and the path") from None
    if not callable(found):
        raise InputError(f"'{name}' is a {type(found).__name__}, not a function: pass a function of (config, seeds)")
    return found


def _halves(name: Any) -> tuple[str, str]:
    module, _, inner = name.partition(":") if isinstance(name, str) else ("", "", "")
    if not module or not inner:
        raise InputError(f"function {name!r} isn't of the form 'package.module:function': name it so, as text")
    return module, inner


def _check_cells(cells: Sequence[Any]) -> None:
    if not cells:
        raise InputError("the sweep has no cells: pass at least one, say from sdesgd.sweep.grid")
    for cell in cells:
        if not isinstance(cell, Cell):
            raise InputError(f"a cell of the sweep is a {type(cell).__name__}: pass Cell(config, seeds)")
    names = set(cells[0].config)
    seen: dict[tuple[str, int], int] = {}
    for index, cell in enumerate(cells):
        if set(cell.config) != names:
            odd = sorted(set(cell.config) ^ names)
            raise InputError(
                f"cells 0 and {index} differ in the names {', '.join(odd)}: give all configs the same ones"
            )
        text = Cell(cell.config, (0,)).identity()
        for seed in cell.seeds:
            if seen.setdefault((text, seed), index) != index:
                raise InputError(
                    f"cells {seen[text, seed]} and {index} hold the same config and seed {seed}: leave one of them out"
                )


def _plain(name: Any, value: Any) -> Value:
    if not isinstance(name, str) or not name:
        raise InputError(f"a config has the name {name!r}: names are non-empty text")
    if name in RESERVED or "/" in name:
        raise InputError(f"a config has the name '{name}', which the table uses itself or can't hold: choose another")
    value = value.item() if isinstance(value, np.generic) else value
    if value is not None and not isinstance(value, bool | int | float | str):
        raise InputError(f"'{name}' in a config is a {type(value).__name__}: pass a bool, int, float, text or None")
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"'{name}' in a config is {value}: pass a finite number, or None")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise InputError(f"'{name}' in a config is {value}, beyond 64 bits: pass it as text")
    return value


def _plain_seeds(seeds: Any) -> tuple[int, ...]:
    if isinstance(seeds, str | bytes) or not isinstance(seeds, Iterable):
        raise InputError(f"the seeds of a cell are {seeds!r}: pass a list of whole numbers")
    plain = tuple(seed.item() if isinstance(seed, np.generic) else seed for seed in seeds)
    for seed in plain:
        if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed <= LARGEST_SEED:
            raise InputError(f"seed {seed!r}: pass whole numbers from 0 to {LARGEST_SEED}")
    if not plain or len(set(plain)) < len(plain):
        raise InputError(f"seeds {list(plain)[:10]}: pass at least one, and none twice")
    return plain
