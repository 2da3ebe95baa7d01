"""status and table: what a folder holds, without computing anything."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from sdesgd.in_words import duration
from sdesgd.store.claims import claimed
from sdesgd.sweep.cells import Cell
from sdesgd.sweep.store import Failure, Kept, Store, read_manifest
from sdesgd.types import PathLike


@dataclasses.dataclass(frozen=True)
class Status:
    """How far the last sweep of a folder is; as text, one line and another for every failed cell.

    Attributes:
        done, running, missing: numbers of cells, which with the failed ones add up to ``total``. Running ones are
            claimed by a living process; a damaged cell is missing.
        failures: of cells that raised, in the sweep's order.
        seconds_left: from the times of the cells that are done, cells of equal shape taking equally long, shared
            among as many hands as are at work (one, if none is); None before the first is done.
    """

    done: int
    running: int
    missing: int
    failures: tuple[Failure, ...]
    seconds_left: float | None

    @property
    def total(self) -> int:
        return self.done + len(self.failures) + self.running + self.missing

    def __str__(self) -> str:
        left = "" if not self.seconds_left else f"; {duration(self.seconds_left)} left"
        counts = f"{self.done} of {self.total} cells done, {len(self.failures)} failed, {self.running} running"
        return "\n".join([f"{counts}, {self.missing} missing{left}", *map(str, self.failures)])


def status(folder: PathLike) -> Status:
    """Counts the cells of the last sweep that ran in a folder; nothing is written.

    Raises:
        InputError: no sweep has run there.
    """
    manifest = read_manifest(folder)
    keys = [cell["key"] for cell in manifest["cells"]]
    store = Store(folder, manifest["allow_mixed"])
    kept = [store.read(key) for key in keys]
    at_work = claimed(store.claims.folder)
    running = [k for k, key in enumerate(keys) if kept[k] is None and key in at_work]
    found = {k: store.failure(key) for k, key in enumerate(keys) if kept[k] is None and k not in running}
    failed = {k: failure for k, failure in found.items() if failure is not None}
    done = sum(one is not None for one in kept)
    pending = [k for k in range(len(keys)) if kept[k] is None and k not in failed]
    left = seconds_left(
        [None if one is None else one.seconds for one in kept],
        [cell["group"] for cell in manifest["cells"]],
        pending,
        max(1, len(running)),
    )
    return Status(done, len(running), len(pending) - len(running), tuple(failed.values()), left)


def table(folder: PathLike) -> xr.Dataset:
    """The rows of all cells that are done, in the order of the cells, then of each cell's seeds.

    Dimension ``row``; variables ``cell`` (the cell's index), one for each name in the configs, ``seed``, and the
    columns that the function returned. Attributes: how many cells there are and are done, the function, the code's
    hash, the modes and environments. Two runs of one sweep give identical datasets, however often they were cut short.

    Raises:
        InputError: no sweep has run in the folder.
    """
    manifest = read_manifest(folder)
    store = Store(folder, manifest["allow_mixed"])
    found = {k: store.read(cell["key"]) for k, cell in enumerate(manifest["cells"])}
    cells = [Cell(cell["config"], tuple(cell["seeds"])) for cell in manifest["cells"]]
    return assembled(cells, {k: kept for k, kept in found.items() if kept is not None}, manifest)


def assembled(cells: Sequence[Cell], kept: Mapping[int, Kept], manifest: Mapping[str, Any]) -> xr.Dataset:
    """The table of the cells that are kept."""
    order = sorted(kept)
    environments = {json.dumps(dict(kept[k].environment), sort_keys=True) for k in order}
    attributes = {
        "function": manifest["function"],
        "code_sha256": manifest["code_sha256"],
        "modes": json.dumps(manifest["modes"], sort_keys=True),
        "inputs": json.dumps(manifest["inputs"], sort_keys=True),
        "environments": f"[{', '.join(sorted(environments))}]",
        "cells": len(cells),
        "cells_done": len(order),
    }
    if not order:
        return xr.Dataset(attrs=attributes)
    rows = [len(kept[k].columns["seed"]) for k in order]
    names = [name for name in kept[order[0]].columns if name != "seed"]
    configs = {name: _uniform([cell.config[name] for cell in cells]) for name in cells[0].config}
    variables = {"cell": np.repeat(np.asarray(order), rows)}
    variables |= {name: np.repeat(values[order], rows) for name, values in configs.items()}
    variables |= {name: np.concatenate([kept[k].columns[name] for k in order]) for name in ("seed", *names)}
    return xr.Dataset({name: ("row", values) for name, values in variables.items()}, attrs=attributes)


def seconds_left(
    seconds: Sequence[float | None], groups: Sequence[int], pending: Sequence[int], hands: int
) -> float | None:
    """Σ over pending cells of the mean time of their group (of all cells, where none of it is done), by hands."""
    done = [k for k, value in enumerate(seconds) if value is not None]
    if not done or not pending:
        return 0.0 if not pending else None
    by_group: dict[int, list[float]] = {}
    for k in done:
        by_group.setdefault(groups[k], []).append(float(seconds[k] or 0.0))
    overall = float(np.mean([value for values in by_group.values() for value in values]))
    means = {group: float(np.mean(values)) for group, values in by_group.items()}
    return sum(means.get(groups[k], overall) for k in pending) / hands


def _uniform(values: list[Any]) -> np.ndarray:
    """A column of one plain type; mixtures (None among numbers, text among numbers) as JSON text."""
    kinds = {type(value) for value in values}
    if kinds == {int, float}:
        return np.asarray([float(value) for value in values])
    if len(kinds) == 1 and kinds <= {bool, int, float, str}:
        return np.asarray(values)
    return np.asarray([json.dumps(value) for value in values])
