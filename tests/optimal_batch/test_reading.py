"""Tables of a user's own: every name of a column, percent, constants; one line with file, line, column and value."""

import csv
import io
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from sdesgd import optimal_batch
from sdesgd.optimal_batch import AccuracyTable, from_frame, read_csv
from tests.optimal_batch.synthetic import Design, Truth, simulate_table
from tests.refusals import refused

ob: Any = optimal_batch
HEAD = "lr,n,m,B,seed,acc\n"
GOOD = HEAD + "0.1,1000,0.9,8,0,0.91\n0.1,1000,0.9,8,1,0.915\n0.1,1000,0.9,16,0,0.93\n"
NAMES: dict[str, Any] = {
    "learning_rate": "lr", "num_examples": "n", "momentum": "m", "batch_size": "B", "accuracy": "acc"
}  # fmt: skip


def written(tmp_path, text, name="runs.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def same(one: AccuracyTable, other: AccuracyTable) -> None:
    for name in ("learning_rate", "num_examples", "momentum", "batch_size", "seed", "accuracy", "diverged"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    assert one.num_test == other.num_test


def test_a_table_comes_back_from_the_file_that_holds_it(tmp_path):
    """Written by Python's csv with repr's digits, under the names of the fields: every number is the same."""
    design = Design(series=((0.1, 1000, 0.9), (0.3, 500, 0.0)), batches=(2, 8, 32), seeds=2, num_test=300)
    table, _ = simulate_table(Truth(), design, np.random.default_rng(0))
    names = ["learning_rate", "num_examples", "momentum", "batch_size", "seed", "accuracy", "diverged"]
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(names)
    writer.writerows(zip(*(getattr(table, name).tolist() for name in names), strict=True))
    same(read_csv(written(tmp_path, text.getvalue()), num_test=300), table)
    columns = {name: getattr(table, name) for name in names}
    same(from_frame(columns, num_test=300), table)
    same(from_frame(columns | {"size": np.full(len(table.seed), 300)}, num_test="size"), table)


def test_names_constants_percent_and_missing_accuracies(tmp_path):
    """Of four runs one diverged; N and m are the same for all; BOM, blank lines, semicolon, sign % are read."""
    text = "\ufeffeta;batch;rep;top-1\n0.1;8;0;91.5%\n\n0.1;8;1;\n0.1;16;0;93\n0.2;16;0;nan\n"
    table = read_csv(
        written(tmp_path, text), learning_rate="eta", batch_size="batch", seed="rep", accuracy="top-1",
        num_examples=1000, momentum=0.9, percent=True, delimiter=";",
    )  # fmt: skip
    np.testing.assert_allclose(table.accuracy, [0.915, np.nan, 0.93, np.nan])
    assert table.diverged.tolist() == [False, True, False, True]
    assert table.num_examples.tolist() == [1000] * 4
    assert table.momentum.tolist() == [0.9] * 4
    assert table.num_test is None
    assert table.resolution == 1000


def test_repeats_are_numbered_where_no_column_tells_them_apart():
    frame = {"lr": [0.1, 0.1, 0.2, 0.1], "B": [1, 1, 1, 2], "acc": [0.5, 0.6, 0.7, 0.8]}
    names: dict[str, Any] = {"learning_rate": "lr", "batch_size": "B", "accuracy": "acc"}
    table = from_frame(frame, **names, num_examples=10, momentum=0, seed=None)
    assert table.seed.tolist() == [0, 1, 0, 0]


@pytest.mark.parametrize("flags", [["True", "False", "no"], [1, 0, 0], [True, False, False], ["1.0", "0.0", "0"]])
def test_a_column_says_which_runs_diverged(flags):
    """What a diverged run shows isn't looked at."""
    frame = {"lr": [0.1] * 3, "n": [9] * 3, "m": [0.0] * 3, "B": [1, 2, 3], "seed": [0] * 3, "acc": [7.0, 0.5, 0.6]}
    table = from_frame(frame | {"bad": flags}, **NAMES, diverged="bad")
    assert table.diverged.tolist() == [True, False, False]
    assert np.isnan(table.accuracy[0])


def test_frames_of_pandas():
    pandas = pytest.importorskip("pandas")
    frame = pandas.read_csv(io.StringIO(GOOD + "0.1,1000,0.9,16,1,\n"))
    table = from_frame(frame, **NAMES)
    assert table.diverged.tolist() == [False, False, False, True]
    frame["acc"] = frame["acc"].astype("Float64")  # whose missing value is no float
    same(from_frame(frame, **NAMES), table)
    frame.columns = ["lr", "lr", "m", "B", "seed", "acc"]
    refused(lambda: ob.from_frame(frame, **NAMES), "'lr' of the frame has shape")


def test_pandas_is_not_needed(tmp_path):
    """A file is read without it: a fresh process has none of it afterwards."""
    path = written(tmp_path, GOOD)
    code = (
        "import sys; from sdesgd import optimal_batch as ob; "
        f"t = ob.read_csv({str(path)!r}, **{NAMES!r}); print(len(t.seed), 'matplotlib' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["3", "False"]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (GOOD.replace("0.93", "abc"), {}, r"runs.csv, line 4, column 'acc': 'abc', but an accuracy has to be a number"),
        (GOOD.replace("0.93", "93"), {}, r"line 4, column 'acc': '93', but .* pass percent=True"),
        (GOOD.replace("0.93", "93%"), {}, r"line 4, column 'acc': '93%', but .* pass percent=True"),
        (GOOD.replace("0.93", "101"), {"percent": True}, r"line 4, column 'acc': '101', but .*\[0, 100\]"),
        (GOOD.replace("0.93", "-0.1"), {}, r"line 4, column 'acc': '-0.1'"),
        (GOOD.replace("0.93", "inf"), {}, r"line 4, column 'acc': 'inf'"),
        (GOOD, {"percent": True}, r"runs.csv: percent=True, but no accuracy in column 'acc' is above 1 %"),
        (GOOD.replace("0.1,1000,0.9,16", "-0.1,1000,0.9,16"), {}, r"line 4, column 'lr': '-0.1', but learning_rate"),
        (GOOD.replace(",16,", ",16.5,"), {}, r"line 4, column 'B': '16.5', but batch_size has to be a whole number"),
        (GOOD.replace(",16,", ",,"), {}, r"line 4, column 'B': '', but batch_size has to be a number"),
        (GOOD.replace(",16,", ",1_6,"), {}, r"line 4, column 'B': '1_6'"),
        (GOOD.replace(",0.9,16", ",1.0,16"), {}, r"line 4, column 'm': '1.0', but momentum has to be in \[0, 1\)"),
        (GOOD + "0.1,1000,0.9,8,1,0.5\n", {}, r"line 5 has the η, N, m, B and seed 1 of runs.csv, line 3"),
        (GOOD + "0.1,1000\n", {}, r"line 5 has 2 fields and the line of names 6"),
        (GOOD + '0.1,"1000\n', {}, "is no CSV"),
        (GOOD + '\n"multi\nline",1000,0.9,8,2,0.5\n', {}, r"line 6, column 'lr'"),
        (HEAD, {}, "runs.csv holds no runs"),
        ("", {}, "runs.csv holds no runs"),
        (b"\xff\xfe\x00", {}, "isn't UTF-8"),
        (b"lr,\x00n\n1,2\n", {}, "runs.csv"),
        (GOOD.replace("lr", "acc"), {}, "has no column 'lr'"),
        ("x" * 5000 + "\n1\n", {}, "has no column 'lr'"),
        ("lr,lr,m,B,seed,acc\n1,1,0,1,0,0.5\n", {}, "two columns 'lr'"),
        (GOOD, {"learning_rate": "rate"}, r"has no column 'rate' \(nearest: 'acc'|has no column 'rate'"),
        (GOOD, {"learning_rate": None}, "learning_rate is None: pass the name of a column, or a number"),
        (GOOD, {"momentum": 1.5}, "momentum is 1.5: pass the name of a column, or a number in"),
        (GOOD, {"momentum": True}, "momentum is True"),
        (GOOD, {"percent": "yes"}, "percent is 'yes'"),
        (GOOD, {"delimiter": ",,"}, "delimiter is"),
        (GOOD, {"delimiter": ";"}, "has no column 'lr'"),
        (GOOD, {"num_test": "B"}, r"num_test is \[8.0, 16.0\] in column 'B'"),
        (GOOD, {"num_test": 0}, "num_test is 0"),
        (GOOD, {"diverged": "B"}, r"line 2, column 'B': '8', but diverged has to be true or false"),
        (GOOD.replace("0.93", ""), {"diverged": False}, r"line 4, column 'acc': '', but the run isn't marked"),
    ],
)
def test_a_file_that_is_none(tmp_path, text, options, message):
    refused(lambda: ob.read_csv(written(tmp_path, text), **NAMES | options), message)


def test_a_path_that_is_none(tmp_path):
    refused(lambda: ob.read_csv(tmp_path / "nothing.csv"), "does not exist")
    refused(lambda: ob.read_csv(tmp_path), "is a folder")
    refused(lambda: ob.read_csv(None), "no path")


@pytest.mark.parametrize("bad", [None, 3, "runs.csv", [1, 2], np.zeros((2, 2))])
def test_a_frame_that_is_none(bad):
    refused(lambda: ob.from_frame(bad), "pass a data frame|has no column")


def test_frames_name_the_row():
    columns = {name: [0.5, 0.5] for name in ("learning_rate", "num_examples", "momentum", "batch_size")}
    columns |= {"seed": [0, 1], "accuracy": [1, 1]}
    refused(lambda: ob.from_frame(columns), "row 0 of the frame, column 'num_examples': 0.5")
    refused(lambda: ob.from_frame({"accuracy": [0.5], "seed": [1, 2]}), r"have \[1, 2\] rows")
    refused(lambda: ob.from_frame({}), "holds no runs")
