"""Fashion-MNIST (Xiao, Rasul and Vollgraf 2017, arXiv 1708.07747), from the four IDX files."""

from pathlib import Path

from sdesgd.data import idx
from sdesgd.data.loader import Info, Parts, Request

INFO = Info(
    name="fashion_mnist",
    what="pictures of clothes, 28×28",
    examples="60,000 + 10,000",
    shape=(28, 28, 1),
    num_classes=10,
    how="install the Debian package dataset-fashion-mnist, or pass the folder of its four IDX files as --data-dir",
    reads_folder=True,
    default_folder=Path("/usr/share/datasets/fashion-mnist"),
)


def missing(folder: Path | None) -> str | None:
    """See ``loader.Loader``."""
    return idx.missing(folder)


def read(request: Request) -> Parts:
    """(N, 784) bytes, labels 0–9; see ``idx.read_parts``."""
    return idx.read_parts(request, INFO)
