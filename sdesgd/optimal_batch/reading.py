"""Tables of one's own: a CSV file or a data frame, with its own names of columns, as an ``AccuracyTable``."""

import csv
import dataclasses
import io
import math
import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from sdesgd import files
from sdesgd.errors import InputError, one_line, require_known, shown
from sdesgd.optimal_batch.table import ACCEPTED, SETTING, WHOLE, AccuracyTable, checked_num_test, repeated
from sdesgd.types import PathLike, RealScalarLike

_MOST_BYTES = 2**28
_YES, _NO = ("true", "yes", "t", "y", "1", "1.0"), ("false", "no", "f", "n", "0", "0.0")
_MISSING = ("", "nan", "na", "n/a", "none", "null", "<na>")
Column = str | RealScalarLike | None


def read_csv(
    path: PathLike,
    *,
    learning_rate: Column = "learning_rate",
    num_examples: Column = "num_examples",
    momentum: Column = "momentum",
    batch_size: Column = "batch_size",
    seed: Column = "seed",
    accuracy: str = "accuracy",
    diverged: Column = "diverged",
    percent: bool = False,
    num_test: Column = None,
    delimiter: str = ",",
) -> AccuracyTable:
    """The table in a CSV file with a line of column names and a line per run; other columns are ignored.

    Args:
        path: of the file, UTF-8; nothing in it is run, and anything that is no number is refused by line and column.
        learning_rate: name of the column of η, or one number for all runs.
        num_examples: of N.
        momentum: of m; 0 for SGD without momentum.
        batch_size: of B.
        seed: what tells repeats apart; None: they are numbered as they come.
        accuracy: of test accuracies. An empty field, or NaN, is a run that diverged.
        diverged: of true and false, or 1 and 0; a file without this column has runs diverge only where the accuracy is
            missing.
        percent: whether accuracies are in percent; a sign % at their end is then allowed.
        num_test: size of the test set, or a column that holds it; None: unknown, see ``AccuracyTable``.
        delimiter: between fields, one character.

    Raises:
        InputError: no such file or column; a value that is no number, or out of range: file, line, column and value are
            named; a run that appears twice; accuracies above 1 that aren't said to be percent.
    """
    name = os.path.basename(files.as_path(path))
    if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '"\r\n':
        raise InputError(f"delimiter is {shown(delimiter)}: pass one character, such as ',' or ';'")
    try:
        text = files.read_bytes(path, _MOST_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{name} isn't UTF-8 text (byte {error.start}): save it as CSV in UTF-8") from None
    source = _csv_source(name, text, delimiter)
    return _table(
        source, (learning_rate, num_examples, momentum, batch_size, seed), accuracy, diverged, percent, num_test
    )


def from_frame(
    frame: Any,
    *,
    learning_rate: Column = "learning_rate",
    num_examples: Column = "num_examples",
    momentum: Column = "momentum",
    batch_size: Column = "batch_size",
    seed: Column = "seed",
    accuracy: str = "accuracy",
    diverged: Column = "diverged",
    percent: bool = False,
    num_test: Column = None,
) -> AccuracyTable:
    """The table in a data frame of pandas or polars, or in a dict of columns, with a row per run.

    Args:
        frame: anything with ``columns`` and ``frame[name]``, or a dict of name → column.
        learning_rate: name of the column of η, or one number for all runs; the other arguments are those of
            ``read_csv``.

    Raises:
        InputError: as ``read_csv``; rows are counted from 0.
    """
    names = list(frame) if isinstance(frame, Mapping) else getattr(frame, "columns", None)
    if names is None or callable(names) or not hasattr(frame, "__getitem__"):
        raise InputError(f"frame is a {type(frame).__name__}: pass a data frame, or a dict of name: column")
    columns = {}
    for column in map(str, names):
        values = np.asarray(frame[column])
        if values.ndim != 1:
            raise InputError(f"column {shown(column)} of the frame has shape {values.shape}: name one column so")
        columns[column] = values
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1:
        raise InputError(f"the columns of the frame have {sorted(lengths)} rows: pass columns of one length")
    source = _Source("the frame", columns, lambda row: f"row {row} of the frame", lengths.pop() if lengths else 0)
    return _table(
        source, (learning_rate, num_examples, momentum, batch_size, seed), accuracy, diverged, percent, num_test
    )


@dataclasses.dataclass(frozen=True)
class _Source:
    """Columns of text or numbers, and where their rows are: ``place(row)`` for messages."""

    name: str
    columns: Mapping[str, Any]
    place: Callable[[int], str]
    rows: int
    twice: tuple[str, ...] = ()

    def column(self, argument: str, named: Any) -> Any:
        """The values of a column, by the argument that names it."""
        if not isinstance(named, str):
            raise InputError(f"{argument} is {shown(named)}: pass the name of a column, or a number for all runs")
        if named in self.twice:
            raise InputError(f"{self.name} has two columns '{named}': rename one")
        if named not in self.columns:
            try:
                require_known("column", named, self.columns)
            except InputError as error:
                near = str(error).partition("did you mean ")[2].partition("?")[0]
            hint = f" (nearest: {near})" if near else ""
            number = "" if argument in ("accuracy", "num_test") else " or one number for all runs"
            raise InputError(
                f"{self.name} has no column '{one_line(named, 40)}'{hint}: pass {argument}= the name of a column"
                f"{number}; it has {one_line(', '.join(self.columns), 90)}"
            )
        return self.columns[named]

    def refusal(self, row: int, column: Any, value: Any, remedy: str) -> InputError:
        """What is wrong with a value, and where it is."""
        value = value.item() if isinstance(value, np.generic) else value
        return InputError(f"{self.place(row)}, column '{one_line(str(column), 40)}': {shown(value, 40)}, but {remedy}")


def _csv_source(name: str, text: str, delimiter: str) -> _Source:
    """The columns of a CSV file as text, blank lines left out."""
    rows, lines = [], []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] = []
    start = 1
    try:
        for row in reader:
            line, start = start, reader.line_num + 1
            if not any(field.strip() for field in row):
                continue
            if not header:
                header = [field.strip() for field in row]
            elif len(row) != len(header):
                raise InputError(
                    f"{name}, line {line} has {len(row)} fields and the line of names {len(header)}: "
                    "give each line the same number, or pass the delimiter"
                )
            else:
                rows.append(row)
                lines.append(line)
    except csv.Error as error:
        raise InputError(f"{name}, line {reader.line_num} is no CSV ({error}): mend the line") from None
    if not rows:
        raise InputError(f"{name} holds no runs: it needs a line of column names, and a line per run")
    columns = {column: [row[k].strip() for row in rows] for k, column in enumerate(header)}
    twice = tuple(column for column in columns if header.count(column) > 1)
    return _Source(name, columns, lambda row: f"{name}, line {lines[row]}", len(rows), twice)


