"""What a cell's numbers depend on besides its config and seeds: code, modes, versions, device kind."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

from sdesgd.store.environment import deciding, hash_of, machine, modes
from sdesgd.store.sources import code_files
from sdesgd.sweep.cells import Cell, Sweep
from sdesgd.sweep.settings import values_read


@dataclasses.dataclass(frozen=True)
class Fingerprint:
    """What all cells of a sweep share.

    Attributes:
        function: module:function.
        code: file → SHA-256 of its bytes. modes: JAX's settings. inputs: the sweep's.
        values: of globals that the function reads, see ``settings``.
        environment: versions and kind of device, by which a cell is known; what changes rounding is kept with it.
    """

    function: str
    code: Mapping[str, str]
    modes: Mapping[str, Any]
    inputs: Mapping[str, Any]
    values: Mapping[str, str]
    environment: Mapping[str, Any]

    def identity(self, cell: Cell) -> str:
        """SHA-256 of everything that changes a cell's numbers: another one is another cell."""
        common = [2, self.function, self.code_digest, dict(self.modes), dict(self.inputs), dict(self.values)]
        return hash_of([common, cell.identity()])

    @functools.cached_property
    def code_digest(self) -> str:
        return hash_of(dict(self.code))

    @functools.cached_property
    def environment_digest(self) -> str:
        return hash_of(deciding(self.environment))

    def key(self, cell: Cell, environment: Mapping[str, Any] | None = None) -> str:
        """The name of a cell's files: 128 bits of its identity, 48 of versions and kind of device."""
        where = self.environment_digest if environment is None else hash_of(deciding(environment))
        return f"{self.identity(cell)[:32]}-{where[:12]}"


def fingerprint(sweep: Sweep, environment: Mapping[str, Any] | None = None) -> Fingerprint:
    """The fingerprint of a sweep in this process, or with the environment of other processes.

    Raises:
        InputError: code that isn't there, or was edited since this process first looked at it.
    """
    where = machine() if environment is None else environment
    code = sweep.code or ()
    values = values_read(sweep.function, code)
    return Fingerprint(sweep.function, code_files(code), modes(), sweep.inputs, values, where)
