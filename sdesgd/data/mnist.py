"""All 60,000 + 10,000 MNIST digits, from the four IDX files."""

from pathlib import Path

from sdesgd.data import idx
from sdesgd.data.loader import Info, Parts, Request

INFO = Info(
    name="mnist",
    what="handwritten digits, 28×28",
    examples="60,000 + 10,000",
    shape=(28, 28, 1),
    num_classes=10,
    how="fetch the four IDX files of MNIST (train-images-idx3-ubyte.gz and so on), pass their folder as --data-dir",
    reads_folder=True,
)


def missing(folder: Path | None) -> str | None:
    """See ``loader.Loader``."""
    return idx.missing(folder)


def read(request: Request) -> Parts:
    """(N, 784) bytes, labels 0–9; see ``idx.read_parts``."""
    return idx.read_parts(request, INFO)
