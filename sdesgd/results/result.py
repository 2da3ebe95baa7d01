"""The one kind of thing that questions are answered with."""

import dataclasses
import html
import io
import re
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from sdesgd.errors import InputError
from sdesgd.types import PathLike

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

_Result = TypeVar("_Result", bound="Result")


@dataclasses.dataclass(frozen=True)
class NotEstablished:
    """Why something could not be said, and what it would take.

    Attributes:
        reason: a phrase, such as "not mixed" or "no peak inside the grid".
        remedy: what would establish it, such as "about 40,000 steps"; empty where nothing would.
    """

    reason: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"not established: {self.reason}" + (f" (it would take {self.remedy})" if self.remedy else "")


class Result:
    """The base of every result, a frozen dataclass with ``eq=False, repr=False``.

    ``str(result)`` is the report of the terminal, and never a dump of arrays; ``plot`` gives a figure with a true
    title and labels; ``to_xarray`` the numbers; ``save`` and ``load`` keep it; a notebook shows figure and report.

    Attributes:
        parts: the dataclasses and named tuples that a file of this result may hold beside the result itself. Reading
            a file makes nothing else.
    """

    parts: ClassVar[tuple[type, ...]] = ()

    def __str__(self) -> str:
        raise NotImplementedError

    def __repr__(self) -> str:
        return str(self)

    def plot(self) -> "Figure":
        """The figure of this result."""
        raise NotImplementedError

    def to_xarray(self) -> "xr.Dataset":
        """The numbers of this result, with named dimensions."""
        raise NotImplementedError

    def save(self, path: PathLike) -> None:
        """Writes NetCDF (HDF5), whole or not at all; ``load`` gives back every number, bit for bit.

        Args:
            path: of the file; an earlier one is replaced.

        Raises:
            InputError: the folder can't be written, or the disk is full; an array of Python objects.
        """
        from sdesgd.netcdf import write_netcdf
        from sdesgd.results import file

        write_netcdf(file.packed(self._as_kept()), path)

    def _as_kept(self: _Result) -> _Result:
        """The same result without what no file can hold, such as a function."""
        return self

    @classmethod
    def load(cls: type[_Result], path: PathLike) -> _Result:
        """Reads what ``save`` wrote.

        Pytrees of a kind that isn't named in ``parts``, such as params of a net, come back as dicts of arrays by path.

        Args:
            path: of the file, which may come from anywhere: nothing in it is run, and nothing outside it is read.

        Raises:
            InputError: the file isn't there, is damaged, or holds another kind of result (where ``parts`` names
                subclasses, as for ``Wells``, a file of either is read).
        """
        from sdesgd.netcdf import read_netcdf
        from sdesgd.results import file

        return file.unpacked(read_netcdf(path, decode=False), cls, path)

    def _repr_html_(self) -> str:
        """The figure as inline SVG, and the report; where nothing can be drawn, the report with the reason."""
        drawn, text = io.StringIO(), html.escape(str(self))
        try:
            self.plot().savefig(drawn, format="svg")
        except InputError as error:
            return f"<pre>{text}\n{html.escape(f'no figure: {error}')}</pre>"
        picture = re.sub(r"^.*?(?=<svg)", "", drawn.getvalue(), flags=re.DOTALL)
        return f"{picture}<pre>{text}</pre>"


def fields_of(result: Any) -> dict[str, Any]:
    """name → value of the fields of a dataclass or a named tuple."""
    if dataclasses.is_dataclass(result):
        return {field.name: getattr(result, field.name) for field in dataclasses.fields(result) if field.init}
    return result._asdict()