def _table(
    source: _Source, given: tuple[Column, ...], accuracy: str, diverged: Column, percent: bool, num_test: Column
) -> AccuracyTable:
    if not isinstance(percent, bool | np.bool_):
        raise InputError(f"percent is {shown(percent)}: pass True where accuracies are in percent, or False")
    if not source.rows:
        raise InputError(f"{source.name} holds no runs: pass at least one row")
    setting: dict[str, np.ndarray] = {}
    for name, named in zip(SETTING, given, strict=True):
        if name == "seed" and named is None:
            setting[name] = _numbered(np.stack(list(setting.values()), axis=1))
        else:
            setting[name] = _numbers(source, name, named)
    bad = _flags(source, diverged)
    shares = _shares(source, accuracy, bad, bool(percent))
    if bad is None:
        bad = np.isnan(shares)
    if twice := repeated(setting):
        first, second = twice
        raise InputError(
            f"{source.place(second)} has the η, N, m, B and seed {setting['seed'][second]:g} of {source.place(first)}: "
            "give each repeat its own seed, or pass seed=None to have repeats numbered"
        )
    if isinstance(num_test, str):
        sizes = np.unique(_numbers(source, "num_test", num_test))
        if len(sizes) != 1:
            raise InputError(
                f"{source.name}: num_test is {shown(sizes.tolist())} in column '{num_test}': pass the one size of the "
                "test set, or None"
            )
        num_test = float(sizes[0])
    return AccuracyTable(**setting, accuracy=shares, diverged=bad, num_test=checked_num_test(num_test))


