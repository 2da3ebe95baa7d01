"""CIFAR-10 (Krizhevsky 2009), from its *binary* version: the Python version is a pickle, which could run code.

Layout of data_batch_1.bin … data_batch_5.bin and test_batch.bin: records of 3,073 bytes, the label and then 1,024
bytes each of red, green and blue, row-major. The official files have 10,000 records each; fewer are accepted, in whole
records.
"""

from pathlib import Path

import numpy as np

from sdesgd.data.files import missing_folder, present
from sdesgd.data.loader import Info, Part, Parts, Request
from sdesgd.errors import InputError
from sdesgd.files import opened

INFO = Info(
    name="cifar10",
    what="colour pictures, 32×32",
    examples="50,000 + 10,000",
    shape=(32, 32, 3),
    num_classes=10,
    how="unpack the binary version of CIFAR-10, cifar-10-binary.tar.gz, and pass the folder as --data-dir",
    reads_folder=True,
)
RECORD = 1 + 32 * 32 * 3  # bytes
RECORDS = 10_000  # of an official file
TRAIN = tuple(f"data_batch_{k}.bin" for k in range(1, 6))
TEST = ("test_batch.bin",)


def _home(folder: Path) -> Path:
    # The archive unpacks to a folder of its own: either may be passed.
    inner = folder / "cifar-10-batches-bin"
    return inner if not present(folder / TRAIN[0]) and present(inner) else folder


def missing(folder: Path | None) -> str | None:
    """The first of the six files that is not there; see ``loader.Loader``."""
    fault = missing_folder(folder)
    if fault or folder is None:
        return fault
    home = _home(folder)
    absent = next((name for name in (*TRAIN, *TEST) if not present(home / name)), None)
    if absent is None:
        return None
    pickled = [folder / "data_batch_1", folder / "cifar-10-batches-py" / "data_batch_1"]
    if any(map(present, pickled)):
        return f"{folder} has the Python version, a pickle, which is never opened: the binary version is needed"
    return f"{home} has no {absent}"


def read(request: Request) -> Parts:
    """(N, 3072) bytes in the order height, width, colour; labels 0–9.

    Raises:
        InputError: a file that is not whole records, a label above 9.
    """
    home = _home(request.folder or Path())
    train, test = (_part(np.concatenate([_records(home / name) for name in names])) for names in (TRAIN, TEST))
    return Parts(train, test, f"CIFAR-10, binary version in {home}")


def _part(records: np.ndarray) -> Part:
    def rows(indices: np.ndarray) -> np.ndarray:
        planes = records[indices, 1:].reshape(-1, 3, 32, 32)
        return planes.transpose(0, 2, 3, 1).reshape(len(planes), -1)

    return Part(rows, records[:, 0])


def _records(path: Path) -> np.ndarray:
    with opened(path) as (file, size):
        if size == 0 or size % RECORD or size > RECORDS * RECORD:
            raise InputError(
                f"{path} has {size} bytes, not {RECORD} times 1 to {RECORDS} (the official file has "
                f"{RECORDS * RECORD} bytes): unpack it again"
            )
        content = file.read(size)
    if len(content) != size:
        raise InputError(f"{path} gave {len(content)} of its {size} bytes: unpack it again")
    records = np.frombuffer(content, np.uint8).reshape(-1, RECORD)
    wrong = np.flatnonzero(records[:, 0] >= INFO.num_classes)
    if len(wrong):
        raise InputError(
            f"{path} ({size} bytes) has label {records[wrong[0], 0]} in record {wrong[0]}, CIFAR-10's are 0 to 9: "
            f"pass its binary version, not another set"
        )
    return records