def _numbers(source: _Source, name: str, named: Any) -> np.ndarray:
    """A column, or one number for all rows, of real numbers in the range of this setting."""
    constant = isinstance(named, int | float | np.number) and not isinstance(named, bool)
    values = [named] * source.rows if constant else source.column(name, named)
    found = np.empty(len(values))
    for row, value in enumerate(values):
        number = _number(value)
        if number is None:
            raise source.refusal(row, named, value, f"{name} has to be a number")
        found[row] = number
    accepts, what = ACCEPTED.get(name, (np.isfinite, "finite"))
    good = accepts(found) & np.isfinite(found)
    if name in WHOLE:
        good &= (np.rint(found) == found) & (np.abs(found) <= 2.0**53)
        what = f"a whole number {what}" if name != "seed" else "a whole number"
    if not good.all():
        row = int(np.flatnonzero(~good)[0])
        if constant:
            raise InputError(f"{name} is {shown(named)}: pass the name of a column, or a number {what}")
        raise source.refusal(row, named, values[row], f"{name} has to be {what}")
    return found


def _shares(source: _Source, named: Any, bad: np.ndarray | None, percent: bool) -> np.ndarray:
    """Accuracies as shares; NaN where they are missing."""
    values, top = source.column("accuracy", named), 100.0 if percent else 1.0
    found = np.empty(len(values))
    for row, value in enumerate(values):
        sign = isinstance(value, str) and value.endswith("%")
        number = _number(value[:-1] if sign else value, math.nan)
        left_out = bad is not None and bad[row]
        if sign and not percent:
            raise source.refusal(row, named, value, "accuracies are shares in [0, 1]: pass percent=True")
        if number is None or (not left_out and math.isinf(number)):
            raise source.refusal(row, named, value, "an accuracy has to be a number, or empty for a run that diverged")
        if not left_out and not math.isnan(number) and not 0 <= number <= top:
            remedy = "pass percent=True if accuracies are in percent" if 1 < number <= 100 else "mend the table"
            raise source.refusal(row, named, value, f"an accuracy lies in [0, {top:g}]: {remedy}")
        if bad is not None and not left_out and math.isnan(number):
            raise source.refusal(row, named, value, "the run isn't marked as diverged: mark it, or give its accuracy")
        found[row] = math.nan if left_out else number
    known = found[~np.isnan(found)]
    if percent and len(known) and known.max() <= 1:
        raise InputError(
            f"{source.name}: percent=True, but no accuracy in column '{named}' is above 1 %: leave percent=True out "
            "if they are shares"
        )
    return found / top


def _flags(source: _Source, named: Any) -> np.ndarray | None:
    """Which runs diverged; None where nothing says so but missing accuracies."""
    if named is None or (named == "diverged" and named not in source.columns):
        return None
    if isinstance(named, bool):
        return np.full(source.rows, named)
    values = source.column("diverged", named)
    found = np.zeros(len(values), bool)
    for row, value in enumerate(values):
        text = str(value).strip().lower()
        if text not in _YES + _NO:
            raise source.refusal(row, named, value, "diverged has to be true or false, or 1 or 0")
        found[row] = text in _YES
    return found


def _number(value: Any, missing: float | None = None) -> float | None:
    """The number in a field; ``missing`` where nothing is in it, None where it is no number."""
    if value is None or (isinstance(value, str) and value.strip().lower() in _MISSING):
        return missing
    if isinstance(value, bool | np.bool_ | complex | np.complexfloating) or (isinstance(value, str) and "_" in value):
        return None
    if type(value).__name__ == "NAType":  # pandas' missing value, which float() refuses
        return missing
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _numbered(runs: np.ndarray) -> np.ndarray:
    """0, 1, … among equal rows, in their order."""
    _, which = np.unique(runs, axis=0, return_inverse=True)
    seen: dict[int, int] = {}
    found = np.empty(len(runs))
    for row, group in enumerate(which.reshape(-1).tolist()):
        found[row] = seen.get(group, 0)
        seen[group] = seen.get(group, 0) + 1
    return found
